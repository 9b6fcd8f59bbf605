//! Webhook stages whose receiver says later what it came to (T38): by a status URL, or by calling back. The receivers are real, so
//! the time is too.

use std::sync::Arc;

use http::Method;
use pilothouse_local::{StepFault, StepFaults, SystemBuilder};
use pilothouse_operations::OutboundPolicy;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::generic_stages::{pipeline, stage};
use crate::world::{Answer, World};

/// A system whose every look at a stage is made twice: that must not call anybody twice.
async fn world() -> World {
    let policy = OutboundPolicy { allow_private: true, allow_loopback: true };
    let twice: StepFaults = Arc::new(|step| (step == "run-stage:observe").then_some(StepFault::Repeated));
    let change = |builder: SystemBuilder| {
        builder.outbound(policy).public_url("https://pilothouse.example/").step_faults(twice)
    };
    World::with(change).await
}

/// A receiver that takes what it is called for.
async fn receiver() -> MockServer {
    let server = MockServer::start().await;
    let accepted = ResponseTemplate::new(202).set_body_json(json!({ "job": 7 }));
    Mock::given(method("POST")).respond_with(accepted).mount(&server).await;
    server
}

/// A release that waits until the receiver of its stage `Build` calls back, and the path that it was told to call.
async fn waiting(world: &World, server: &MockServer) -> (String, String) {
    let stages = format!(
        "- name: Build\n  type: webhook\n  url: {}\n  payload: {{image: web}}\n  timeout: 10m\n  \
         waitFor: {{callback: {{payloadKey: callbackUrl}}}}\n\
         - {{name: after, type: wait, duration: 1s, dependsOn: [Build], if: '${{ stages[\"Build\"].output.completion.data.go }}'}}",
        server.uri()
    );
    world.save(&pipeline(&stages)).await;
    let release = world.start("1.0.0").await;
    world.until(&release, "the wait", |v| stage(v, "Build")["status"] == "awaitingAnswer").await;
    let calls = server.received_requests().await.unwrap();
    let [call] = calls.as_slice() else { panic!("one call: {calls:?}") };
    let url = call.headers["pilothouse-callback"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(body, json!({ "image": "web", "callbackUrl": url }));
    (release, url.strip_prefix("https://pilothouse.example").unwrap().to_owned())
}

/// What a receiver is answered that calls back without any token of the API.
async fn call_back(world: &World, path: &str, body: &Value) -> Answer {
    world.call_as("", Method::POST, path, body).await
}

fn message(answer: &Answer) -> String {
    answer.body["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_receiver_calls_back_once_and_later_stages_read_what_it_said() {
    let (world, server) = (world().await, receiver().await);
    let (release, path) = waiting(&world, &server).await;
    let view = world.release(&release).await;
    let waits = &stage(&view, "Build")["waits"];
    assert_eq!((&waits["for"], &waits["url"]), (&json!("callback"), &json!(server.uri())), "{waits}");
    let secret = path.strip_prefix("/callbacks/").unwrap();
    assert!(!view.to_string().contains(secret), "the URL is in no record");

    let tampered = format!("{path}x");
    assert_eq!(call_back(&world, &tampered, &json!({ "status": "succeeded" })).await.status, 404);
    assert_eq!(call_back(&world, &path, &json!({ "status": "done" })).await.status, 422);
    let much = json!({ "status": "succeeded", "data": "x".repeat(40_000) });
    assert_eq!(call_back(&world, &path, &much).await.status, 422);

    let said =
        json!({ "status": "succeeded", "message": "built", "data": { "go": true, "password": "hunter2" } });
    let taken = call_back(&world, &path, &said).await;
    assert_eq!(taken.status, 200, "{:#}", taken.body);
    assert_eq!((&taken.body["stage"], &taken.body["status"]), (&json!("Build"), &json!("succeeded")));
    let again = call_back(&world, &path, &said).await;
    assert_eq!(again.status, 200, "the same said again is the same call: {:#}", again.body);
    let other = call_back(&world, &path, &json!({ "status": "failed" })).await;
    assert_eq!(other.status, 409);
    assert!(message(&other).contains("this URL was used at"), "{:#}", other.body);

    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    let output = &stage(&view, "Build")["output"];
    assert_eq!(output["webhook"]["statusCode"], 202);
    assert_eq!(
        (&output["completion"]["status"], &output["completion"]["message"]),
        (&json!("succeeded"), &json!("built"))
    );
    assert_eq!(stage(&view, "after")["status"], "succeeded");
    assert!(!view.to_string().contains("hunter2"));
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "the call was made once");
}

#[tokio::test]
async fn a_receiver_that_calls_back_with_failure_fails_the_stage_in_its_words() {
    let (world, server) = (world().await, receiver().await);
    let (release, path) = waiting(&world, &server).await;
    let taken = call_back(&world, &path, &json!({ "status": "failed", "message": "no disk" })).await;
    assert_eq!(taken.status, 200, "{:#}", taken.body);
    let view = world.at_rest(&release).await;
    let reason = format!("the receiver of POST {} called back: failed: no disk", server.uri());
    assert_eq!(stage(&view, "Build")["reason"], reason.as_str());
    assert_eq!(stage(&view, "after")["status"], "notRun");
}

#[tokio::test]
async fn a_callback_survives_a_crash_and_is_refused_once_its_stage_is_canceled() {
    let (world, server) = (world().await, receiver().await);
    let (release, path) = waiting(&world, &server).await;
    let world = {
        let policy = OutboundPolicy { allow_private: true, allow_loopback: true };
        // The key that signed the URL outlives the process: `up` keeps it in its folder.
        let secrets = world.system.context().secrets.clone();
        let remains = world.die();
        let change =
            |b: SystemBuilder| b.outbound(policy).secrets(secrets).public_url("https://pilothouse.example");
        remains.start(8, change).await.unwrap()
    };
    let view = world.release(&release).await;
    assert_eq!(stage(&view, "Build")["status"], "awaitingAnswer", "{view:#}");
    let cancel = world.post(&format!("/v1/releases/{release}/environments/dev/cancel"), &json!({})).await;
    assert!(cancel.status.is_success(), "{:#}", cancel.body);
    world.at_rest(&release).await;
    let late = call_back(&world, &path, &json!({ "status": "succeeded" })).await;
    assert_eq!(
        (late.status.as_u16(), message(&late)),
        (409, "cannot call back: stage `Build` is canceled".to_owned())
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "no second call");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_calls_back_fails_the_stage_when_its_time_is_over() {
    let world = world().await;
    let wait =
        "- {name: Build, type: webhook, url: 'http://ci.dev/', timeout: 5m, waitFor: {callback: {}}}\n";
    world.save(&pipeline(wait)).await;
    let release = world.start("1.0.0").await;
    // As if the call had been answered: a name that cannot be resolved here is none of this test.
    let context = world.system.context();
    let at = pilothouse_domain::attempt::AttemptRef {
        release: release.parse().unwrap(),
        environment: "dev".to_owned(),
        number: 1,
    };
    let called = |v: &Value| stage(v, "Build")["progress"].is_string();
    world.until(&release, "the call", called).await;
    for _ in 0..20 {
        let run = context.store.stage_run(&at, "Build").await.unwrap().unwrap();
        let mut next = run.record.clone();
        next.action["called"] = json!({ "output": { "webhook": { "statusCode": 202 } }, "asked": 0 });
        if context.store.commit(pilothouse_store::Transaction::new().replace(&run, &next)).await.is_ok() {
            break;
        }
    }
    let view = world.until(&release, "its end", |v| stage(v, "Build")["status"] == "failed").await;
    let build = stage(&view, "Build");
    assert_eq!(
        build["reason"],
        "the receiver of http://ci.dev/ was called and did not call back before the stage's time was over"
    );
    assert_eq!(build["output"]["webhook"]["statusCode"], 202);
}
