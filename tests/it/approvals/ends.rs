//! What an approval comes to: deferral, expiry as chosen, and the approval after the deployment.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PAUSE, code, pipeline};
use crate::world::{World, attempt, environment_status};

fn pair(view: &Value) -> (String, String) {
    let attempt = attempt(view, "prod", 1);
    let text = |name: &str| attempt[name].as_str().unwrap().to_owned();
    (text("status"), text("operationStatus"))
}

#[tokio::test(start_paused = true)]
async fn an_approval_for_later_defers_the_deployment_to_the_latest_time_named() {
    let world = World::new().await;
    world.save(&pipeline("{before: {approvers: [{role: approver}], required: 2}}", PAUSE)).await;
    let (ann, bob) = (world.person("ann", "approver").await, world.person("bob", "approver").await);
    let release = world.start("1.0.0").await;
    for wrong in ["2026-11-21T08:00:00Z", "2027-11-22T09:00:00Z"] {
        let refused = world.about(&ann, &release, "approve", json!({ "deferUntil": wrong })).await;
        assert_eq!(refused.status, 422, "{wrong}: {:#}", refused.body);
    }
    let ask = json!({ "deferUntil": "2026-11-23T02:00:00Z" });
    assert!(world.about(&ann, &release, "approve", ask).await.status.is_success());
    let ask = json!({ "deferUntil": "2026-11-22T02:00:00Z" });
    let approved = world.about(&bob, &release, "approve", ask).await;
    assert_eq!(approved.body["deferUntil"], "2026-11-23T02:00:00Z");
    let deferred = |view: &Value| pair(view).1 == "Deferred";
    let view = world.until(&release, "the deployment deferred", deferred).await;
    assert_eq!(pair(&view), ("NotDeployed".to_owned(), "Deferred".to_owned()), "A18");
    assert_eq!(environment_status(&view, "prod"), "Scheduled");
    let now = json!({ "now": true });
    let sooner = world.post(&format!("/v1/releases/{release}/environments/prod/deploy"), &now).await;
    let message = sooner.body["error"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "cannot deploy: attempt 1 to `prod` was approved for 2026-11-23T02:00:00Z; cancel it and deploy again to \
         start before that"
    );
    tokio::time::advance(Duration::from_secs(40 * 3600)).await;
    assert!(deferred(&world.release(&release).await), "not before its time");
    tokio::time::advance(Duration::from_secs(3600)).await;
    let view = world.at_rest(&release).await;
    assert_eq!(environment_status(&view, "prod"), "Succeeded");
    let started: jiff::Timestamp = attempt(&view, "prod", 1)["startedAt"].as_str().unwrap().parse().unwrap();
    let wanted: jiff::Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
    assert!(started >= wanted && started.as_second() - wanted.as_second() < 60, "{started}");
}

/// A18, X2: what was approved for later keeps its environment, until it has ended or is canceled (A21).
#[tokio::test(start_paused = true)]
async fn a_deferred_deployment_holds_its_environment_until_it_ends() {
    for cancels in [false, true] {
        let world = World::new().await;
        world.save(&pipeline("{before: {approvers: [{role: approver}]}}", PAUSE)).await;
        let token = world.token.clone();
        let first = world.start("1.0.0").await;
        let ask = json!({ "deferUntil": "2026-11-23T02:00:00Z" });
        assert!(world.about(&token, &first, "approve", ask).await.status.is_success());
        world.until(&first, "the deployment deferred", |view| pair(view).1 == "Deferred").await;
        let second = world.start("1.1.0").await;
        let waits = |view: &Value| pair(view).1 == "Queued" && attempt(view, "prod", 1)["line"]["place"] == 1;
        world.until(&second, "its place in line", waits).await;
        tokio::time::advance(Duration::from_secs(40 * 3600)).await;
        assert_eq!(pair(&world.release(&first).await).1, "Deferred");
        let line = attempt(&world.release(&second).await, "prod", 1)["line"].clone();
        assert_eq!(line["place"], 1, "{line:#}");
        if cancels {
            let cancel = format!("/v1/releases/{first}/environments/prod/cancel");
            assert!(world.post(&cancel, &json!({})).await.status.is_success());
            world.pending_approval(&second).await;
            let over = world.release(&first).await;
            assert_eq!(pair(&over), ("NotDeployed".to_owned(), "Canceled".to_owned()), "A21");
        } else {
            tokio::time::advance(Duration::from_secs(3600)).await;
            world.pending_approval(&second).await;
            let over = world.release(&first).await;
            assert_eq!(pair(&over), ("Succeeded".to_owned(), "Approved".to_owned()));
            let ended: jiff::Timestamp =
                attempt(&over, "prod", 1)["endedAt"].as_str().unwrap().parse().unwrap();
            let entered = &world.told(&second, "LaneEntered").await[0];
            assert!(entered["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() >= ended);
        }
        assert!(world.approve(&second).await.status.is_success());
        assert_eq!(pair(&world.at_rest(&second).await), ("Succeeded".to_owned(), "Approved".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_expiry_ends_as_the_policy_chose() {
    for (on_expiry, status, operation, environment, recorded) in [
        ("reject", "NotDeployed", "Rejected", "Rejected", Value::Null),
        ("cancel", "NotDeployed", "Canceled", "Canceled", json!("cancel")),
        ("approve", "Succeeded", "Approved", "Succeeded", json!("approve")),
    ] {
        let world = World::new().await;
        let policy =
            format!("{{before: {{approvers: [{{role: approver}}], timeout: 2d, onExpiry: {on_expiry}}}}}");
        world.save(&pipeline(&policy, PAUSE)).await;
        let release = world.start("1.0.0").await;
        world.pending_approval(&release).await;
        tokio::time::advance(Duration::from_secs(2 * 86_400)).await;
        let view = world.at_rest(&release).await;
        assert_eq!(pair(&view), (status.to_owned(), operation.to_owned()), "{on_expiry}");
        assert_eq!(environment_status(&view, "prod"), environment);
        let told = world.told(&release, "ApprovalExpired").await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["expiredAs"], recorded);
        let approval = world.approval(&release).await;
        assert!(approval["endedAt"].is_string() && approval["pending"] == false, "{approval:#}");
        let path = format!("/v1/releases/{release}/approvals/{}/approve", approval["id"].as_str().unwrap());
        assert_eq!(code(&world.post(&path, &json!({})).await), (409, "approval_ended"));
    }
}

const AFTER: &str = "{after: {approvers: [{role: approver}], timeout: 1d, \
    instructions: 'Look said ${ stages.Look.output.input }.'}}";
const LOOK: &str = "[{name: Look, type: manual-judgment, inputs: [good, bad]}]";

/// A release of which every stage is done, and whose approval after the deployment is pending (A25).
async fn deployed(world: &World) -> String {
    world.save(&pipeline(AFTER, LOOK)).await;
    let release = world.start("1.0.0").await;
    let token = world.token.clone();
    assert!(world.about(&token, &release, "approve", json!({ "input": "good" })).await.status.is_success());
    let pending = |view: &Value| pair(view) == ("InProgress".to_owned(), "Pending".to_owned());
    world.until(&release, "the approval after deployment", pending).await;
    let approval = world.approval(&release).await;
    assert_eq!((&approval["asks"], &approval["pending"]), (&json!("afterDeployment"), &json!(true)));
    assert_eq!(approval["instructions"], "Look said good.");
    release
}

#[tokio::test(start_paused = true)]
async fn the_approval_after_deployment_ends_it_as_succeeded_or_as_rejected() {
    let world = World::new().await;
    let token = world.token.clone();
    let good = deployed(&world).await;
    assert!(world.about(&token, &good, "approve", json!({})).await.status.is_success());
    assert_eq!(pair(&world.at_rest(&good).await), ("Succeeded".to_owned(), "Approved".to_owned()));
    let asked = world.told(&good, "ApprovalRequested").await;
    assert_eq!(asked.last().unwrap()["after"], true);

    let bad = deployed(&world).await;
    let later = json!({ "deferUntil": "2026-12-01T00:00:00Z" });
    assert_eq!(world.about(&token, &bad, "approve", later).await.status, 422, "nothing is left to defer");
    assert!(world.about(&token, &bad, "reject", json!({ "comment": "errors" })).await.status.is_success());
    let view = world.at_rest(&bad).await;
    assert_eq!(pair(&view), ("Failed".to_owned(), "Rejected".to_owned()), "A33");
    assert_eq!(attempt(&view, "prod", 1)["reason"], "rejected by admin");

    let ignored = deployed(&world).await;
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert_eq!(pair(&world.at_rest(&ignored).await), ("Failed".to_owned(), "Rejected".to_owned()));
}
