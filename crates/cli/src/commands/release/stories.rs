//! A release of every kind, read back through `release show` and its timeline: what happened and why must be there for a
//! stranger who has no logs (issue: the whole life of a release). The text of each is a snapshot, to be read as one.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header};
use jiff::Timestamp;
use pilothouse_domain::timeline::Event;
use pilothouse_local::{ClusterChoice, System};
use pilothouse_operations::clock::{SharedClock, TokioClock};
use pilothouse_operations::first_admin_token;
use pilothouse_serve_api::api::{HistoryEntry, List, ReleaseSummary, ReleaseView};
use pilothouse_sim_cluster::{Behaviour, ImageRule, SimCluster};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{history_row, shown, summary_row};
use crate::view::timeline;

/// A system in virtual time, on Saturday 2026-11-21, 09:00 UTC.
struct World {
    system: System,
    sim: SimCluster,
    clock: SharedClock,
    token: String,
}

/// The clock of the cluster, told by the system's.
struct Told(SharedClock);

impl pilothouse_sim_cluster::Clock for Told {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// `dev`, then `prod`, each one Deployment of the image; prod has what `prod` adds.
fn pipeline(prod: &Value) -> Value {
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "shop/web"}]}}}});
    let deploy = json!({"name": "Deploy", "type": "deploy-manifest", "timeout": "2m", "manifests": manifest.to_string()});
    let mut environments = json!([
        {"name": "dev", "namespace": "dev", "stages": [deploy]},
        {"name": "prod", "namespace": "prod", "after": ["dev"], "stages": [deploy]},
    ]);
    environments[1].as_object_mut().unwrap().extend(prod.as_object().unwrap().clone());
    let artifacts = json!([{"name": "web", "image": "shop/web"}]);
    json!({"application": "shop", "pipeline": "web", "artifacts": artifacts, "environments": environments})
}

fn asked() -> Value {
    json!({"approvals": {"before": {"approvers": [{"role": "approver"}], "timeout": "10m"}}})
}

impl World {
    async fn new(prod: &Value) -> Self {
        let clock: SharedClock = Arc::new(TokioClock::starting_at("2026-11-21T09:00:00Z".parse().unwrap()));
        let told = Arc::new(Told(Arc::clone(&clock)));
        let sim = SimCluster::builder().clock(told).namespaces(["dev", "prod"]).build().await.unwrap();
        let system = System::builder(ClusterChoice::Sim(sim.clone()))
            .clock(Arc::clone(&clock))
            .seed(7)
            .without_background()
            .build()
            .await
            .unwrap();
        let token = first_admin_token(system.context()).await.unwrap().unwrap();
        let world = Self { system, sim, clock, token };
        world.send(Method::PUT, "/v1/pipelines", &pipeline(prod)).await;
        world
    }

    /// What the API answers; panics when it refuses.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }))
            .unwrap();
        let response = self.system.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 16 << 20).await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, path, body).await
    }

    /// Starts a release of that tag with `more` in the question.
    async fn start(&self, tag: &str, more: &Value) -> String {
        let digest = format!("sha256:{tag:0>64}").replace('.', "0");
        let mut ask = json!({"application": "shop", "pipeline": "web", "artifacts": {"web": {"tag": tag, "digest": digest}}});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/v1/releases", &ask).await["id"].as_str().unwrap().to_owned()
    }

    /// Does something to prod.
    async fn act(&self, release: &str, action: &str, body: &Value) {
        self.post(&format!("/v1/releases/{release}/environments/prod/{action}"), body).await;
    }

    async fn view(&self, release: &str) -> ReleaseView {
        let view = self.send(Method::GET, &format!("/v1/releases/{release}"), &Value::Null).await;
        serde_json::from_value(view).unwrap()
    }

    /// Until `text` stands in what is shown, a quarter of a virtual hour at most.
    async fn until(&self, release: &str, text: &str) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..900 {
            tick.tick().await;
            if plain(&shown(&self.view(release).await, self.clock.now())).contains(text) {
                return;
            }
        }
        panic!("never shown: {text}\n{}", self.told(release).await);
    }

    async fn at_rest(&self, release: &str) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..900 {
            tick.tick().await;
            if self.view(release).await.at_rest {
                return;
            }
        }
        panic!("it never comes to rest:\n{}", self.told(release).await);
    }

    async fn decide(&self, release: &str, what: &str, comment: &str) {
        self.until(release, "approve").await;
        let open = self.send(Method::GET, "/v1/approvals", &Value::Null).await;
        let open = open["items"].as_array().unwrap();
        let id = open.iter().find(|approval| approval["release"] == *release).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.post(&format!("/v1/releases/{release}/approvals/{id}/{what}"), &json!({ "comment": comment }))
            .await;
    }

    /// A release that went through.
    async fn deployed(&self, tag: &str) -> String {
        let release = self.start(tag, &json!({})).await;
        self.at_rest(&release).await;
        release
    }

    fn crash_in_prod(&self, tag: &str) {
        let behaviour = Behaviour::crash_loop("panic: no database");
        self.sim.set_rules(vec![ImageRule::new(format!("*:{tag}@*"), behaviour).in_namespace("prod")]);
    }

    /// What `release show` and `release events` say, without what differs from run to run.
    async fn told(&self, release: &str) -> String {
        let events = self.send(Method::GET, &format!("/v1/releases/{release}/events"), &Value::Null).await;
        let events: Vec<Event> = serde_json::from_value(events["events"].clone()).unwrap();
        let mut text = shown(&self.view(release).await, self.clock.now());
        let _ = write!(text, "\n{}", timeline(&events));
        stable(&plain(&text))
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Every id by its kind alone, and no blanks at the ends of lines.
fn stable(text: &str) -> String {
    let mut stable = String::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| match word.split_once('_') {
                Some((kind @ ("rel" | "dep" | "apr" | "dlv"), id)) if id.len() >= 26 => {
                    format!("{kind}_..{}", &id[26..])
                }
                // The hash of what approvers are shown: the release's id is in it.
                _ if word.strip_suffix("…:").is_some_and(|hash| hash.len() == 12) => "..…:".to_owned(),
                _ => word.to_owned(),
            })
            .collect();
        let _ = writeln!(stable, "{}", words.join(" ").trim_end());
    }
    stable
}

#[tokio::test(start_paused = true)]
async fn one_that_succeeded_after_its_approval() {
    let world = World::new(&asked()).await;
    let release = world.start("1.0.0", &json!({})).await;
    world.decide(&release, "approve", "looks good in dev").await;
    world.at_rest(&release).await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_its_approval() {
    let world = World::new(&asked()).await;
    let release = world.start("1.0.0", &json!({})).await;
    world.until(&release, "approve").await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_rejected() {
    let world = World::new(&asked()).await;
    let release = world.start("1.0.0", &json!({})).await;
    world.decide(&release, "reject", "the migration is missing").await;
    world.at_rest(&release).await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_decided_on() {
    let world = World::new(&asked()).await;
    let release = world.start("1.0.0", &json!({})).await;
    world.at_rest(&release).await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_crashed_and_rolled_itself_back() {
    let world = World::new(&json!({"rollback": {"policy": "on_failure"}})).await;
    world.deployed("1.0.0").await;
    world.crash_in_prod("1.1.0");
    let release = world.deployed("1.1.0").await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_crashed_where_a_person_decides_about_the_rollback() {
    let world = World::new(&json!({"rollback": {"policy": "manual"}})).await;
    world.deployed("1.0.0").await;
    world.crash_in_prod("1.1.0");
    let release = world.deployed("1.1.0").await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_taken_back_by_hand() {
    let world = World::new(&json!({})).await;
    world.deployed("1.0.0").await;
    let release = world.deployed("1.1.0").await;
    world.act(&release, "rollback", &json!({})).await;
    world.at_rest(&release).await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_whose_gates_failed() {
    let check = json!({"name": "catalogue", "type": "cluster", "object": {"kind": "Deployment", "name": "catalogue"}, "available": true});
    let gate = json!({"checks": [check], "interval": "30s", "timeout": "2m"});
    let world = World::new(&json!({"gates": {"before": gate}})).await;
    let release = world.deployed("1.0.0").await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_cancelled_while_it_rolled_out() {
    let world = World::new(&json!({})).await;
    let never = Behaviour::NeverReady { message: Some("cannot reach the queue".to_owned()) };
    world.sim.set_rules(vec![ImageRule::new("*:1.0.0@*".to_owned(), never).in_namespace("prod")]);
    let release = world.start("1.0.0", &json!({})).await;
    world.until(&release, "prod  deploys").await;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..30 {
        tick.tick().await;
    }
    world.act(&release, "cancel", &json!({})).await;
    world.at_rest(&release).await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_somebody_paused() {
    let world = World::new(&asked()).await;
    let release = world.start("1.0.0", &json!({})).await;
    world.until(&release, "approve").await;
    world.act(&release, "pause", &json!({})).await;
    world.decide(&release, "approve", "").await;
    world.until(&release, "paused").await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_office_hours() {
    let windows = json!([{"days": "weekdays", "from": "08:00", "to": "17:00"}]);
    let world = World::new(&json!({"schedule": {"windows": windows, "timezone": "Europe/Berlin"}})).await;
    let release = world.start("1.0.0", &json!({})).await;
    world.until(&release, "waits for its time").await;
    insta::assert_snapshot!(world.told(&release).await);
}

#[tokio::test(start_paused = true)]
async fn a_draft_and_one_that_was_given_up() {
    let world = World::new(&json!({})).await;
    let release = world.start("1.0.0", &json!({"draft": true, "skippedEnvironments": ["dev"]})).await;
    let draft = world.told(&release).await;
    world.post(&format!("/v1/releases/{release}/abandon"), &json!({"reason": "superseded by 1.0.1"})).await;
    insta::assert_snapshot!(format!("{draft}\n---\n\n{}", world.told(&release).await));
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_behind_another() {
    let world = World::new(&asked()).await;
    let first = world.start("1.0.0", &json!({})).await;
    world.until(&first, "approve").await;
    let release = world.start("1.1.0", &json!({})).await;
    world.until(&release, "prod  waits").await;
    insta::assert_snapshot!(world.told(&release).await);
}

/// In a list a rollback that succeeded must not read as a success of the release, nor what is held as what is to come.
#[tokio::test(start_paused = true)]
async fn lists_tell_what_was_taken_back_and_what_is_held() {
    let world = World::new(&json!({"rollback": {"policy": "on_failure"}})).await;
    world.deployed("1.0.0").await;
    world.crash_in_prod("1.1.0");
    world.deployed("1.1.0").await;
    world.deployed("1.1.0").await;
    let list = world.send(Method::GET, "/v1/releases?application=shop", &Value::Null).await;
    let list: List<ReleaseSummary> = serde_json::from_value(list).unwrap();
    let history = world.send(Method::GET, "/v1/environments/shop/prod/history", &Value::Null).await;
    let history: List<HistoryEntry> = serde_json::from_value(history).unwrap();
    let now = world.clock.now();
    let rows = list.items.iter().map(|release| summary_row(release, now)[2..4].join("  "));
    let took = history.items.iter().map(|entry| history_row(entry, now)[2..5].join("  "));
    insta::assert_snapshot!(rows.chain(took).collect::<Vec<_>>().join("\n"), @r"
    succeeded  dev Succeeded, prod Held
    rolled back  dev Succeeded, prod RolledBack
    succeeded  dev Succeeded, prod Succeeded
    rollback  Succeeded (Approved)  took back shop/web:1.1.0
    deploy  Failed (PhaseFailed), undone by 2  shop/web:1.1.0
    deploy  Succeeded (Approved), current  shop/web:1.0.0
    ");
}
