//! What was taken back does not come back by itself (X4).

use serde_json::{Value, json};

use super::{act, environment, pair, pipeline, run};
use crate::main_story::{crash_in_prod, running};
use crate::world::{World, attempt, environment_status};

/// `dev`, and `prod` after it, which rolls back by itself.
fn two() -> String {
    let mut prod = environment("prod", &json!({ "policy": "on_failure" }));
    prod["after"] = json!(["dev"]);
    pipeline(&[environment("dev", &json!({})), prod])
}

fn prod(view: &Value) -> Value {
    let environments = view["environments"].as_array().unwrap();
    environments.iter().find(|e| e["name"] == "prod").cloned().unwrap_or_default()
}

async fn holds(world: &World) -> Vec<Value> {
    world.get("/v1/environments/shop/prod/holds").await.body["items"].as_array().cloned().unwrap()
}

/// A release that crashed in prod and was rolled back, and another one of the same image.
async fn bad_one_again(world: &World) -> (String, String, Value) {
    world.save(&two()).await;
    run(world, "1.0.0").await;
    crash_in_prod(world, "1.1.0");
    let (bad, view) = run(world, "1.1.0").await;
    assert_eq!(pair(&attempt(&view, "prod", 2)), ("Succeeded", "Approved"), "rolled back");
    let (again, view) = run(world, "1.1.0").await;
    (bad, again, view)
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_is_not_promoted_again_by_itself_and_says_why() {
    let world = World::new().await;
    let (bad, again, view) = bad_one_again(&world).await;
    assert_eq!(environment_status(&view, "dev"), "Succeeded");
    assert_eq!(environment_status(&view, "prod"), "NotStarted", "{view:#}");
    assert_eq!(prod(&view)["held"]["release"], json!(bad));
    assert!(prod(&view)["held"]["reason"].as_str().unwrap().contains("CrashLoopBackOff"));
    let held: Vec<Value> =
        world.events(&again).await.into_iter().filter(|e| e["type"] == "EnvironmentHeld").collect();
    assert_eq!((held.len(), &held[0]["environment"]), (1, &json!("prod")));
    let listed = holds(&world).await;
    assert_eq!((listed.len(), &listed[0]["release"], &listed[0]["attempt"]), (1, &json!(bad), &json!(1)));
    assert_eq!(listed[0]["artifacts"][0]["tag"], "1.1.0");
    // The list of releases does not leave it at a status that would say "not yet", or "well".
    let releases = world.get("/v1/releases?application=shop").await.body;
    let standing = |release: &str| {
        let items = releases["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["id"] == release).unwrap();
        found["environments"].as_array().unwrap().iter().find(|e| e["name"] == "prod").unwrap().clone()
    };
    assert_eq!(standing(&again), json!({ "name": "prod", "status": "NotStarted", "note": "held" }));
    assert_eq!(standing(&bad), json!({ "name": "prod", "status": "Succeeded", "note": "rolledBack" }));
    let (_, view) = run(&world, "1.2.0").await;
    assert_eq!(environment_status(&view, "prod"), "Succeeded", "another image is not held");
    assert_eq!(prod(&view)["held"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_person_overrides_a_hold_with_a_reason_and_a_success_ends_it() {
    let world = World::new().await;
    let (bad, again, _) = bad_one_again(&world).await;
    world.sim.set_rules(Vec::new());
    let path = format!("/v1/releases/{again}/environments/prod/deploy");
    let answer = world.post(&path, &json!({ "reason": "the database is back" })).await;
    assert_eq!((answer.status.as_u16(), &answer.body["overrides"]), (202, &json!(bad)), "{:#}", answer.body);
    let view = world.at_rest(&again).await;
    assert_eq!(running(&world, "prod").1, "1.1.0");
    let attempt = attempt(&view, "prod", 1);
    assert_eq!(
        (&attempt["overrides"], &attempt["overrideReason"]),
        (&json!(bad), &json!("the database is back"))
    );
    let events = world.events(&again).await;
    let told = events.iter().find(|e| e["type"] == "HoldOverridden").unwrap();
    assert_eq!((&told["reason"], &told["actor"]), (&json!("the database is back"), &json!("admin")));
    assert!(holds(&world).await.is_empty(), "what was held works there now");
    let of_bad = world.events(&bad).await;
    assert!(of_bad.iter().any(|e| e["type"] == "HoldLifted"), "its own record says so");
    assert_eq!(world.proof(&bad).await.findings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_lifted_by_an_operator_with_a_reason() {
    let world = World::new().await;
    let (bad, _, _) = bad_one_again(&world).await;
    let lift = "/v1/environments/shop/prod/holds/lift";
    assert_eq!(world.post(lift, &json!({})).await.status, 422, "a reason is asked for");
    assert_eq!(world.post(lift, &json!({ "reason": "  " })).await.status, 422);
    let token = world.post("/v1/tokens", &json!({ "name": "eve", "role": "viewer" })).await.body;
    let viewer = token["secret"].as_str().unwrap_or_else(|| panic!("{token:#}"));
    let why = json!({ "reason": "repaired" });
    assert_eq!(world.call_as(viewer, http::Method::POST, lift, &why).await.status, 403);
    let operator = world.token_of("ops", "operator").await;
    let of_bad = json!({ "release": bad, "reason": "repaired" });
    let lifted = world.call_as(&operator, http::Method::POST, lift, &of_bad).await;
    assert_eq!((lifted.status.as_u16(), &lifted.body["items"][0]["release"]), (200, &json!(bad)));
    assert_eq!(world.post(lift, &why).await.status, 409, "nothing is held any more");
    world.sim.set_rules(Vec::new());
    let (_, view) = run(&world, "1.1.0").await;
    assert_eq!(environment_status(&view, "prod"), "Succeeded", "it comes by itself again");
}

/// The history says what the environment runs, whatever came after it.
#[tokio::test(start_paused = true)]
async fn the_history_names_what_is_current() {
    let world = World::new().await;
    world.save(&pipeline(&[environment("prod", &json!({}))])).await;
    let current = async |world: &World| {
        let rows = world.get("/v1/environments/shop/prod/history").await.body["items"].clone();
        let current = rows.as_array().unwrap().iter().filter(|row| row["current"] == true);
        current.map(|row| row["release"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first, _) = run(&world, "1.0.0").await;
    let (second, _) = run(&world, "1.1.0").await;
    assert_eq!(current(&world).await, std::slice::from_ref(&second));
    act(&world, &second, "rollback").await;
    assert_eq!(current(&world).await, [first]);
}
