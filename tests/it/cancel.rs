//! Cancelling: truthful, bounded, and final (H4, A21, A28, A32).

use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::json;

use crate::main_story::WEB;
use crate::world::{World, attempt, environment_status};

#[tokio::test(start_paused = true)]
async fn a_deployment_that_waits_for_approval_is_cancelled_at_once() {
    let world = World::new().await;
    world.save(WEB).await;
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    let cancel = format!("/v1/releases/{release}/environments/prod/cancel");
    assert!(world.post(&cancel, &json!({})).await.status.is_success());
    let view = world.at_rest(&release).await;
    let canceled = attempt(&view, "prod", 1);
    assert_eq!(
        (&canceled["status"], &canceled["operationStatus"]),
        (&json!("NotDeployed"), &json!("Canceled"))
    );
    assert_eq!(environment_status(&view, "prod"), "Canceled");
    let again = world.post(&cancel, &json!({})).await;
    assert_eq!(again.status, 409);
    assert!(again.body["error"]["message"].as_str().unwrap().contains("NotDeployed"), "{:#}", again.body);
}

#[tokio::test(start_paused = true)]
async fn a_running_stage_notices_a_cancel_within_seconds_and_nothing_new_starts() {
    let world = World::new().await;
    world.save(WEB).await;
    world.sim.set_rules(vec![ImageRule::new("*", Behaviour::NeverReady { message: None })]);
    let release = world.start("1.0.0").await;
    let runs = |v: &serde_json::Value| attempt(v, "dev", 1)["stages"][0]["status"] == "running";
    world.until(&release, "the stage running", runs).await;
    let asked = world.clock.now();
    let cancel = format!("/v1/releases/{release}/environments/dev/cancel");
    let answer = world.post(&cancel, &json!({})).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    let view = world.at_rest(&release).await;
    let took = world.clock.now().duration_since(asked);
    assert!(took.as_secs() <= 5, "the cancel took {took:?}");
    let canceled = attempt(&view, "dev", 1);
    assert_eq!((&canceled["status"], &canceled["operationStatus"]), (&json!("Failed"), &json!("Canceled")));
    assert_eq!(canceled["stages"][0]["status"], "canceled");
    assert_eq!(environment_status(&view, "prod"), "NotStarted");
}

/// X3: what is left in the cluster is asked of the cluster, and said in the stage and in the timeline.
#[tokio::test(start_paused = true)]
async fn a_cancelled_rollout_says_how_far_it_came() {
    let world = World::new().await;
    world.save(WEB).await;
    world.sim.set_rules(vec![ImageRule::new("*", Behaviour::NeverReady { message: None })]);
    let release = world.start("1.0.0").await;
    let runs = |v: &serde_json::Value| attempt(v, "dev", 1)["stages"][0]["status"] == "running";
    world.until(&release, "the stage running", runs).await;
    world.post(&format!("/v1/releases/{release}/environments/dev/cancel"), &json!({})).await;
    let view = world.at_rest(&release).await;
    let said = attempt(&view, "dev", 1)["stages"][0]["reason"].as_str().unwrap().to_owned();
    assert!(said.starts_with("canceled by admin: Deployment dev/web: 0 of 2 pods available"), "{said}");
    assert!(said.ends_with("; left as it is"), "{said}");
    let events = world.events(&release).await;
    let ended = events.iter().find(|e| e["type"] == "StageEnded").unwrap();
    assert_eq!((ended["status"].as_str(), ended["reason"].as_str()), (Some("canceled"), Some(said.as_str())));
    assert!(world.sim.get("Deployment", "dev", "web").is_some(), "a cancel takes nothing back");
}

/// X3: a cancel is bounded, whatever the cluster does.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_keeps_no_cancel_waiting() {
    let world = World::new().await;
    world.save(WEB).await;
    world.sim.set_rules(vec![ImageRule::new("*", Behaviour::NeverReady { message: None })]);
    let release = world.start("1.0.0").await;
    let watched = |v: &serde_json::Value| {
        attempt(v, "dev", 1)["stages"][0]["progress"].as_str().is_some_and(|p| p.contains("available"))
    };
    world.until(&release, "the stage watched", watched).await;
    world.sim.set_down(true);
    let asked = world.clock.now();
    world.post(&format!("/v1/releases/{release}/environments/dev/cancel"), &json!({})).await;
    let view = world.at_rest(&release).await;
    let took = world.clock.now().duration_since(asked);
    assert!(took.as_secs() <= 60, "the cancel took {took:?}");
    let said = attempt(&view, "dev", 1)["stages"][0]["reason"].as_str().unwrap().to_owned();
    assert!(said.contains("the cluster could not be read"), "{said}");
    assert!(said.contains("last seen: Deployment dev/web: 0 of 2 pods available"), "{said}");
}
