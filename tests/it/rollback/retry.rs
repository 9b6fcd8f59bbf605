//! Trying again from the failed stage: what succeeded is not run again (H5).

use serde_json::{Value, json};

use super::{act, environment, pair, pipeline};
use crate::main_story::running;
use crate::world::{World, attempt, digest_of};

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

/// `shop/web` with an approval before its deployment and the question between its stages; gives a release whose first attempt
/// deployed `Config` and was told no then.
async fn failed_behind_an_approval(world: &World) -> String {
    let mut pipeline: Value = serde_json::from_str(&asking(&json!({}))).unwrap();
    pipeline["environments"][0]["approvals"] = json!({ "before": { "approvers": [{ "role": "operator" }] } });
    world.save(&pipeline.to_string()).await;
    let release = world.start("1.1.0").await;
    world.approve(&release).await;
    reject(world, &release).await;
    assert_eq!(pair(&attempt(&world.at_rest(&release).await, "prod", 1)), ("Failed", "PhaseFailed"));
    release
}

async fn reject(world: &World, release: &str) {
    let approval = world.pending_approval(release).await;
    let answer = world.post(&format!("/v1/releases/{release}/approvals/{approval}/reject"), &json!({})).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

/// A release that has the lane, and waits for its approval: it may deploy, or not.
async fn in_the_lane(world: &World) -> String {
    let release = world.start("1.2.0").await;
    world.pending_approval(&release).await;
    release
}

/// It goes on from attempt 1, and comes to a good end.
async fn goes_on_from_the_first(world: &World, release: &str, number: u64) {
    let answer = from_failed(world, release).await;
    assert_eq!(answer.status, 202, "{:#}", answer.body);
    world.approve(release).await;
    world.approve(release).await;
    let view = world.at_rest(release).await;
    let retry = attempt(&view, "prod", number);
    assert_eq!((pair(&retry), &retry["continues"]), (("Succeeded", "Approved"), &json!(1)), "{retry:#}");
    assert_eq!(retry["stages"][0]["carriedFrom"], json!(1), "{retry:#}");
    assert_eq!(running(world, "prod").1, "1.1.0");
}

#[tokio::test(start_paused = true)]
async fn h5_a_retry_that_waited_in_line_does_not_go_on_over_what_was_deployed_meanwhile() {
    let world = World::new().await;
    let release = failed_behind_an_approval(&world).await;
    let other = in_the_lane(&world).await;
    let answer = from_failed(&world, &release).await;
    assert_eq!(answer.status, 202, "nothing newer is deployed yet: {:#}", answer.body);
    world.approve(&other).await;
    world.approve(&other).await;
    assert_eq!(pair(&attempt(&world.at_rest(&other).await, "prod", 1)), ("Succeeded", "Approved"));
    let over = |view: &Value| attempt(view, "prod", 2)["operationStatus"] != "Queued";
    let retry = attempt(&world.until(&release, "the retry out of the line", over).await, "prod", 2);
    assert_eq!(pair(&retry), ("NotDeployed", "Canceled"), "{retry:#}");
    let why = retry["reason"].as_str().unwrap_or_default();
    assert!(why.contains(&other) && why.contains("deploy from the start"), "{retry:#}");
    let (image, config) = running(&world, "prod");
    assert!(config == "1.2.0" && image.contains(&digest_of("1.2.0")), "{config}, {image}");
}

#[tokio::test(start_paused = true)]
async fn h5_after_a_retry_that_was_canceled_in_line_one_goes_on_from_the_attempt_that_failed() {
    let world = World::new().await;
    let release = failed_behind_an_approval(&world).await;
    let other = in_the_lane(&world).await;
    assert_eq!(from_failed(&world, &release).await.status, 202);
    let canceled = act(&world, &release, "cancel").await;
    assert_eq!(pair(&attempt(&canceled, "prod", 2)), ("NotDeployed", "Canceled"));
    reject(&world, &other).await;
    world.at_rest(&other).await;
    goes_on_from_the_first(&world, &release, 3).await;
}

#[tokio::test(start_paused = true)]
async fn h5_after_a_deployment_that_was_rejected_before_it_began_one_goes_on_from_the_attempt_that_failed() {
    let world = World::new().await;
    let release = failed_behind_an_approval(&world).await;
    let path = format!("/v1/releases/{release}/environments/prod/deploy");
    assert_eq!(world.post(&path, &json!({})).await.status, 202);
    reject(&world, &release).await;
    assert_eq!(pair(&attempt(&world.at_rest(&release).await, "prod", 2)), ("NotDeployed", "Rejected"));
    goes_on_from_the_first(&world, &release, 3).await;

    // Where no attempt ever began there is nothing to go on from.
    let other = in_the_lane(&world).await;
    reject(&world, &other).await;
    world.at_rest(&other).await;
    let refused = from_failed(&world, &other).await;
    assert_eq!(refused.status, 409, "{:#}", refused.body);
    let why = refused.body["error"]["message"].as_str().unwrap();
    assert!(why.contains("nothing was deployed there before"), "{why}");
}
