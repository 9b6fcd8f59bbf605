//! Approvals: waiting for days costs nothing, and each end is its own (A15-A18, A25, A33, T35, X7).

mod after;
mod ends;
mod links;
mod people;
mod races;

use std::time::Duration;

use serde_json::{Value, json};

use crate::main_story::WEB;
use crate::world::{Answer, World, attempt, environment_status};

#[tokio::test(start_paused = true)]
async fn a_seven_day_approval_expires_as_a_rejection() {
    let world = World::new().await;
    world.save(WEB).await;
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    tokio::time::advance(Duration::from_secs(6 * 86_400)).await;
    assert_eq!(environment_status(&world.release(&release).await, "prod"), "InProgress");
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let view = world.at_rest(&release).await;
    assert_eq!(environment_status(&view, "prod"), "Rejected");
    assert!(world.sim.get("Deployment", "prod", "web").is_none(), "nothing was deployed");
}

#[tokio::test(start_paused = true)]
async fn rejecting_before_deployment_does_not_touch_the_cluster() {
    let world = World::new().await;
    world.save(WEB).await;
    let release = world.start("1.0.0").await;
    let approval = world.pending_approval(&release).await;
    let path = format!("/v1/releases/{release}/approvals/{approval}/reject");
    assert!(world.post(&path, &json!({ "comment": "not on a Friday" })).await.status.is_success());
    let view = world.at_rest(&release).await;
    let rejected = attempt(&view, "prod", 1);
    assert_eq!(
        (&rejected["status"], &rejected["operationStatus"]),
        (&json!("NotDeployed"), &json!("Rejected"))
    );
    assert!(world.sim.get("Deployment", "prod", "web").is_none());
}

#[tokio::test(start_paused = true)]
async fn approving_twice_or_after_the_end_is_refused_with_the_present_state() {
    let world = World::new().await;
    world.save(WEB).await;
    let release = world.start("1.0.0").await;
    let approval = world.pending_approval(&release).await;
    let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let again = world.post(&path, &json!({})).await;
    assert_eq!(again.status, 409);
    assert!(
        again.body["error"]["message"].as_str().unwrap().contains("already approved by"),
        "{:#}",
        again.body
    );

    let other = world.start("1.0.1").await;
    let approval = world.pending_approval(&other).await;
    let cancel = format!("/v1/releases/{other}/environments/prod/cancel");
    assert!(world.post(&cancel, &json!({})).await.status.is_success());
    let path = format!("/v1/releases/{other}/approvals/{approval}/approve");
    assert_eq!(world.post(&path, &json!({})).await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn who_is_no_approver_is_refused() {
    let world = World::new().await;
    world.save(WEB).await;
    let made = world.post("/v1/tokens", &json!({ "name": "dev", "role": "operator" })).await;
    let token = made.body["secret"].as_str().unwrap_or_else(|| panic!("{:#}", made.body)).to_owned();
    let release = world.start("1.0.0").await;
    let approval = world.pending_approval(&release).await;
    let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
    let refused = world.call_as(&token, http::Method::POST, &path, &json!({})).await;
    assert_eq!(refused.status, 403, "{:#}", refused.body);
}

/// A pipeline of one environment with these approvals and these stages, as flow-style YAML.
fn pipeline(approvals: &str, stages: &str) -> String {
    format!(
        "application: shop\npipeline: web\nartifacts: [{{name: web, image: shop/web}}]\nenvironments:\n\
        - name: prod\n  namespace: prod\n  approvals: {approvals}\n  stages: {stages}\n"
    )
}

const PAUSE: &str = "[{name: Pause, type: wait, duration: 1s}]";

impl World {
    /// The token of a person with that role.
    async fn person(&self, name: &str, role: &str) -> String {
        let made = self.post("/v1/tokens", &json!({ "name": name, "role": role })).await;
        made.body["secret"].as_str().unwrap_or_else(|| panic!("{:#}", made.body)).to_owned()
    }

    /// A request about the pending approval of a release: `approve`, `reassign`, `links`.
    async fn about(&self, token: &str, release: &str, verb: &str, ask: Value) -> Answer {
        let approval = self.pending_approval(release).await;
        let path = format!("/v1/releases/{release}/approvals/{approval}/{verb}");
        self.call_as(token, http::Method::POST, &path, &ask).await
    }

    /// The approval of the release that was opened last.
    async fn approval(&self, release: &str) -> Value {
        let view = self.release(release).await;
        attempt(&view, "prod", 1)["approvals"].as_array().unwrap().last().unwrap().clone()
    }

    /// The events of the release of that type.
    async fn told(&self, release: &str, what: &str) -> Vec<Value> {
        self.events(release).await.into_iter().filter(|e| e["type"] == what).collect()
    }
}

fn code(answer: &Answer) -> (u16, &str) {
    let code = answer.body["error"]["code"].as_str().unwrap_or("none");
    (answer.status.as_u16(), code)
}
