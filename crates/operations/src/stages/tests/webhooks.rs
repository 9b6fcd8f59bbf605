use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_store::Transaction;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::Scene;
use crate::stages::webhook::{Webhook, call_back};
use crate::stages::{Observed, StageType};
use crate::{OperationError, OutboundPolicy};

async fn scene() -> Scene {
    let mut scene = Scene::new().await;
    scene.test.context.outbound = OutboundPolicy { allow_private: true, allow_loopback: true };
    scene
}

/// The run as it is stored.
async fn stored(scene: &Scene, run: &StageRun) -> StageRun {
    scene.test.context.store.stage_run(&run.at, &run.stage).await.unwrap().unwrap().record
}

/// The run as if its next call were due now.
async fn due(scene: &Scene, run: &StageRun) -> StageRun {
    let store = &scene.test.context.store;
    let read = store.stage_run(&run.at, &run.stage).await.unwrap().unwrap();
    let mut next = read.record.clone();
    next.action["next"] = json!(scene.test.context.now());
    store.commit(Transaction::new().replace(&read, &next)).await.unwrap();
    next
}

async fn look(scene: &Scene, run: &StageRun) -> Observed {
    Webhook.observe(&scene.stage(run), Span::from_secs(2)).await.unwrap()
}

#[tokio::test]
async fn a_receiver_that_is_not_ready_is_called_again_with_the_same_key() {
    let scene = scene().await;
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("ok")).mount(&server).await;
    let run = scene.run(&Webhook, "Notify", json!({ "url": server.uri() }));
    let run = scene.begin(&Webhook, run).await.unwrap().unwrap();
    assert!(server.received_requests().await.unwrap().is_empty(), "begin calls nothing");

    let Observed::Pending { progress, .. } = look(&scene, &run).await else { panic!("it is called again") };
    assert!(progress.contains("answered 503 (1 call); calls again at 2026-11-21T10:00:0"), "{progress}");
    assert_eq!(stored(&scene, &run).await.progress.unwrap(), progress);
    let run = due(&scene, &run).await;
    assert!(matches!(look(&scene, &run).await, Observed::Pending { .. }));
    assert_eq!(stored(&scene, &run).await.action["attempts"], 2);
    let Observed::Ended(end) = look(&scene, &due(&scene, &run).await).await else { panic!("it ends") };
    assert_eq!(end.status, StageStatus::Succeeded);
    assert_eq!(end.output["webhook"]["statusCode"], 200);

    let calls = server.received_requests().await.unwrap();
    let keys: Vec<&str> = calls.iter().map(|c| c.headers["idempotency-key"].to_str().unwrap()).collect();
    assert_eq!(keys, [run.id.as_str(); 3]);
}

#[tokio::test(start_paused = true)]
async fn no_call_is_made_before_it_is_due() {
    let scene = scene().await;
    let mut run = scene.run(&Webhook, "Notify", json!({ "url": "http://127.0.0.1:1/" }));
    run.action = json!({ "attempts": 3, "next": Span::from_secs(60).after(scene.test.context.now()) });
    run.progress = Some("answered 503 (3 calls)".to_owned());
    let before = scene.test.context.now();
    let observed = look(&scene, &run).await;
    assert_eq!(observed, Observed::Pending { progress: "answered 503 (3 calls)".to_owned(), evidence: None });
    assert_eq!((scene.test.context.now() - before).get_seconds(), 2);
}

#[tokio::test]
async fn a_stage_without_time_for_another_call_fails_with_what_was_answered() {
    let scene = scene().await;
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503).set_body_string("busy")).mount(&server).await;
    let mut run = scene.run(&Webhook, "Notify", json!({ "url": server.uri() }));
    run.deadline = Span::from_millis(900).after(scene.test.context.now());
    let run = scene.begin(&Webhook, run).await.unwrap().unwrap();
    let Observed::Ended(end) = look(&scene, &run).await else { panic!("it ends") };
    let reason = end.status.reason().unwrap();
    assert!(reason.ends_with("answered 503 (1 call); its timeout leaves no time for another"), "{reason}");
    assert_eq!(end.output["webhook"]["body"], "busy");
}

#[tokio::test]
async fn an_evaluated_url_is_checked_before_it_is_called() {
    let scene = scene().await;
    for (url, want) in [("gopher://web/", "the scheme `gopher`"), ("http://169.254.169.254/", "link-local")] {
        let run = scene.run(&Webhook, want, json!({ "url": url }));
        let end = scene.begin(&Webhook, run).await.unwrap().unwrap_err();
        assert!(end.status.reason().unwrap().contains(want), "{end:?}");
        assert_eq!(end.output, Value::Null);
    }
}

/// The run, begun, its call answered so, with this `waitFor`.
async fn called(scene: &Scene, server: &MockServer, wait_for: Value) -> StageRun {
    let run = scene.run(&Webhook, "Build", json!({ "url": server.uri(), "waitFor": wait_for }));
    let run = scene.begin(&Webhook, run).await.unwrap().unwrap();
    let Observed::Pending { .. } = look(scene, &run).await else { panic!("it waits") };
    stored(scene, &run).await
}

fn asks(verb: &str, path_: &str) -> wiremock::MockBuilder {
    Mock::given(wiremock::matchers::method(verb)).and(wiremock::matchers::path(path_))
}

#[tokio::test]
async fn a_status_url_is_asked_until_it_is_done_and_the_call_is_made_once() {
    let scene = scene().await;
    let server = MockServer::start().await;
    let state = |state: &str, percent: u32| {
        ResponseTemplate::new(200).set_body_json(json!({ "state": state, "percent": percent }))
    };
    let accepted = ResponseTemplate::new(202).insert_header("location", "/jobs/7");
    asks("POST", "/").respond_with(accepted).expect(1).mount(&server).await;
    asks("GET", "/jobs/7").respond_with(state("busy", 40)).up_to_n_times(1).mount(&server).await;
    asks("GET", "/jobs/7").respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
    asks("GET", "/jobs/7").respond_with(state("done", 100)).mount(&server).await;
    let wait = json!({"poll": {
        "urlFrom": {"header": "Location"}, "every": "30s", "status": "state", "success": ["done"], "progress": "percent",
    }});
    let run = called(&scene, &server, wait).await;
    let left =
        run.action["next"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() - scene.test.context.now();
    assert!((25..=30).contains(&left.get_seconds()), "{left}");

    let run = due(&scene, &run).await;
    let Observed::Pending { progress, .. } = look(&scene, &run).await else { panic!("not yet") };
    assert_eq!(progress, format!("GET {}/jobs/7 said `busy`, 40", server.uri()));
    let Observed::Pending { progress, .. } = look(&scene, &due(&scene, &run).await).await else {
        panic!("not yet")
    };
    assert!(progress.ends_with("/jobs/7 answered 503"), "{progress}");
    let Observed::Ended(end) = look(&scene, &due(&scene, &run).await).await else { panic!("it ends") };
    assert_eq!(end.status, StageStatus::Succeeded);
    assert_eq!(end.output["webhook"]["statusCode"], 202);
    let completion = &end.output["completion"];
    assert_eq!((&completion["status"], &completion["asked"]), (&json!("done"), &json!(3)), "{completion}");
    assert_eq!(completion["body"]["percent"], 100);
}

#[tokio::test]
async fn a_status_that_is_failure_fails_the_stage_with_what_was_answered() {
    let scene = scene().await;
    let server = MockServer::start().await;
    asks("POST", "/").respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let broken = ResponseTemplate::new(200).set_body_json(json!({ "state": "broken", "why": "no disk" }));
    asks("GET", "/job").respond_with(broken).mount(&server).await;
    let url = format!("{}/job", server.uri());
    let wait = json!({"poll": {"url": url, "status": "state", "success": ["done"], "failure": ["broken"]}});
    let run = called(&scene, &server, wait).await;
    let Observed::Ended(end) = look(&scene, &due(&scene, &run).await).await else { panic!("it ends") };
    assert_eq!(end.status.reason(), Some(format!("GET {url} said `broken`, which `failure` names").as_str()));
    let StageStatus::Failed { evidence: Some(evidence), .. } = end.status else { panic!("with proof") };
    assert!(evidence["body"].as_str().unwrap().contains("no disk"), "{evidence}");
}

#[tokio::test]
async fn an_answer_that_names_no_status_fails_the_stage_after_one_call() {
    let scene = scene().await;
    let server = MockServer::start().await;
    asks("POST", "/")
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .expect(1)
        .mount(&server)
        .await;
    let wait = json!({"poll": {"urlFrom": {"body": "links.status"}, "status": "state", "success": ["done"]}});
    let run = scene.run(&Webhook, "Build", json!({ "url": server.uri(), "waitFor": wait }));
    let run = scene.begin(&Webhook, run).await.unwrap().unwrap();
    let Observed::Ended(end) = look(&scene, &run).await else { panic!("it ends") };
    let reason = end.status.reason().unwrap();
    assert!(reason.ends_with(" answered 200, but its answer has no text at `links.status`"), "{reason}");
}

#[tokio::test]
async fn a_callback_needs_an_address_and_a_key_before_anything_is_called() {
    let mut scene = scene().await;
    let run =
        scene.run(&Webhook, "Build", json!({ "url": "http://127.0.0.1:1/", "waitFor": {"callback": {}} }));
    let refused = scene.begin(&Webhook, run.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("PILOTHOUSE_LINK_KEY"), "{refused}");
    let key = pilothouse_domain::secret::SecretRef::Env { name: crate::approvals::LINK_KEY.to_owned() };
    scene.test.context.secrets = crate::secrets::Secrets::local().or_value(key, "k".repeat(40));
    let run = StageRun { stage: "Again".to_owned(), ..run };
    let refused = scene.begin(&Webhook, run).await.unwrap_err().to_string();
    assert!(refused.contains("PILOTHOUSE_PUBLIC_URL"), "{refused}");
}

#[tokio::test]
async fn what_comes_with_a_token_that_is_not_ours_is_not_looked_at() {
    let mut scene = scene().await;
    let key = pilothouse_domain::secret::SecretRef::Env { name: crate::approvals::LINK_KEY.to_owned() };
    scene.test.context.secrets = crate::secrets::Secrets::local().or_value(key, "k".repeat(40));
    let much = json!({ "status": "succeeded", "message": "m".repeat(9000), "data": "x".repeat(64 * 1024) });
    let much = serde_json::from_value(much).unwrap();
    let refused = call_back(&scene.test.context, "forged.token", &much).await.unwrap_err();
    assert!(matches!(refused, OperationError::NotFound { .. }), "{refused}");
}
