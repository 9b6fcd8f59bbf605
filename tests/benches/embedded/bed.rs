//! A system to measure, driven through its HTTP router as a sender and a user would.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header};
use pilothouse_local::{ClusterChoice, System};
use pilothouse_operations::first_admin_token;
use pilothouse_sim_cluster::SimCluster;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) struct Bed {
    pub(crate) system: System,
    token: String,
    secret: String,
}

impl Bed {
    /// A system with one registry hook, `shop`; in memory unless a file is given.
    pub(crate) async fn new(file: Option<&Path>) -> Self {
        let sim = SimCluster::builder().namespaces(["dev", "prod"]).speed(1000.0).build().await.unwrap();
        let mut builder = System::builder(ClusterChoice::Sim(sim));
        if let Some(file) = file {
            builder = builder.file(file);
        }
        let system = builder.build().await.unwrap();
        let token = first_admin_token(system.context()).await.unwrap().unwrap();
        let mut bed = Self { system, token, secret: String::new() };
        let hook =
            bed.call(Method::PUT, "/v1/hooks/shop", &json!({"sender": "distribution"}).to_string()).await;
        bed.secret = hook["secret"].as_str().unwrap().to_owned();
        bed
    }

    pub(crate) async fn save(&self, pipeline: &str) {
        self.call(Method::PUT, "/v1/pipelines", pipeline).await;
    }

    /// A request to the API.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &str) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// What a registry sends when `shop/web:{tag}` was pushed.
    pub(crate) async fn push(&self, event: &str, tag: &str) -> Value {
        let digest = format!("sha256:{:0>64}", hex::encode(tag.as_bytes()));
        let body = json!({ "events": [{
            "id": event, "timestamp": "2026-11-21T09:00:00Z", "action": "push",
            "target": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 401,
                "digest": digest, "repository": "shop/web", "tag": tag,
            },
            "request": { "id": "r", "host": "127.0.0.1:15000" }, "actor": {},
        }]});
        let request = Request::builder()
            .method(Method::POST)
            .uri("/webhooks/distribution/shop")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.secret))
            .header(header::CONTENT_TYPE, "application/vnd.docker.distribution.events.v1+json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> Value {
        let path = request.uri().path().to_owned();
        let response = self.system.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Waits until at most `rest` deployments are under way.
    pub(crate) async fn quiet(&self, rest: usize) {
        let limit = u32::try_from(rest + 1).unwrap();
        let store = &self.system.context().store;
        eventually(async || {
            let open = store.attempts_open(limit, None).await.unwrap().items.len();
            (open <= rest).then_some(())
        })
        .await;
    }
}

/// What `look` finds, once it does: it looks every millisecond, for at most ten minutes.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let looks = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(600), looks).await.unwrap()
}

/// The release that a delivery started.
pub(crate) fn started(answer: &Value) -> Option<String> {
    let verdicts = answer["verdicts"].as_array()?;
    Some(verdicts.iter().find(|v| v["started"] == true)?["release"].as_str()?.to_owned())
}

/// A pipeline `application/web` that deploys `shop/web` to one environment after an approval.
pub(crate) fn with_approval(application: &str) -> String {
    format!(
        "
application: {application}
pipeline: web
artifacts: [{{name: web, image: shop/web}}]
triggers: [{{name: push, type: registry, hook: shop, image: shop/web}}]
environments:
  - name: dev
    namespace: dev
    approvals: {{before: {{approvers: [{{role: approver}}]}}}}
    stages: [{{name: config, type: deploy-manifest, manifests: '{MANIFEST}'}}]
"
    )
}

pub(crate) const MANIFEST: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}";
