//! One deployment at a time in an environment, first come, first served (X2, invariant 6).

use serde_json::json;

use crate::main_story::{WEB, running};
use crate::world::{World, attempt, environment_status};

#[tokio::test(start_paused = true)]
async fn a_second_release_waits_until_the_first_has_left_the_environment() {
    let world = World::new().await;
    world.save(WEB).await;
    let first = world.start("1.0.0").await;
    world.pending_approval(&first).await;
    let second = world.start("1.1.0").await;
    let third = world.start("1.2.0").await;
    let queued = |v: &serde_json::Value| attempt(v, "prod", 1)["operationStatus"] == "Queued";
    world.until(&second, "the second in line", queued).await;
    world.until(&third, "the third in line", queued).await;
    assert_eq!(environment_status(&world.release(&second).await, "prod"), "Queued");

    world.approve(&first).await;
    world.at_rest(&first).await;
    assert_eq!(running(&world, "prod").1, "1.0.0");
    world.pending_approval(&second).await;
    let waits = world.release(&third).await;
    assert_eq!(attempt(&waits, "prod", 1)["operationStatus"], "Queued", "one after the other");
    world.approve(&second).await;
    world.at_rest(&second).await;
    world.approve(&third).await;
    world.at_rest(&third).await;
    assert_eq!(running(&world, "prod").1, "1.2.0");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_does_not_hold_up_those_behind() {
    let world = World::new().await;
    world.save(WEB).await;
    let first = world.start("1.0.0").await;
    world.pending_approval(&first).await;
    let second = world.start("1.1.0").await;
    let third = world.start("1.2.0").await;
    let queued = |v: &serde_json::Value| attempt(v, "prod", 1)["operationStatus"] == "Queued";
    world.until(&second, "the second in line", queued).await;
    world.until(&third, "the third in line", queued).await;
    let cancel = format!("/v1/releases/{second}/environments/prod/cancel");
    assert!(world.post(&cancel, &json!({})).await.status.is_success());
    world.at_rest(&second).await;
    world.approve(&first).await;
    world.approve(&third).await;
    world.at_rest(&third).await;
    assert_eq!(running(&world, "prod").1, "1.2.0");
}
