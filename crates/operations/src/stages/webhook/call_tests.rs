use std::collections::BTreeMap;

use pilothouse_domain::secret::SecretRef;
use wiremock::matchers::{body_json, body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const SECRET: &str = "s3cr3t-value";

async fn call_with(policy: OutboundPolicy, options: Value) -> Outcome {
    let reference: SecretRef = "env:TOKEN".parse().unwrap();
    let secrets = Secrets::local().with_values(BTreeMap::from([(reference, SECRET.to_owned())]));
    let caller = Caller { policy, secrets: &secrets, idempotency_key: "stg_1".into(), callback: None };
    caller.call(&serde_json::from_value(options).unwrap()).await
}

async fn call(options: Value) -> Outcome {
    call_with(OutboundPolicy { allow_private: true, allow_loopback: true }, options).await
}

/// A receiver that answers every request with this, and what a call to it came to.
async fn answer(response: ResponseTemplate, options: Value) -> (MockServer, Outcome) {
    let server = MockServer::start().await;
    Mock::given(path("/hook")).respond_with(response).mount(&server).await;
    let mut options = options;
    options["url"] = json!(format!("{}/hook", server.uri()));
    let outcome = call(options).await;
    (server, outcome)
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

#[tokio::test]
async fn a_json_payload_goes_out_with_its_headers_and_the_answer_is_the_output() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(path("/hook"))
        .and(header("content-type", "application/json"))
        .and(header("idempotency-key", "stg_1"))
        .and(header("authorization", format!("Bearer {SECRET}")))
        .and(body_json(json!({"image": "shop/web"})))
        .respond_with(status(201).set_body_json(json!({"id": 7})))
        .expect(1)
        .mount(&server)
        .await;
    let url = format!("{}/hook", server.uri());
    let options = json!({
        "url": url, "method": "PUT", "payload": {"image": "shop/web"},
        "headers": {"Authorization": {"secretRef": "env:TOKEN", "prefix": "Bearer "}},
    });
    let Outcome::Succeeded(answered) = call(options).await else { panic!("it succeeds") };
    let webhook = json!({"url": url, "statusCode": 201, "body": {"id": 7}, "truncated": false});
    assert_eq!(answered.output(), json!({ "webhook": webhook }));
}

#[tokio::test]
async fn a_text_goes_out_as_it_is_and_the_stage_may_name_its_type() {
    let server = MockServer::start().await;
    let reply = || status(200).set_body_string("ok");
    Mock::given(header("content-type", "text/plain; charset=utf-8"))
        .and(body_string("hello"))
        .respond_with(reply())
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(header("content-type", "application/xml"))
        .and(body_string("<a/>"))
        .respond_with(reply())
        .expect(1)
        .mount(&server)
        .await;
    for options in [
        json!({"url": server.uri(), "payload": "hello"}),
        json!({"url": server.uri(), "payload": "<a/>", "headers": {"Content-Type": "application/xml"}}),
    ] {
        let Outcome::Succeeded(answered) = call(options).await else { panic!("it succeeds") };
        assert_eq!(answered.body, json!("ok"));
    }
}

#[tokio::test]
async fn secrets_that_come_back_are_not_kept() {
    let reply = json!({"seen": format!("Bearer {SECRET}"), "token": "another", SECRET: [SECRET]});
    let options = json!({"headers": {"X-Key": {"secretRef": "env:TOKEN"}}});
    let (_, outcome) = answer(status(200).set_body_json(reply), options.clone()).await;
    let Outcome::Succeeded(answered) = outcome else { panic!("it succeeds") };
    let want = json!({"seen": "Bearer [redacted]", "token": "[redacted]", "[redacted]": ["[redacted]"]});
    assert_eq!(answered.body, want);
    let (_, outcome) = answer(status(500).set_body_string(format!("key={SECRET}!")), options).await;
    assert!(!format!("{outcome:?}").contains(SECRET), "{outcome:?}");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_failure_without_a_call() {
    let options = json!({"headers": {"X-Key": {"secretRef": "env:PILOTHOUSE_NO_SUCH_VARIABLE"}}});
    let (server, outcome) = answer(status(200), options).await;
    let Outcome::Failed { reason, answered: None } = outcome else { panic!("it fails") };
    assert_eq!(
        reason,
        "the secret `env:PILOTHOUSE_NO_SUCH_VARIABLE` cannot be read: the environment variable is not set"
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn only_what_the_receiver_is_not_ready_for_is_called_again() {
    for code in [429, 502, 503, 504] {
        let reply = status(code).insert_header("retry-after", "7");
        let (_, outcome) = answer(reply, json!({})).await;
        let Outcome::Again { reason, after, .. } = outcome else { panic!("{code} asks for another call") };
        assert!(reason.ends_with(&format!("/hook answered {code}")), "{reason}");
        assert_eq!(after, Some(Span::from_secs(7)));
    }
    for code in [400, 401, 404, 500, 501] {
        let (_, outcome) = answer(status(code), json!({})).await;
        assert!(matches!(outcome, Outcome::Failed { answered: Some(_), .. }), "{code}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_success_and_not_followed() {
    let server = MockServer::start().await;
    let elsewhere = format!("{}/elsewhere", server.uri());
    let reply = status(302).insert_header("location", elsewhere.as_str());
    Mock::given(path("/hook")).respond_with(reply).mount(&server).await;
    Mock::given(path("/elsewhere")).respond_with(status(200)).expect(0).mount(&server).await;
    let outcome = call(json!({"url": format!("{}/hook", server.uri())})).await;
    let Outcome::Succeeded(answered) = outcome else { panic!("it succeeds") };
    assert_eq!(answered.status, 302);
}

#[tokio::test]
async fn the_stages_own_codes_come_first() {
    let (_, outcome) = answer(status(204), json!({"failOn": [204]})).await;
    let Outcome::Failed { reason, .. } = outcome else { panic!("it fails") };
    assert!(reason.ends_with("answered 204, which `failOn` names"), "{reason}");
    let (_, outcome) = answer(status(503), json!({"failOn": [503]})).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let (_, outcome) = answer(status(404), json!({"successOn": [404]})).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_long_answer_is_cut_and_no_part_of_a_secret_is_left_at_the_cut() {
    let long = format!("{}{SECRET}{}", "x".repeat(LONGEST_BODY - 5), "y".repeat(1000));
    let options = json!({"headers": {"X-Key": {"secretRef": "env:TOKEN"}}});
    let (_, outcome) = answer(status(200).set_body_string(long), options).await;
    let Outcome::Succeeded(answered) = outcome else { panic!("it succeeds") };
    assert!(answered.truncated);
    let body = answered.body.as_str().unwrap();
    assert_eq!(body.len(), LONGEST_BODY - 5 + "[redacted]".len());
    assert!(body.ends_with("xx[redacted]"));
    assert_eq!(answered.excerpt().len(), EXCERPT);
}

#[tokio::test]
async fn an_answer_nested_too_deep_is_kept_as_text() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let (_, outcome) = answer(status(200).set_body_string(deep.clone()), json!({})).await;
    let Outcome::Succeeded(answered) = outcome else { panic!("it succeeds") };
    assert_eq!(answered.body, json!(deep));
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_is_called_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    drop(listener);
    let Outcome::Again { reason, after: None, answered: None } = call(json!({ "url": url })).await else {
        panic!("it is called again")
    };
    assert!(reason.starts_with(&format!("POST {url} was not answered: ")), "{reason}");
    assert!(reason.contains("Connection refused"), "{reason}");
}

#[tokio::test]
async fn this_machine_is_not_called_unless_it_is_allowed() {
    let server = MockServer::start().await;
    let outcome = call_with(OutboundPolicy::default(), json!({ "url": server.uri() })).await;
    let Outcome::Failed { reason, answered: None } = outcome else { panic!("it is refused") };
    assert_eq!(reason, "127.0.0.1 is this machine itself, which this installation does not call");
    assert!(server.received_requests().await.unwrap().is_empty());
}
