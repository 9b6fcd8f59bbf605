//! The budgets of the embedded system, measured: `cargo xtask bench`.
//!
//! Each figure stands beside its budget or beside what it is compared to in the same run, since a machine's seconds
//! are not another's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use futures::stream::{self, StreamExt as _};
use http::{Method, Request, header};
use pilothouse_local::{ClusterChoice, System};
use pilothouse_operations::first_admin_token;
use pilothouse_sim_cluster::SimCluster;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const SIX_STAGES: &str = "
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
triggers: [{name: push, type: registry, hook: shop, image: shop/web}]
environments:
  - name: dev
    namespace: dev
    stages:
      - {name: a, type: deploy-manifest, manifests: 'MANIFEST'}
      - {name: b, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [a]}
      - {name: c, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [b]}
  - name: prod
    namespace: prod
    after: [dev]
    stages:
      - {name: a, type: deploy-manifest, manifests: 'MANIFEST'}
      - {name: b, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [a]}
      - {name: c, type: deploy-manifest, manifests: 'MANIFEST', dependsOn: [b]}
";
const MANIFEST: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}";

const APPROVAL: &str = "
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
triggers: [{name: push, type: registry, hook: shop, image: shop/web}]
environments:
  - name: ENVIRONMENT
    namespace: dev
    approvals: {before: {approvers: [{role: approver}]}}
    stages: [{name: a, type: wait, duration: 1s}]
";

struct Bed {
    system: System,
    token: String,
    secret: String,
}

impl Bed {
    async fn new(pipeline: &str, file: Option<&std::path::Path>) -> Self {
        let sim = SimCluster::builder().namespaces(["dev", "prod"]).speed(1000.0).build().await.unwrap();
        let mut builder = System::builder(ClusterChoice::Sim(sim));
        if let Some(file) = file {
            builder = builder.file(file);
        }
        let system = builder.build().await.unwrap();
        let token = first_admin_token(system.context()).await.unwrap().unwrap();
        let mut bed = Self { system, token, secret: String::new() };
        let hook = bed.call(Method::PUT, "/v1/hooks/shop", json!({"sender": "distribution"}).to_string()).await;
        bed.secret = hook["secret"].as_str().unwrap().to_owned();
        bed.call(Method::PUT, "/v1/pipelines", pipeline.replace("MANIFEST", MANIFEST)).await;
        bed
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = self.system.router().oneshot(request).await.unwrap();
        let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    async fn push(&self, event: &str, tag: &str) -> Value {
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
        let response = self.system.router().oneshot(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Waits until no deployment is under way.
    async fn quiet(&self) {
        loop {
            if self.system.context().store.attempts_open(1, None).await.unwrap().items.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn started(answer: &Value) -> Option<String> {
    let verdicts = answer["verdicts"].as_array()?;
    Some(verdicts.iter().find(|v| v["started"] == true)?["release"].as_str()?.to_owned())
}

fn percentile(sorted: &[Duration], of: f64) -> Duration {
    let place = (sorted.len() as f64 * of) as usize;
    sorted[place.min(sorted.len() - 1)]
}

fn row(what: &str, measured: &str, against: &str) {
    println!("{what:<58} {measured:>22}   {against}");
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

async fn webhook_to_execution(place: &str, file: Option<&std::path::Path>) {
    let bed = Bed::new(&APPROVAL.replace("ENVIRONMENT", "dev"), file).await;
    let mut times = Vec::new();
    for n in 0..300 {
        let began = Instant::now();
        let answer = bed.push(&format!("e{n}"), &format!("1.0.{n}")).await;
        // The answer is given after the execution was started.
        times.push(began.elapsed());
        assert!(started(&answer).is_some());
    }
    times.sort();
    row(&format!("webhook to started execution, {place}: p50"), &millis(percentile(&times, 0.5)), "budget 5 ms");
    row(&format!("webhook to started execution, {place}: p99"), &millis(percentile(&times, 0.99)), "budget 20 ms");
}

async fn deliveries(place: &str, file: Option<&std::path::Path>) {
    let bed = Arc::new(Bed::new(&APPROVAL.replace("ENVIRONMENT", "dev"), file).await);
    bed.push("first", "1.0.0").await;
    for (what, count, same) in [("repeated", 3000_u32, true), ("new images", 500, false)] {
        let began = Instant::now();
        stream::iter(0..count)
            .for_each_concurrent(50, |n| {
                let bed = Arc::clone(&bed);
                async move {
                    let tag = if same { "1.0.0".to_owned() } else { format!("2.0.{n}") };
                    bed.push(&format!("{what}-{n}"), &tag).await;
                }
            })
            .await;
        let rate = f64::from(count) / began.elapsed().as_secs_f64();
        row(&format!("deliveries a second, {place}, {what}"), &format!("{rate:.0}"), "budget 1000");
    }
}

async fn one_release() {
    let bed = Bed::new(SIX_STAGES, None).await;
    bed.push("warm", "0.0.1").await;
    bed.quiet().await;
    let before = bed.system.meter().usage();
    let executions = |bed: &Bed| -> u64 {
        let engine = bed.system.engine();
        let machines = engine.list_state_machines();
        let all = machines.iter().flat_map(|m| engine.list_executions(&m.arn, None).unwrap_or_default());
        all.map(|e| e.transitions).sum()
    };
    let transitions = executions(&bed);
    let began = Instant::now();
    let release = started(&bed.push("one", "1.0.0").await).unwrap();
    bed.quiet().await;
    let took = began.elapsed();
    let used = bed.system.meter().usage().since(before);
    row("release of 2 environments and 6 stages: transitions", &(executions(&bed) - transitions).to_string(), "budget 60");
    row("release of 2 environments and 6 stages: write units", &format!("{:.0}", used.write_units), "budget 120");
    row("release of 2 environments and 6 stages: read units", &format!("{:.0}", used.read_units), "");
    row("release of 2 environments and 6 stages: wall", &millis(took), "simulated cluster x1000");
    gaps(&bed, &release).await;
}

/// From a stage's end to its dependent's begin, as the timeline has it.
async fn gaps(bed: &Bed, first: &str) {
    let mut times = Vec::new();
    let mut releases = vec![first.to_owned()];
    for n in 0..10 {
        releases.extend(started(&bed.push(&format!("gap{n}"), &format!("3.0.{n}")).await));
        bed.quiet().await;
    }
    for release in releases {
        let answer = bed.call(Method::GET, &format!("/v1/releases/{release}/events?after=0&limit=100"), String::new()).await;
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        let at = |e: &Value| e["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let mut ended: Option<jiff::Timestamp> = None;
        for event in &events {
            match event["type"].as_str() {
                Some("StageEnded") => ended = Some(at(event)),
                Some("StageStarted") => {
                    if let Some(ended) = ended.take() {
                        times.push(at(event).duration_since(ended).unsigned_abs());
                    }
                }
                Some("DeploymentEnded") => ended = None,
                _ => {}
            }
        }
    }
    times.sort();
    row("a stage's end to its dependent's begin: p50", &millis(percentile(&times, 0.5)), "budget 10 ms");
}

async fn many_waiting() {
    let mut spec = String::from("
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
triggers: [{name: push, type: registry, hook: shop, image: shop/web}]
environments:
");
    spec.push_str("  - {name: dev, namespace: dev, stages: [{name: look, type: manual-judgment}]}\n");
    let bed = Bed::new(&spec, None).await;
    let empty = resident();
    let mut at_100 = Duration::ZERO;
    let mut at_end = Duration::ZERO;
    for n in 0..10_000_u32 {
        let tag = format!("1.0.{n}");
        let began = Instant::now();
        bed.push(&format!("w{n}"), &tag).await;
        let took = began.elapsed();
        if (50..150).contains(&n) {
            at_100 += took;
        }
        if n >= 9_900 {
            at_end += took;
        }
    }
    let grown = resident() - empty;
    row("10,000 releases in flight: memory over an empty system", &format!("{grown:.0} MiB"), "budget 300 MiB");
    let ratio = at_end.as_secs_f64() / at_100.as_secs_f64();
    row("a delivery with 10,000 in flight, against with 100", &format!("{ratio:.2} x"), "budget 1 x");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    row("figure", "measured", "against");
    webhook_to_execution("in memory", None).await;
    webhook_to_execution("in a file", Some(&folder.path().join("a.db"))).await;
    deliveries("in memory", None).await;
    deliveries("in a file", Some(&folder.path().join("b.db"))).await;
    one_release().await;
    many_waiting().await;
}
