//! Trying again from the failed stage: what succeeded is not run again (H5).

use serde_json::{Value, json};

use super::{act, environment, pair, pipeline};
use crate::main_story::running;
use crate::world::{World, attempt};

async fn from_failed(world: &World, release: &str) -> crate::world::Answer {
    let path = format!("/v1/releases/{release}/environments/prod/deploy");
    world.post(&path, &json!({ "from": "failed" })).await
}

/// `prod` with a question between its two stages.
fn asking(rollback: &Value) -> String {
    let mut prod = environment("prod", rollback);
    let ask = json!({ "name": "Ask", "type": "manual-judgment", "dependsOn": ["Config"] });
    prod["stages"].as_array_mut().unwrap().insert(1, ask);
    prod["stages"][2]["dependsOn"] = json!(["Ask"]);
    pipeline(&[prod])
}

/// A release whose question was answered with no, over one that is well.
async fn failed(world: &World, rollback: &Value) -> String {
    world.save(&asking(rollback)).await;
    let good = world.start("1.0.0").await;
    world.approve(&good).await;
    world.at_rest(&good).await;
    let release = world.start("1.1.0").await;
    let approval = world.pending_approval(&release).await;
    world.post(&format!("/v1/releases/{release}/approvals/{approval}/reject"), &json!({})).await;
    world.at_rest(&release).await;
    release
}

#[tokio::test(start_paused = true)]
async fn h5_a_retry_from_the_failed_stage_takes_over_what_succeeded() {
    let world = World::new().await;
    let release = failed(&world, &json!({})).await;
    let answer = from_failed(&world, &release).await;
    assert_eq!(answer.status, 202, "{:#}", answer.body);
    world.approve(&release).await;
    let view = world.at_rest(&release).await;
    let retry = attempt(&view, "prod", 2);
    assert_eq!((pair(&retry), &retry["continues"]), (("Succeeded", "Approved"), &json!(1)), "{retry:#}");
    let (config, deploy) = (&retry["stages"][0], &retry["stages"][2]);
    assert_eq!((&config["status"], &config["carriedFrom"]), (&json!("succeeded"), &json!(1)));
    assert_eq!((&deploy["status"], &deploy["carriedFrom"]), (&json!("succeeded"), &Value::Null));
    let began =
        |e: &Value| e["type"] == "StageStarted" && e["stage"] == "Config" && e["environment"] == "prod";
    assert_eq!(world.events(&release).await.iter().filter(|e| began(e)).count(), 1, "it ran once");
    assert_eq!(running(&world, "prod").1, "1.1.0");
    assert_eq!(world.proof(&release).await.findings, Vec::<String>::new());
    // What was taken over is taken back too, with the attempt that it ran in.
    let view = act(&world, &release, "rollback").await;
    assert_eq!(super::stage_names(&attempt(&view, "prod", 3)), ["Undo Deploy", "Undo Config (attempt 1)"]);
    assert_eq!(running(&world, "prod").1, "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn h5_what_does_not_stand_any_more_cannot_be_gone_on_from() {
    let world = World::new().await;
    let release = failed(&world, &json!({ "policy": "on_failure" })).await;
    let refused = from_failed(&world, &release).await;
    assert_eq!(refused.status, 409);
    let why = refused.body["error"]["message"].as_str().unwrap();
    assert!(why.contains("attempt 1 was rolled back by attempt 2"), "{why}");
    let good = world.start("1.2.0").await;
    world.approve(&good).await;
    world.at_rest(&good).await;
    let refused = from_failed(&world, &good).await;
    let why = refused.body["error"]["message"].as_str().unwrap();
    assert!(why.contains("no stage of attempt 1 failed"), "{why}");
}
