//! A system with a simulated cluster, driven through its HTTP router as a user would.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use jiff::Timestamp;
use pilothouse_cluster::{ApplyOptions, Cluster, Marks, parse_manifests};
use pilothouse_connector::dynamodb::Database;
use pilothouse_local::{ClusterChoice, System, SystemBuilder};
use pilothouse_operations::clock::{SharedClock, TokioClock};
use pilothouse_operations::first_admin_token;
use pilothouse_sim_cluster::SimCluster;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The digest that stands for an image of that tag.
pub(crate) fn digest_of(tag: &str) -> String {
    use sha2::{Digest as _, Sha256};
    format!("sha256:{}", hex::encode(Sha256::digest(tag.as_bytes())))
}

/// The clock of the cluster, told by the system's.
struct Told(SharedClock);

impl pilothouse_sim_cluster::Clock for Told {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// Who deploys in every test: the account that the shipped role is bound to. What a stage type needs and the role lacks fails its test.
const ACCOUNT: &str = "system:serviceaccount:pilothouse:pilothouse";
/// What is shipped.
const ROLE: &str = include_str!("../../deploy/kubernetes/rbac.yaml");

/// `kubectl apply -f deploy/kubernetes/rbac.yaml`, by somebody who may.
async fn grant(sim: &SimCluster) {
    allow(sim, ROLE).await;
    sim.clear_requests();
}

/// Applies roles and bindings as an administrator does.
pub(crate) async fn allow(sim: &SimCluster, roles: &str) {
    let root = Cluster::new(kube::Client::new(sim.service(), "default"));
    let manifests = parse_manifests(roles, "default").unwrap();
    let marks = Marks { release: "by hand".to_owned(), ..Marks::default() };
    root.apply(&manifests, &ApplyOptions { marks, ..ApplyOptions::default() }).await.unwrap();
}

/// Lets the system into a cluster as that user.
fn deploy_as(system: &System, cluster: &str, sim: &SimCluster, user: &str) {
    let client = kube::Client::new(sim.service_as(user), "default");
    system.context().clusters.register(cluster, Cluster::new(client));
}

pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) sim: SimCluster,
    pub(crate) clock: SharedClock,
    pub(crate) token: String,
}

/// What outlives a process: the records and the cluster.
#[derive(Clone)]
pub(crate) struct Remains {
    database: Database,
    pub(crate) sim: SimCluster,
    clock: SharedClock,
    token: String,
}

impl Remains {
    /// A new process over them; none if it dies while it starts.
    pub(crate) async fn start(
        &self,
        seed: u64,
        change: impl FnOnce(SystemBuilder) -> SystemBuilder,
    ) -> Option<World> {
        let Self { database, sim, clock, token } = self.clone();
        let builder = System::builder(ClusterChoice::Sim(sim.clone()))
            .clock(Arc::clone(&clock))
            .database(database)
            .seed(seed)
            .without_background();
        let system = change(builder).build().await.ok()?;
        deploy_as(&system, "default", &sim, ACCOUNT);
        Some(World { system, sim, clock, token })
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl World {
    /// A system as it comes, with the namespaces dev, staging and prod.
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    /// A system that `change` has its say about.
    pub(crate) async fn with(change: impl FnOnce(SystemBuilder) -> SystemBuilder) -> Self {
        let clock: SharedClock = Arc::new(TokioClock::starting_at("2026-11-21T09:00:00Z".parse().unwrap()));
        let sim = SimCluster::builder()
            .clock(Arc::new(Told(Arc::clone(&clock))))
            .namespaces(["dev", "prod", "staging"])
            .build()
            .await
            .unwrap();
        grant(&sim).await;
        let builder = System::builder(ClusterChoice::Sim(sim.clone()))
            .clock(Arc::clone(&clock))
            .seed(7)
            .without_background();
        let system = change(builder).build().await.unwrap();
        deploy_as(&system, "default", &sim, ACCOUNT);
        let token = first_admin_token(system.context()).await.unwrap().unwrap();
        Self { system, sim, clock, token }
    }

    /// One more cluster, with the same namespaces, registered under that name in this process.
    pub(crate) async fn add_cluster(&self, name: &str) -> SimCluster {
        let sim = SimCluster::builder()
            .clock(Arc::new(Told(Arc::clone(&self.clock))))
            .namespaces(["dev", "prod", "staging"])
            .build()
            .await
            .unwrap();
        grant(&sim).await;
        deploy_as(&self.system, name, &sim, ACCOUNT);
        sim
    }

    /// The same records and cluster under a new process; the old one is gone without having said goodbye.
    pub(crate) async fn restarted(self, seed: u64) -> Self {
        let remains = self.die();
        remains.start(seed, |builder| builder).await.unwrap()
    }

    /// Ends the process as `kill -9` does; gives what outlives it.
    pub(crate) fn die(self) -> Remains {
        let Self { system, sim, clock, token } = self;
        Remains { database: system.database().clone(), sim, clock, token }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.system.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 16 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status, body }
    }

    pub(crate) async fn call_as(&self, token: &str, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }))
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call_as(&self.token, Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call_as(&self.token, Method::PUT, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call_as(&self.token, Method::GET, path, &Value::Null).await
    }

    /// Saves a pipeline; panics with all its problems if it is refused.
    pub(crate) async fn save(&self, pipeline: &str) {
        let answer = self.apply(pipeline).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    }

    /// What the system says to a pipeline.
    pub(crate) async fn apply(&self, pipeline: &str) -> Answer {
        let request = Request::builder()
            .method(Method::PUT)
            .uri("/v1/pipelines")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/yaml")
            .body(Body::from(pipeline.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// A hook that a registry notifies; gives its secret.
    pub(crate) async fn registry_hook(&self, name: &str) -> String {
        let answer = self.put(&format!("/v1/hooks/{name}"), &json!({ "sender": "distribution" })).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body["secret"].as_str().unwrap().to_owned()
    }

    /// What a registry sends when `shop/web:{tag}` was pushed.
    pub(crate) async fn push(&self, secret: &str, tag: &str) -> Answer {
        self.send(push_request(secret, &format!("event-{tag}"), tag, &digest_of(tag))).await
    }

    /// Starts a release of shop/web by hand; gives its id.
    pub(crate) async fn start(&self, tag: &str) -> String {
        let ask = json!({
            "application": "shop", "pipeline": "web",
            "artifacts": { "web": { "tag": tag, "digest": digest_of(tag) } },
        });
        let answer = self.post("/v1/releases", &ask).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body["id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned()
    }

    /// Ends every execution, as an outage of the engine would.
    pub(crate) fn lose_executions(&self) {
        let engine = self.system.engine();
        for machine in engine.list_state_machines() {
            for execution in engine.list_executions(&machine.arn, None).unwrap() {
                let _ = engine.stop_execution(&execution.arn, None, None);
            }
        }
    }

    pub(crate) async fn release(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/releases/{id}")).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body
    }

    /// The release once `done` holds of it. Fails after fifteen virtual minutes.
    pub(crate) async fn until(&self, id: &str, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..900 {
            tick.tick().await;
            let view = self.release(id).await;
            if done(&view) {
                return view;
            }
        }
        panic!("never seen: {what}\n{:#}", self.release(id).await);
    }

    /// The release once nothing of it is under way.
    pub(crate) async fn at_rest(&self, id: &str) -> Value {
        let over = |view: &Value| view["atRest"] == true;
        self.until(id, "the release at rest", over).await
    }

    /// The pending approval of the release, waited for.
    pub(crate) async fn pending_approval(&self, id: &str) -> String {
        let view = self.until(id, "a pending approval", |v| pending(v).is_some()).await;
        pending(&view).unwrap()
    }

    pub(crate) async fn approve(&self, id: &str) -> Answer {
        let approval = self.pending_approval(id).await;
        self.post(&format!("/v1/releases/{id}/approvals/{approval}/approve"), &json!({})).await
    }

    /// Every event of the release.
    pub(crate) async fn events(&self, id: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let answer = self.get(&format!("/v1/releases/{id}/events?after={after}")).await;
            assert!(answer.status.is_success(), "{:#}", answer.body);
            let page = answer.body["events"].as_array().unwrap().clone();
            if page.is_empty() {
                return events;
            }
            events.extend(page);
            after = answer.body["last"].as_u64().unwrap();
        }
    }
}

/// The notification of one push, as Debian's docker-registry 2.8 sends it.
pub(crate) fn push_request(secret: &str, event: &str, tag: &str, digest: &str) -> Request<Body> {
    let body = json!({ "events": [{
        "id": event,
        "timestamp": "2026-11-21T09:00:00.123456789Z",
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 401, "digest": digest, "length": 401,
            "repository": "shop/web",
            "url": format!("http://127.0.0.1:15000/v2/shop/web/manifests/{digest}"),
            "tag": tag,
        },
        "request": {
            "id": "7a1b", "addr": "127.0.0.1:51234", "host": "127.0.0.1:15000",
            "method": "PUT", "useragent": "skopeo/1.9.3",
        },
        "actor": {},
        "source": { "addr": "builder:15000", "instanceID": "3b2c" },
    }]});
    Request::builder()
        .method(Method::POST)
        .uri("/webhooks/distribution/shop")
        .header(header::AUTHORIZATION, format!("Bearer {secret}"))
        .header(header::CONTENT_TYPE, "application/vnd.docker.distribution.events.v1+json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// The releases that a webhook's answer says it started.
pub(crate) fn started(answer: &Answer) -> Vec<String> {
    let verdicts = answer.body["verdicts"].as_array().cloned().unwrap_or_default();
    let started = verdicts.iter().filter(|v| v["started"] == true);
    started.map(|v| v["release"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn attempts(view: &Value) -> Vec<Value> {
    let environments = view["environments"].as_array().cloned().unwrap_or_default();
    environments.iter().flat_map(|e| e["attempts"].as_array().cloned().unwrap_or_default()).collect()
}

/// The attempt of that number in an environment.
pub(crate) fn attempt(view: &Value, environment: &str, number: u64) -> Value {
    let environments = view["environments"].as_array().unwrap();
    let found = environments.iter().find(|e| e["name"] == environment).unwrap();
    let attempts = found["attempts"].as_array().unwrap();
    attempts.iter().find(|a| a["number"] == number).cloned().unwrap_or_default()
}

pub(crate) fn environment_status(view: &Value, environment: &str) -> String {
    let environments = view["environments"].as_array().unwrap();
    let found = environments.iter().find(|e| e["name"] == environment).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

pub(crate) fn pending(view: &Value) -> Option<String> {
    attempts(view).iter().find_map(|a| {
        let approvals = a["approvals"].as_array()?;
        let open = approvals.iter().find(|p| p["pending"] == true)?;
        open["id"].as_str().map(str::to_owned)
    })
}

/// Everything of kind and namespace whose name is `name`, as the cluster has it.
pub(crate) fn object(sim: &SimCluster, kind: &str, namespace: &str, name: &str) -> Value {
    sim.get(kind, namespace, name).unwrap_or_else(|| panic!("{kind} {namespace}/{name} is not there"))
}
