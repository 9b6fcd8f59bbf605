//! `curl` with a secret in the body (T58), or with the hook's own.

use axum::http::StatusCode;
use pilothouse_domain::intake::Sender;
use serde_json::{Value, json};

use super::{Answer, Harness, OTHER_SECRET, SECRET, post};

const PATH: &str = "/webhooks/generic/ci";
const TRIGGER: &str = "[{name: curl, type: webhook, hook: ci, constraints: {secret: {secretRef: 'env:CI_SECRET'}, \
    branch: 'main|release-.*'}, artifacts: {web: {tag: version}}, parameters: {branch: branch}}]";

async fn harness(triggers: &str) -> Harness {
    let test = Harness::new().await;
    assert_eq!(test.hook("ci", Sender::Generic, false).await, None);
    test.pipeline("web", triggers).await;
    test
}

async fn send(test: &Harness, headers: &[(&str, &str)], body: &Value) -> Answer {
    test.send(post(PATH, headers, body.to_string())).await
}

fn body(secret: &str, version: &str) -> Value {
    json!({ "secret": secret, "branch": "main", "version": version })
}

#[tokio::test(start_paused = true)]
async fn the_documents_curl_starts_a_release() {
    let test = harness(TRIGGER).await;
    let answer = send(&test, &[], &body(SECRET, "1.0.0")).await;
    assert_eq!((answer.status, answer.started()), (StatusCode::ACCEPTED, 1));
    let release = test.context.store.releases_of("shop", 1, None).await.unwrap().records().remove(0);
    assert_eq!(release.artifacts[0].reference(), "shop/web:1.0.0");
    assert_eq!(release.parameters["branch"], "main");
    assert_eq!(serde_json::to_value(&release.cause).unwrap()["kind"], "webhook");
}

#[tokio::test(start_paused = true)]
async fn a_missing_and_a_wrong_secret_are_answered_alike_and_start_nothing() {
    let test = harness(TRIGGER).await;
    let mut answers = Vec::new();
    for secret in [
        json!(null),
        json!(""),
        json!("wrong"),
        json!(7),
        json!([SECRET]),
        json!({ "secret": SECRET }),
        json!([SECRET, "x"]),
        json!(OTHER_SECRET),
    ] {
        let request = json!({ "secret": secret, "branch": "main", "version": "1.0.0" });
        answers.push(send(&test, &[], &request).await);
    }
    answers.push(send(&test, &[], &json!({ "branch": "main", "version": "1.0.0" })).await);
    let secret_in_header = format!("Bearer {SECRET}");
    answers.push(send(&test, &[("authorization", &secret_in_header)], &json!({ "branch": "main" })).await);
    assert_eq!(answers.len(), 10);
    answers.dedup();
    let [only] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((only.status, only.body["verdicts"].is_null()), (StatusCode::UNAUTHORIZED, true));
    let kept = test.deliveries("ci").await;
    assert_eq!(kept.len(), 10);
    assert!(kept.iter().all(|one| one.http_status == 401 && one.payload.is_none() && one.refused.is_some()));
    assert_eq!(test.releases().await, 0);
}

#[tokio::test(start_paused = true)]
async fn every_constraint_must_hold_and_the_reason_says_which_does_not() {
    let test = harness(TRIGGER).await;
    let other = json!({ "secret": SECRET, "branch": "feature", "version": "1.0.0" });
    let answer = send(&test, &[], &other).await;
    assert_eq!((answer.status, answer.started()), (StatusCode::OK, 0));
    assert!(answer.reasons().contains("branch"), "{}", answer.reasons());
    let unbound = send(&test, &[], &json!({ "secret": SECRET, "branch": "main" })).await;
    assert!(unbound.status == StatusCode::OK && unbound.reasons().contains("web"), "{unbound:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_without_a_secret_never_matches_on_a_hook_without_one() {
    let open = "[{name: curl, type: webhook, hook: ci, constraints: {branch: main}, artifacts: {web: {tag: version}}}]";
    let test = harness(open).await;
    let answer = send(&test, &[], &body("anything", "1.0.0")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let kept = test.deliveries("ci").await.remove(0);
    assert!(kept.refused.as_deref().is_some_and(|reason| reason.contains("secretRef")), "{:?}", kept.refused);
    // Beside one that has a secret it still never matches, and says so.
    test.pipeline("other", TRIGGER).await;
    let beside = send(&test, &[], &body(SECRET, "1.0.0")).await;
    assert_eq!(beside.started(), 1);
    assert!(beside.reasons().contains("it never matches"), "{}", beside.reasons());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_nothing_listens_to_takes_nothing() {
    let test = harness("[]").await;
    assert_eq!(send(&test, &[], &body(SECRET, "1.0.0")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_not_configured_lets_nobody_in() {
    let test = harness(&TRIGGER.replace("CI_SECRET", "PILOTHOUSE_TEST_SECRET_THAT_IS_NOT_SET")).await;
    for secret in ["", "x", SECRET] {
        assert_eq!(send(&test, &[], &body(secret, "1.0.0")).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_trigger_is_no_way_in_and_says_so_to_who_knows_the_secret() {
    let test = harness(&TRIGGER.replace("hook: ci,", "hook: ci, enabled: false,")).await;
    assert_eq!(send(&test, &[], &body("wrong", "1.0.0")).await.status, StatusCode::UNAUTHORIZED);
    let known = send(&test, &[], &body(SECRET, "1.0.0")).await;
    assert_eq!((known.status, known.reasons().as_str()), (StatusCode::OK, "the trigger is disabled"));
}

#[tokio::test(start_paused = true)]
async fn two_pipelines_with_two_secrets_each_start_by_their_own() {
    let test = harness(TRIGGER).await;
    test.pipeline("other", &TRIGGER.replace("CI_SECRET", "OTHER_SECRET")).await;
    for secret in [SECRET, OTHER_SECRET] {
        let answer = send(&test, &[], &body(secret, "1.0.0")).await;
        assert_eq!((answer.started(), answer.verdicts().len()), (1, 2), "{answer:?}");
    }
    assert_eq!(test.releases().await, 2);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_anywhere_in_the_table() {
    let test = harness(TRIGGER).await;
    test.pipeline("other", &TRIGGER.replace("CI_SECRET", "OTHER_SECRET").replace("secret:", "auth.code:"))
        .await;
    let mut request = body(SECRET, "1.0.0");
    request["note"] = json!(format!("my secret is {SECRET}!"));
    request["list"] = json!([{ SECRET: 1 }, [SECRET]]);
    request["apiToken"] = json!("tok-1234567");
    request["auth"] = json!({ "code": OTHER_SECRET });
    let answer = send(&test, &[("idempotency-key", "k1")], &request).await;
    assert_eq!(answer.started(), 2, "{answer:?}");
    request["branch"] = json!(SECRET);
    let mismatched = send(&test, &[], &request).await;
    let reasons = mismatched.reasons();
    let wrong = body(&format!("{SECRET}x"), "1.0.0");
    send(&test, &[], &wrong).await;
    send(&test, &[("authorization", &format!("Bearer {SECRET}"))], &wrong).await;
    let dump = test.dump();
    for secret in [SECRET, OTHER_SECRET, "tok-1234567"] {
        assert!(!dump.contains(secret), "{secret} is in the table");
        assert!(!reasons.contains(secret) && !answer.reasons().contains(secret), "{secret} is in an answer");
    }
    assert!(dump.contains("[redacted]"));
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_would_store_its_secret_starts_nothing() {
    let leaky = TRIGGER.replace("parameters: {branch: branch}", "parameters: {branch: note}");
    let test = harness(&leaky).await;
    let mut request = body(SECRET, "1.0.0");
    request["note"] = json!(format!("x{SECRET}"));
    let answer = send(&test, &[], &request).await;
    assert_eq!((answer.started(), answer.status), (0, StatusCode::OK));
    assert!(answer.reasons().contains("would hold the trigger's secret"), "{}", answer.reasons());
    assert!(!test.dump().contains(SECRET));
}

#[tokio::test(start_paused = true)]
async fn the_senders_id_makes_a_delivery_count_once() {
    let test = harness(TRIGGER).await;
    let key = [("idempotency-key", "build-17")];
    let first = send(&test, &key, &body(SECRET, "1.0.0")).await;
    let again = send(&test, &key, &body(SECRET, "1.0.0")).await;
    assert_eq!((first.started(), again.started(), again.status), (1, 0, StatusCode::OK));
    assert_eq!(again.verdicts()[0]["release"], first.verdicts()[0]["release"]);
    let other = send(&test, &key, &body(SECRET, "2.0.0")).await;
    assert!(other.started() == 0 && other.reasons().starts_with("conflict"), "{}", other.reasons());
    // Who does not know the secret neither learns of the first nor takes its place.
    assert_eq!(send(&test, &key, &body("wrong", "1.0.0")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        send(&test, &[("idempotency-key", "build-18")], &body("wrong", "3.0.0")).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(send(&test, &[("webhook-id", "build-18")], &body(SECRET, "3.0.0")).await.started(), 1);
    assert_eq!(test.releases().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hook_with_its_own_secret_needs_no_constraint() {
    let test = Harness::new().await;
    let secret = test.hook("ci", Sender::Generic, true).await.unwrap();
    test.pipeline("web", "[{name: curl, type: webhook, hook: ci, artifacts: {web: {tag: version}}}]").await;
    let request = json!({ "version": "1.0.0", "said": secret });
    assert_eq!(send(&test, &[], &request).await.status, StatusCode::UNAUTHORIZED);
    let bearer = format!("Bearer {secret}");
    assert_eq!(send(&test, &[("authorization", &bearer)], &request).await.started(), 1);
    assert!(!test.dump().contains(&secret), "the hook's secret is in the table");
}

#[tokio::test(start_paused = true)]
async fn a_deep_payload_is_taken_and_its_record_stays_readable() {
    let test = harness(TRIGGER).await;
    let mut request = body(SECRET, "1.0.0");
    request["deep"] = (0..120).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(send(&test, &[], &request).await.started(), 1);
    let kept = test.deliveries("ci").await.remove(0).payload.unwrap();
    assert!(kept["omitted"].is_string(), "{kept}");
}
