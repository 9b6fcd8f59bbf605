//! The installation's limit (A20, A27) and a cluster's slots (A19, A26).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{attempt_of, deploys, holders, judged, place, until_waiting};
use crate::world::World;

async fn limit(world: &World, path: &str, at_once: u32) {
    let answer = world.put(&format!("/v1/limits/{path}"), &json!({ "atOnce": at_once })).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

async fn lift(world: &World, path: &str) {
    let answer =
        world.call_as(&world.token, Method::DELETE, &format!("/v1/limits/{path}"), &Value::Null).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

fn pair(view: &Value) -> (Value, Value) {
    let attempt = attempt_of(view);
    (attempt["status"].clone(), attempt["operationStatus"].clone())
}

#[tokio::test(start_paused = true)]
async fn the_installation_lets_as_many_begin_as_its_limit_says() {
    let world = World::new().await;
    world.save(&judged("{policy: all}", "")).await;
    limit(&world, "installation", 2).await;
    let first = deploys(&world, "1.0.0").await;
    let second = deploys(&world, "1.1.0").await;
    let third = world.start("1.2.0").await;
    let fourth = world.start("1.3.0").await;
    let waits = until_waiting(&world, &third, "QueuedForPipeline").await;
    assert_eq!(pair(&waits), (json!("NotDeployed"), json!("QueuedForPipeline")), "A20");
    until_waiting(&world, &fourth, "QueuedForPipeline").await;
    assert_eq!(place(&world, &fourth).await, json!(2));
    let reason = attempt_of(&world.release(&fourth).await)["reason"].clone();
    assert_eq!(
        reason,
        json!(format!("2nd in line behind release {third} for the installation's limit, 2 of 2 taken"))
    );
    let events = world.events(&third).await;
    assert!(events.iter().any(|e| e["type"] == "RoomAwaited" && e["limit"] == 2), "{events:#?}");

    world.judge(&first).await;
    world.at_rest(&first).await;
    super::until_deploying(&world, &third).await;
    assert_eq!(attempt_of(&world.release(&fourth).await)["operationStatus"], "QueuedForPipeline");
    // A wider limit lets in whoever it has room for, at once.
    limit(&world, "installation", 3).await;
    super::until_deploying(&world, &fourth).await;
    for release in [second, third, fourth] {
        world.judge(&release).await;
        world.at_rest(&release).await;
    }
    let limits = world.get("/v1/limits").await.body;
    assert_eq!(limits["items"][0], json!({ "lane": "installation", "atOnce": 3, "holders": [], "line": [] }));
    lift(&world, "installation").await;
    assert_eq!(world.get("/v1/limits").await.body["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_lets_as_many_begin_as_it_has_slots_and_a_lifted_limit_lets_all_in() {
    let world = World::new().await;
    world.save(&judged("{policy: all}", "")).await;
    limit(&world, "clusters/default", 1).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    let third = world.start("1.2.0").await;
    let waits = until_waiting(&world, &second, "QueuedForAgent").await;
    assert_eq!(pair(&waits), (json!("NotDeployed"), json!("QueuedForAgent")), "A19");
    until_waiting(&world, &third, "QueuedForAgent").await;
    let lane = world.get("/v1/limits").await.body["items"][0].clone();
    assert_eq!((&lane["lane"], &lane["name"]), (&json!("cluster"), &json!("default")));
    assert_eq!(holders(&lane), std::slice::from_ref(&first));
    lift(&world, "clusters/default").await;
    // Nobody had to leave.
    super::until_deploying(&world, &second).await;
    super::until_deploying(&world, &third).await;
    for release in [first, second, third] {
        world.judge(&release).await;
        world.at_rest(&release).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_gives_its_room_back_and_waits_for_it_when_it_is_resumed() {
    let world = World::new().await;
    world.save(&judged("{policy: all}", "")).await;
    limit(&world, "installation", 1).await;
    limit(&world, "clusters/default", 1).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    until_waiting(&world, &second, "QueuedForPipeline").await;

    // Its first stage comes to its end, its second does not begin.
    world.act_in_prod(&first, "pause").await;
    world.judge(&first).await;
    super::until_deploying(&world, &second).await;
    world.act_in_prod(&first, "resume").await;
    let waits = until_waiting(&world, &first, "QueuedForPipeline").await;
    assert_eq!(pair(&waits), (json!("InProgress"), json!("QueuedForPipeline")), "A27");
    lift(&world, "installation").await;
    let waits = until_waiting(&world, &first, "QueuedForAgent").await;
    assert_eq!(pair(&waits), (json!("InProgress"), json!("QueuedForAgent")), "A26");

    world.judge(&second).await;
    world.at_rest(&second).await;
    let done = world.at_rest(&first).await;
    assert_eq!(attempt_of(&done)["status"], "Succeeded", "{done:#}");
    let events = world.events(&first).await;
    assert!(events.iter().any(|e| e["type"] == "RoomFound"), "{events:#?}");
    let limits = world.get("/v1/limits").await.body;
    assert!(limits["items"].as_array().unwrap().iter().all(|l| holders(l).is_empty()), "{limits:#}");
}

/// N12, A28: what waits for room again has nothing that runs; a stop and a cancel end it at once, as what they are.
#[tokio::test(start_paused = true)]
async fn what_waits_for_room_again_is_stopped_and_canceled_like_any_other() {
    for act in ["stop", "cancel"] {
        let world = World::new().await;
        world.save(&judged("{policy: all}", "")).await;
        limit(&world, "installation", 1).await;
        let first = deploys(&world, "1.0.0").await;
        let second = world.start("1.1.0").await;
        until_waiting(&world, &second, "QueuedForPipeline").await;
        world.act_in_prod(&first, "pause").await;
        world.judge(&first).await;
        super::until_deploying(&world, &second).await;
        world.act_in_prod(&first, "resume").await;
        until_waiting(&world, &first, "QueuedForPipeline").await;
        world.act_in_prod(&first, act).await;
        let ended = world.at_rest(&first).await;
        assert_eq!(pair(&ended), (json!("Failed"), json!("Canceled")), "{act}: {:#}", attempt_of(&ended));
        let reason = attempt_of(&ended)["reason"].as_str().unwrap().to_owned();
        assert!(reason.starts_with("canceled by admin"), "{act}: {reason}");
        let lane = world.get("/v1/limits").await.body["items"][0].clone();
        assert_eq!(holders(&lane), std::slice::from_ref(&second), "{act}: nobody else has room");
        assert_eq!(lane["line"], json!([]), "{act}: {lane:#}");
        world.judge(&second).await;
        world.at_rest(&second).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_outlives_the_process_and_may_be_cancelled() {
    let world = World::new().await;
    world.save(&judged("{policy: all}", "")).await;
    limit(&world, "installation", 1).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    until_waiting(&world, &second, "QueuedForPipeline").await;
    let third = world.start("1.2.0").await;
    until_waiting(&world, &third, "QueuedForPipeline").await;
    let world = world.restarted(5).await;
    world.act_in_prod(&second, "cancel").await;
    let canceled = world.at_rest(&second).await;
    assert_eq!(pair(&canceled), (json!("NotDeployed"), json!("Canceled")), "A21");
    assert_eq!(place(&world, &third).await, json!(1));
    world.judge(&first).await;
    super::until_deploying(&world, &third).await;
    world.judge(&third).await;
    world.at_rest(&third).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_is_refused_and_only_an_administrator_sets_one() {
    let world = World::new().await;
    let zero = world.put("/v1/limits/installation", &json!({ "atOnce": 0 })).await;
    assert_eq!(zero.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(zero.body["error"]["message"].as_str().unwrap().contains("stop the line"), "{:#}", zero.body);
    let operator = world.token_of("ops", "operator").await;
    let ask = json!({ "atOnce": 1 });
    let refused = world.call_as(&operator, Method::PUT, "/v1/limits/installation", &ask).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}
