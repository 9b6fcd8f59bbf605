use std::collections::BTreeMap;

use pilothouse_domain::notification::{Severity, Topic};
use serde_json::json;
use wiremock::matchers::{any, header};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::OutboundPolicy;
use crate::intake::test_context::TestContext;

fn notice() -> Notice {
    serde_json::from_value(json!({
        "id": "rel_00000000010000000000000001/7", "type": "rollback_failed", "severity": "page",
        "timestamp": "2026-11-21T10:00:00Z", "summary": "shop/web to prod #2: rollback failed", "application": "shop",
        "pipeline": "web", "release": "rel_00000000010000000000000001", "artifacts": "shop/web:1.1.0",
        "environment": "prod", "attempt": 2, "actor": "system", "event": { "type": "DeploymentEnded" }, "seq": 7,
        "hash": "ab",
    }))
    .unwrap()
}

/// A context that may call this machine, and knows two secrets.
async fn context() -> Context {
    let mut context = TestContext::new().await.context;
    context.outbound = OutboundPolicy { allow_private: true, allow_loopback: true };
    let secret = |text: &str| text.parse::<SecretRef>().unwrap();
    context.secrets = Secrets::local().with_values(BTreeMap::from([
        (secret("env:SIGN"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        (secret("env:TOKEN"), "hunter22".to_owned()),
    ]));
    context
}

async fn deliver(context: &Context, options: Value) -> Result<(), Undelivered> {
    let Value::Object(options) = options else { panic!("an object") };
    Webhook.deliver(context, &options, &notice()).await
}

#[tokio::test]
async fn a_notice_is_posted_with_its_id_its_headers_and_a_signature() {
    let (context, server) = (context().await, MockServer::start().await);
    let taken =
        Mock::given(header("authorization", "Bearer hunter22")).respond_with(ResponseTemplate::new(204));
    taken.mount(&server).await;
    let options = json!({
        "url": format!("{}/hook", server.uri()), "secret": "env:SIGN",
        "headers": { "Authorization": { "secretRef": "env:TOKEN", "prefix": "Bearer " } },
    });
    deliver(&context, options).await.unwrap();
    let call = server.received_requests().await.unwrap().remove(0);
    assert_eq!(serde_json::from_slice::<Notice>(&call.body).unwrap(), notice());
    let sent = |name: &str| call.headers[name].to_str().unwrap().to_owned();
    assert_eq!((sent("pilothouse-event"), sent("webhook-id")), (notice().id, notice().id));
    assert_eq!(sent("content-type"), "application/json");
    let secret = context.secrets.resolve(&"env:SIGN".parse().unwrap()).await.unwrap();
    let expected = signature(&secret, &notice().id, &sent("webhook-timestamp"), &call.body);
    assert_eq!(sent("webhook-signature"), expected);
}

#[tokio::test]
async fn the_signature_is_that_of_standard_webhooks() {
    let secret = context().await.secrets.resolve(&"env:SIGN".parse().unwrap()).await.unwrap();
    let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b"{\"test\": 2432232314}");
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn what_is_not_2xx_is_tried_again_and_a_receiver_that_is_gone_is_not() {
    let context = context().await;
    for (status, retryable) in [(302, true), (400, true), (401, true), (410, false), (503, true)] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let refused = deliver(&context, json!({ "url": server.uri() })).await.unwrap_err();
        assert_eq!(refused.retryable, retryable, "{status}");
        assert!(refused.reason.contains(&status.to_string()), "{}", refused.reason);
    }
    let nobody = deliver(&context, json!({ "url": "http://127.0.0.1:9/" })).await.unwrap_err();
    assert_eq!(nobody, Undelivered::for_now("no connection to the receiver"));
}

#[tokio::test]
async fn what_may_not_be_reached_is_never_called_and_a_missing_secret_may_come() {
    let mut strict = context().await;
    strict.outbound = OutboundPolicy::default();
    let refused = deliver(&strict, json!({ "url": "http://127.0.0.1:9/" })).await.unwrap_err();
    assert!(!refused.retryable && refused.reason.contains("this machine itself"), "{refused:?}");
    let missing = deliver(&strict, json!({ "url": "https://x.example/", "secret": "env:NOT_THERE_1" })).await;
    let missing = missing.unwrap_err();
    assert!(missing.retryable && missing.reason.contains("env:NOT_THERE_1"), "{missing:?}");
}

#[tokio::test]
async fn a_url_that_is_a_secret_is_called_and_never_told() {
    let (mut context, server) = (context().await, MockServer::start().await);
    Mock::given(any()).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    let values = |url: String| Secrets::local().with_values([("env:CHAT".parse().unwrap(), url)].into());
    let options = json!({ "url": { "secretRef": "env:CHAT" } });
    let urls = [
        format!("{}/hunter22", server.uri()),
        "http://127.0.0.1:9/hunter22".to_owned(),
        "hunter22".to_owned(),
    ];
    for url in urls {
        context.secrets = values(url);
        let refused = deliver(&context, options.clone()).await.unwrap_err();
        assert!(refused.retryable && !refused.reason.contains("hunter22"), "{refused:?}");
    }
    context.outbound = OutboundPolicy::default();
    context.secrets = values("http://127.0.0.1:9/hunter22".to_owned());
    let refused = deliver(&context, options).await.unwrap_err();
    assert_eq!(refused.reason, "the URL in `env:CHAT` cannot be called");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[test]
fn what_is_wrong_with_the_keys_is_said_when_the_pipeline_is_saved() {
    let found = |options: Value| {
        let Value::Object(options) = options else { panic!("an object") };
        validate(&options).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(found(json!({ "url": "https://x.example/", "secret": "env:S" })), "");
    assert_eq!(found(json!({ "url": { "secretRef": "env:CHAT" } })), "");
    let all = json!({
        "url": "http://169.254.169.254/", "secret": "hunter2", "headers": { "Authorization": "Bearer hunter2" },
    });
    insta::assert_snapshot!(found(all), @r#"
    headers.Authorization: `Authorization` carries a secret, and pipelines are stored and shown; write `{secretRef: env:NAME}`, with `prefix: "Bearer "` if it has one
    url: 169.254.169.254 is a link-local address, where clouds keep a machine's credentials, which this installation does not call
    secret: not a secret reference: write `env:NAME`, `file:PATH` or `aws-secret:NAME#key` (the text given is not shown)
    "#);
    let expression = found(json!({ "url": "https://${ params.host }/" }));
    assert_eq!(expression, "url: the URL of a notification takes no expressions");
    let header = found(json!({ "url": "https://x.example/", "headers": { "X-Release": "${ release.id }" } }));
    assert_eq!(header, "headers.X-Release: the headers of a notification take no expressions");
}

#[test]
fn a_notice_keeps_its_shape() {
    assert_eq!((notice().topic, notice().severity), (Topic::RollbackFailed, Severity::Page));
}
