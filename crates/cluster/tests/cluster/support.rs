//! A simulated cluster, and what every test says to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pilothouse_cluster::{
    Applied, ApplyOptions, Cluster, Manifest, Marks, ObjectRef, ObserveOptions, RetryPolicy, Rollout,
    SealingKeys, Watched, parse_manifests,
};
use pilothouse_sim_cluster::{ImageRule, SimCluster, SimClusterBuilder, TokioClock};

pub(crate) const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

/// A cluster with the namespace `dev`, and a client to it.
pub(crate) struct Scene {
    pub(crate) sim: SimCluster,
    pub(crate) cluster: Cluster,
    clock: TokioClock,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with_rules([]).await
    }

    pub(crate) async fn with_rules(rules: impl IntoIterator<Item = ImageRule>) -> Self {
        Self::build(|builder| rules.into_iter().fold(builder, |builder, rule| builder.rule(rule))).await
    }

    /// A cluster that tells a watch 410 when it is more than that many changes behind.
    pub(crate) async fn with_history(changes: usize) -> Self {
        Self::build(|builder| builder.watch_history(changes)).await
    }

    async fn build(describe: impl FnOnce(SimClusterBuilder) -> SimClusterBuilder) -> Self {
        let clock = TokioClock::starting_at("2026-11-21T10:00:00Z".parse().unwrap());
        let builder = SimCluster::builder().namespaces(["dev"]).clock(Arc::new(clock.clone()));
        let sim = describe(builder).build().await.unwrap();
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Cluster::with_retry(client, RetryPolicy { seed: 1, ..RetryPolicy::default() });
        Self { sim, cluster, clock }
    }

    pub(crate) fn now(&self) -> Timestamp {
        pilothouse_sim_cluster::Clock::now(&self.clock)
    }

    pub(crate) async fn apply(&self, text: &str) -> Vec<Applied> {
        self.cluster.apply(&manifests(text), &options("dep_1")).await.unwrap()
    }

    /// Watches what was applied for up to that many seconds.
    pub(crate) async fn observe(&self, applied: &[Applied], seconds: u64) -> Rollout {
        let watched: Vec<Watched> =
            applied.iter().map(|a| Watched { object: a.object.clone(), generation: a.generation }).collect();
        let options = ObserveOptions::new(Duration::from_secs(seconds), self.now());
        self.cluster.observe(&watched, &options).await.unwrap()
    }
}

pub(crate) fn manifests(text: &str) -> Vec<Manifest> {
    parse_manifests(text, "dev").unwrap()
}

pub(crate) fn options(attempt: &str) -> ApplyOptions {
    let marks = Marks {
        application: "shop".into(),
        release: "rel_1".into(),
        attempt: attempt.into(),
        stage: "deploy".into(),
    };
    ApplyOptions { marks, ..ApplyOptions::default() }
}

pub(crate) fn objects(manifests: &[Manifest]) -> Vec<ObjectRef> {
    manifests.iter().map(|manifest| manifest.object.clone()).collect()
}

/// What this installation seals with.
pub(crate) fn keys() -> SealingKeys {
    SealingKeys::parse("0123456789abcdef0123456789abcdef").unwrap()
}

pub(crate) fn web() -> ObjectRef {
    ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web")
}

pub(crate) fn settings() -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", "dev", "settings")
}

/// A ConfigMap, a Service and a Deployment of two pods.
pub(crate) fn shop(version: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: web
        image: registry.local/shop/web:{version}
        ports: [{{containerPort: 8080}}]
        env: [{{name: VERSION, value: "{version}"}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{version: "{version}"}}
"#
    )
}

/// Another owner of fields: what `kubectl apply --server-side` would do.
pub(crate) async fn apply_as(sim: &SimCluster, manager: &str, path: &str, body: &serde_json::Value) {
    use tower::ServiceExt;
    let request = http::Request::patch(format!("{path}?fieldManager={manager}&force=true"))
        .header("content-type", "application/apply-patch+yaml")
        .body(kube::client::Body::from(body.to_string().into_bytes()))
        .unwrap();
    let answer = sim.service().oneshot(request.map(axum_body)).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

fn axum_body(body: kube::client::Body) -> axum::body::Body {
    axum::body::Body::new(body)
}
