//! A release's own life: draft, active, abandoned (A2-A4), and run again with identical inputs (X14). Each edge of the
//! table in `domain/release/status.rs`, through the API as a user would.

use http::Method;
use serde_json::{Value, json};

use crate::main_story::{WEB, running};
use crate::world::{Answer, World, attempt, attempts, digest_of, environment_status, started};

/// Three environments in a row and two parameters, one of them required.
const CHAIN: &str = "\
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
parameters: [{name: replicas, default: '2'}, {name: ticket, required: true}]
environments:
  - {name: dev, namespace: dev, stages: [{name: Pause, type: wait, duration: 5s}]}
  - {name: test, namespace: dev, after: [dev], stages: [{name: Pause, type: wait, duration: 5s}]}
  - {name: prod, namespace: prod, after: [test], stages: [{name: Pause, type: wait, duration: 5s}]}
";

async fn draft(world: &World, more: Value) -> String {
    let mut ask = json!({ "application": "shop", "pipeline": "web", "draft": true });
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.post("/v1/releases", &ask).await;
    assert_eq!((made.status.as_u16(), &made.body["status"]), (201, &json!("Draft")), "{:#}", made.body);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn edit(world: &World, id: &str, change: Value) -> Answer {
    world.call_as(&world.token, Method::PATCH, &format!("/v1/releases/{id}"), &change).await
}

async fn act(world: &World, id: &str, action: &str) -> Answer {
    let body = if action == "abandon" { json!({ "reason": "it came too late" }) } else { json!({}) };
    world.post(&format!("/v1/releases/{id}/{action}"), &body).await
}

#[track_caller]
fn refused(answer: &Answer, release: &str, says: &str) {
    let error = &answer.body["error"];
    assert_eq!((answer.status.as_u16(), &error["code"]), (409, &json!("release_status")), "{error:#}");
    assert_eq!(error["current"]["release"], release);
    assert!(error["message"].as_str().unwrap().contains(says), "{error:#}");
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["type"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_draft_starts_nothing_until_somebody_starts_it_with_what_it_was_edited_to() {
    // A2: Draft --Edited--> Draft; A3: Draft --Started--> Active.
    let world = World::new().await;
    world.save(CHAIN).await;
    let id = draft(&world, json!({ "artifacts": { "web": "0.9" } })).await;
    // Saved again meanwhile: the draft keeps the revision that it was made with.
    world.save(&CHAIN.replace("name: prod", "name: live")).await;
    let change = json!({
        "artifacts": { "web": { "tag": "1.0.0", "digest": digest_of("1.0.0") } },
        "parameters": { "replicas": "3", "ticket": "OPS-1" },
        "skippedEnvironments": ["test"],
    });
    let edited = edit(&world, &id, change.clone()).await;
    assert_eq!(edited.status, 200, "{:#}", edited.body);
    assert_eq!(edit(&world, &id, change).await.status, 200, "the same again changes nothing");
    let view = world.release(&id).await;
    assert_eq!((&view["status"], &view["atRest"], attempts(&view).len()), (&json!("Draft"), &json!(true), 0));
    assert_eq!(world.proof(&id).await.findings, Vec::<String>::new());

    assert_eq!(act(&world, &id, "start").await.status, 202);
    let view = world.at_rest(&id).await;
    assert_eq!((&view["status"], &view["revision"]), (&json!("Active"), &json!(1)));
    assert_eq!(view["parameters"], json!({ "replicas": "3", "ticket": "OPS-1" }));
    assert_eq!(view["artifacts"][0]["tag"], "1.0.0");
    for (environment, status) in [("dev", "Succeeded"), ("test", "NotStarted"), ("prod", "Succeeded")] {
        assert_eq!(environment_status(&view, environment), status, "{environment}");
    }
    let events = world.events(&id).await;
    assert_eq!(types(&events)[..4], ["DraftCreated", "DraftEdited", "DraftStarted", "DeploymentQueued"]);
    assert_eq!(
        events[1]["changes"],
        json!([
            format!("artifact web: shop/web:1.0.0@{} instead of shop/web:0.9", digest_of("1.0.0")),
            "parameter replicas: 3 instead of 2",
            "parameter ticket: OPS-1 instead of nothing",
            "test: is skipped",
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_skipped_environment_still_waits_for_what_comes_before_it() {
    let world = World::new().await;
    world.save(CHAIN).await;
    let ask = json!({ "application": "shop", "pipeline": "web", "parameters": { "ticket": "1" },
        "skippedEnvironments": ["test"] });
    let id = world.post("/v1/releases", &ask).await.body["id"].as_str().unwrap().to_owned();
    let begun = world.release(&id).await;
    assert_eq!(attempts(&begun).len(), 1, "prod comes after dev, by way of test");
    let deploy = world.post(&format!("/v1/releases/{id}/environments/test/deploy"), &json!({})).await;
    assert_eq!(deploy.status, 409);
    assert!(deploy.body["error"]["message"].as_str().unwrap().contains("skips `test`"), "{:#}", deploy.body);
    let view = world.at_rest(&id).await;
    assert_eq!(environment_status(&view, "prod"), "Succeeded");
    let test = view["environments"].as_array().unwrap().iter().find(|e| e["name"] == "test").unwrap();
    assert_eq!((&test["skipped"], &test["attempts"]), (&json!(true), &json!([])));
    let skips = world.events(&id).await;
    assert_eq!(skips[1]["environments"], json!(["test"]), "{skips:#?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_done_in_a_draft_but_edit_start_and_abandon() {
    let world = World::new().await;
    world.save(CHAIN).await;
    let id = draft(&world, json!({})).await;
    for action in ["deploy", "cancel", "rollback", "stages/Pause/skip"] {
        let answer = world.post(&format!("/v1/releases/{id}/environments/dev/{action}"), &json!({})).await;
        refused(&answer, "Draft", "release activate");
    }
    refused(&act(&world, &id, "rerun").await, "Draft", "cannot rerun: the release is a draft");
    // T19: what is required is asked for at the start, all of it, and nothing was started.
    let start = act(&world, &id, "start").await;
    assert_eq!((start.status.as_u16(), &start.body["error"]["code"]), (422, &json!("invalid")));
    assert_eq!(start.body["error"]["problems"][0]["path"], "parameters.ticket");
    let wrong =
        edit(&world, &id, json!({ "artifacts": { "wbe": "1" }, "skippedEnvironments": ["prd"] })).await;
    let paths: Vec<&Value> =
        wrong.body["error"]["problems"].as_array().unwrap().iter().map(|p| &p["path"]).collect();
    assert_eq!(
        (wrong.status.as_u16(), paths),
        (422, vec![&json!("artifacts.wbe"), &json!("skippedEnvironments")])
    );
    assert_eq!(world.events(&id).await.len(), 1);
    // A4: Draft --Abandoned--> Abandoned.
    assert_eq!(act(&world, &id, "abandon").await.body["status"], "Abandoned");
    refused(&act(&world, &id, "start").await, "Abandoned", "is abandoned, which is final");
}

#[tokio::test(start_paused = true)]
async fn a_draft_of_a_disabled_pipeline_does_not_start() {
    // T21: disabling blocks what people start too.
    let world = World::new().await;
    world.save(CHAIN).await;
    let id = draft(&world, json!({ "parameters": { "ticket": "1" } })).await;
    let enable = async |on: bool| {
        let answer = world.put("/v1/pipelines/shop/web/enabled", &json!({ "enabled": on })).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    };
    enable(false).await;
    let start = act(&world, &id, "start").await;
    assert_eq!((start.status.as_u16(), &start.body["error"]["code"]), (409, &json!("conflict")));
    assert!(start.body["error"]["message"].as_str().unwrap().contains("disabled"), "{:#}", start.body);
    enable(true).await;
    assert_eq!(act(&world, &id, "start").await.status, 202);
    world.at_rest(&id).await;
    enable(false).await;
    assert_eq!(act(&world, &id, "rerun").await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn a_draft_admits_nothing_and_a_push_of_the_same_artifact_starts_its_own_release() {
    // X1: only what arrives is admitted by its key.
    let world = World::new().await;
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;
    let artifacts = json!({ "artifacts": { "web": { "tag": "1.0.0", "digest": digest_of("1.0.0") } } });
    let id = draft(&world, artifacts).await;
    assert_eq!(started(&world.push(&secret, "1.0.0").await).len(), 1);
    assert_eq!(world.release(&id).await["status"], "Draft");
}

#[tokio::test(start_paused = true)]
async fn what_an_active_release_carries_cannot_change() {
    // A3: no edge from Active by `Edited` or `Started`.
    let world = World::new().await;
    world.save(WEB).await;
    let id = world.start("1.0.0").await;
    world.pending_approval(&id).await;
    let change = edit(&world, &id, json!({ "artifacts": { "web": "2.0.0" } })).await;
    refused(&change, "Active", "cannot change any more");
    refused(&act(&world, &id, "start").await, "Active", "was started before");
    assert_eq!(world.release(&id).await["artifacts"][0]["tag"], "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_release_allows_no_action() {
    // A3: Active --ActedIn--> Active; A4: Active --Abandoned--> Abandoned, and no edge leads out of it.
    let world = World::new().await;
    world.save(WEB).await;
    let id = world.start("1.0.0").await;
    let approval = world.pending_approval(&id).await;
    refused(&act(&world, &id, "abandon").await, "Active", "under way in prod; cancel it first");
    let cancel = world.post(&format!("/v1/releases/{id}/environments/prod/cancel"), &json!({})).await;
    assert!(cancel.status.is_success(), "{:#}", cancel.body);
    world.at_rest(&id).await;
    let untold = world.post(&format!("/v1/releases/{id}/abandon"), &json!({ "reason": " " })).await;
    assert_eq!(untold.status, 422);
    let abandoned = act(&world, &id, "abandon").await;
    assert_eq!((abandoned.status.as_u16(), &abandoned.body["status"]), (200, &json!("Abandoned")));
    assert_eq!(abandoned.body["abandoned"]["by"], "admin");
    assert_eq!(abandoned.body["abandoned"]["reason"], "it came too late");

    for action in ["deploy", "cancel", "rollback", "stages/Deploy/skip"] {
        let answer = world.post(&format!("/v1/releases/{id}/environments/dev/{action}"), &json!({})).await;
        refused(&answer, "Abandoned", "is abandoned, which is final");
    }
    for action in ["start", "abandon", "rerun"] {
        refused(&act(&world, &id, action).await, "Abandoned", "is abandoned, which is final");
    }
    refused(
        &edit(&world, &id, json!({ "parameters": {} })).await,
        "Abandoned",
        "is abandoned, which is final",
    );
    let approve = world.post(&format!("/v1/releases/{id}/approvals/{approval}/approve"), &json!({})).await;
    refused(&approve, "Abandoned", "is abandoned, which is final");
    assert_eq!(running(&world, "dev").1, "1.0.0", "what it deployed stays");
    assert_eq!(types(&world.events(&id).await).last(), Some(&"ReleaseAbandoned"));
    assert_eq!(world.proof(&id).await.findings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_release_is_never_abandoned_with_something_under_way() {
    let world = World::new().await;
    world.save(CHAIN).await;
    let mut ends = Vec::new();
    for _ in 0..12 {
        let id = draft(&world, json!({ "parameters": { "ticket": "1" } })).await;
        act(&world, &id, "start").await;
        world.at_rest(&id).await;
        let path = format!("/v1/releases/{id}/environments/dev/deploy");
        let (deployed, abandoned) = if ends.len() % 2 == 0 {
            tokio::join!(world.post(&path, &Value::Null), act(&world, &id, "abandon"))
        } else {
            let (abandoned, deployed) =
                tokio::join!(act(&world, &id, "abandon"), world.post(&path, &Value::Null));
            (deployed, abandoned)
        };
        assert_ne!(deployed.status.is_success(), abandoned.status.is_success(), "exactly one of the two");
        let view = world.release(&id).await;
        assert_eq!(view["status"] == "Abandoned", abandoned.status.is_success());
        assert!(view["status"] != "Abandoned" || view["atRest"] == true, "{view:#}");
        ends.push(abandoned.status.is_success());
        world.at_rest(&id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rerun_has_the_inputs_of_the_first_whatever_became_of_the_pipeline() {
    // X14.
    let world = World::new().await;
    let secret = world.registry_hook("shop").await;
    world.save(WEB).await;
    let first = started(&world.push(&secret, "1.0.0").await).remove(0);
    world.approve(&first).await;
    world.at_rest(&first).await;
    world.save(&WEB.replace("description:", "# another revision\ndescription: Changed,")).await;
    let rerun = act(&world, &first, "rerun").await;
    assert_eq!(rerun.status, 201, "{:#}", rerun.body);
    let second = rerun.body["id"].as_str().unwrap().to_owned();
    world.approve(&second).await;
    let (before, after) = (world.release(&first).await, world.at_rest(&second).await);
    for same in ["revision", "artifacts", "parameters"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_eq!((&after["cause"]["kind"], &after["cause"]["of"]), (&json!("rerun"), &json!(first)));
    assert_eq!(after["cause"]["original"], before["cause"], "what expressions read as `trigger`");
    assert_eq!(after["trigger"], format!("rerun of {first} by admin"));
    assert_eq!(attempt(&after, "prod", 1)["status"], "Succeeded");
    // A rerun of the rerun has the same origin.
    let third = act(&world, &second, "rerun").await.body["id"].as_str().unwrap().to_owned();
    let third = world.release(&third).await;
    assert_eq!((&third["cause"]["of"], &third["cause"]["original"]), (&json!(second), &before["cause"]));
}
