//! What a real registry sent (docker-registry 2.8.2, skopeo 1.9.3; captured), and what it might.

use axum::http::StatusCode;
use pilothouse_domain::intake::Sender;
use serde_json::{Value, json};

use super::{Answer, Harness, post};

const PATH: &str = "/webhooks/distribution/shop";
const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";

/// A push, the same push again, an index of two platforms with its attestation, a signature, and a delete, in the order
/// in which they came.
const CAPTURED: [&str; 21] = [
    include_str!("fixtures/distribution-2.8.2-01.json"),
    include_str!("fixtures/distribution-2.8.2-02.json"),
    include_str!("fixtures/distribution-2.8.2-03.json"),
    include_str!("fixtures/distribution-2.8.2-04.json"),
    include_str!("fixtures/distribution-2.8.2-05.json"),
    include_str!("fixtures/distribution-2.8.2-06.json"),
    include_str!("fixtures/distribution-2.8.2-07.json"),
    include_str!("fixtures/distribution-2.8.2-08.json"),
    include_str!("fixtures/distribution-2.8.2-09.json"),
    include_str!("fixtures/distribution-2.8.2-10.json"),
    include_str!("fixtures/distribution-2.8.2-11.json"),
    include_str!("fixtures/distribution-2.8.2-12.json"),
    include_str!("fixtures/distribution-2.8.2-13.json"),
    include_str!("fixtures/distribution-2.8.2-14.json"),
    include_str!("fixtures/distribution-2.8.2-15.json"),
    include_str!("fixtures/distribution-2.8.2-16.json"),
    include_str!("fixtures/distribution-2.8.2-17.json"),
    include_str!("fixtures/distribution-2.8.2-18.json"),
    include_str!("fixtures/distribution-2.8.2-19.json"),
    include_str!("fixtures/distribution-2.8.2-20.json"),
    include_str!("fixtures/distribution-2.8.2-21.json"),
];
/// Where the tagged manifest of the first push is, and that of its repetition.
const PUSHED: usize = 2;
const PUSHED_AGAIN: usize = 5;

struct Registry {
    test: Harness,
    secret: String,
}

impl Registry {
    async fn new(tag: &str) -> Self {
        let test = Harness::new().await;
        let secret = test.hook("shop", Sender::Distribution, true).await.unwrap();
        let trigger = format!("[{{name: push, type: registry, hook: shop, image: shop/web{tag}}}]");
        test.pipeline("web", &trigger).await;
        Self { test, secret: format!("Bearer {secret}") }
    }

    async fn notify(&self, body: impl Into<axum::body::Body>) -> Answer {
        let headers = [("authorization", self.secret.as_str()), ("content-type", MEDIA_TYPE)];
        self.test.send(post(PATH, &headers, body)).await
    }

    async fn event(&self, event: &Value) -> Answer {
        self.notify(json!({ "events": [event] }).to_string()).await
    }
}

/// The one event of a captured body.
fn captured(place: usize) -> Value {
    let body: Value = serde_json::from_str(CAPTURED[place]).unwrap();
    body["events"][0].clone()
}

/// The captured push with another id, tag and digest.
fn pushed(id: &str, tag: &str, fill: char) -> Value {
    let mut event = captured(PUSHED);
    event["id"] = json!(id);
    event["target"]["tag"] = json!(tag);
    event["target"]["digest"] = json!(format!("sha256:{}", fill.to_string().repeat(64)));
    event
}

#[tokio::test(start_paused = true)]
async fn all_that_a_registry_sent_is_2xx_and_starts_one_release_for_each_image() {
    // `.*` would take signatures too, if their tags were not known.
    let registry = Registry::new(", tag: '.*'").await;
    let mut seen = Vec::new();
    for body in CAPTURED {
        let answer = registry.notify(body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        seen.push(format!("{} {}", answer.status.as_u16(), answer.reasons()));
    }
    assert_eq!(registry.test.releases().await, 2);
    assert_eq!(registry.test.executions(), 2);
    insta::assert_snapshot!(seen.join("\n"), @r"
    200 `application/octet-stream` is not an image manifest
    200 `application/octet-stream` is not an image manifest
    202 started for 127.0.0.1:15910/shop/web:1.0.0@sha256:7d0c28501626947cacc1631b237d2aaa8083f22d3aae0ded653944f6a860cf3c
    200 `pull` is not a push
    200 `pull` is not a push
    202 started before for 127.0.0.1:15910/shop/web:1.0.0@sha256:7d0c28501626947cacc1631b237d2aaa8083f22d3aae0ded653944f6a860cf3c
    200 `application/octet-stream` is not an image manifest
    200 `application/octet-stream` is not an image manifest
    200 the manifest was pushed without a tag
    200 `application/octet-stream` is not an image manifest
    200 `application/octet-stream` is not an image manifest
    200 the manifest was pushed without a tag
    200 `application/octet-stream` is not an image manifest
    200 `application/octet-stream` is not an image manifest
    200 the manifest was pushed without a tag
    202 started for 127.0.0.1:15910/shop/web:1.1.0@sha256:67d2e7b44b99c025f56e0d1f19afdbacce23d1a2305b1651d2ba7fe8600c45a1
    200 `application/octet-stream` is not an image manifest
    200 `application/octet-stream` is not an image manifest
    200 tag `sha256-7d0c28501626947cacc1631b237d2aaa8083f22d3aae0ded653944f6a860cf3c.sig` is a signature or attestation, not an image
    200 `delete` is not a push
    200 `delete` is not a push
    ");
    let kept = registry.test.deliveries("shop").await;
    assert_eq!(kept.len(), CAPTURED.len());
    assert!(kept.iter().all(|one| !one.verdicts.is_empty() && one.payload.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_push_says_its_digest_its_pusher_and_its_delivery() {
    let registry = Registry::new("").await;
    let mut event = captured(PUSHED);
    event["actor"] = json!({ "name": "alice" });
    let answer = registry.event(&event).await;
    assert_eq!((answer.status, answer.started()), (StatusCode::ACCEPTED, 1));
    let release = registry.test.context.store.releases_of("shop", 1, None).await.unwrap().records().remove(0);
    assert_eq!(answer.verdicts()[0]["release"], json!(release.id));
    assert_eq!(release.artifacts[0].digest.as_deref(), event["target"]["digest"].as_str());
    assert_eq!(release.artifacts[0].tag.as_deref(), Some("1.0.0"));
    let cause = serde_json::to_value(&release.cause).unwrap();
    assert_eq!(
        cause,
        json!({"kind": "registry", "hook": "shop", "trigger": "push", "delivery": answer.body["delivery"], "pusher": "alice"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_sent_again_byte_for_byte_names_the_same_release() {
    let registry = Registry::new("").await;
    let first = registry.notify(CAPTURED[PUSHED]).await;
    let again = registry.notify(CAPTURED[PUSHED]).await;
    let pushed_again = registry.notify(CAPTURED[PUSHED_AGAIN]).await;
    assert_eq!((first.started(), again.started(), pushed_again.started()), (1, 0, 0));
    for answer in [&again, &pushed_again] {
        assert_eq!(answer.verdicts()[0]["release"], first.verdicts()[0]["release"]);
    }
    assert_eq!(again.body["delivery"], first.body["delivery"]);
    assert_eq!((again.status, pushed_again.status), (StatusCode::OK, StatusCode::ACCEPTED));
}

#[tokio::test(start_paused = true)]
async fn the_push_of_a_bundled_registry_is_21_requests_and_one_release() {
    let registry = Registry::new("").await;
    let mut requests: Vec<Value> = (0..9).map(|_| captured(3)).chain((0..11).map(|_| captured(0))).collect();
    requests.push(captured(PUSHED));
    for (n, event) in requests.iter_mut().enumerate() {
        event["id"] = json!(format!("00000000-0000-0000-0000-{n:012}"));
    }
    for event in &requests {
        assert!(registry.event(event).await.status.is_success());
    }
    assert_eq!((requests.len(), registry.test.releases().await), (21, 1));
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_and_comes_back_is_a_new_release_each_time() {
    let registry = Registry::new("").await;
    for (n, fill) in ['a', 'b', 'a', 'a'].into_iter().enumerate() {
        registry.event(&pushed(&format!("e{n}"), "1.0.0", fill)).await;
    }
    assert_eq!(registry.test.releases().await, 3);
}

#[tokio::test(start_paused = true)]
async fn many_deliveries_of_one_push_at_once_start_exactly_one_release() {
    let registry = Registry::new("").await;
    // Half of them are the same event sent again, the others pushes of the same image.
    let events: Vec<Value> = (0..200)
        .map(|n| pushed(&if n % 2 == 0 { "same".to_owned() } else { format!("e{n}") }, "1.0.0", 'a'))
        .collect();
    let answers = futures::future::join_all(events.iter().map(|event| registry.event(event))).await;
    assert!(answers.iter().all(|answer| answer.status.is_success()), "no 4xx, no 5xx");
    assert_eq!(answers.iter().map(Answer::started).sum::<usize>(), 1);
    let mut named: Vec<Value> =
        answers.iter().flat_map(Answer::verdicts).map(|verdict| verdict["release"].clone()).collect();
    named.dedup();
    assert_eq!(named.len(), 1, "all name the one release");
    assert_eq!((registry.test.releases().await, registry.test.executions()), (1, 1));
    assert_eq!(registry.test.dump().matches("\"kind\":{\"S\":\"delivery\"}").count(), 101);
}

#[tokio::test(start_paused = true)]
async fn what_deletes_or_is_no_image_starts_nothing() {
    let registry = Registry::new(", tag: '.*'").await;
    let mut deleted = pushed("e1", "1.0.0", 'a');
    deleted["action"] = json!("delete");
    let mut chart = pushed("e2", "1.0.0", 'a');
    chart["target"]["references"] = json!([{"mediaType": "application/vnd.cncf.helm.config.v1+json"}]);
    let signature = pushed("e3", &format!("sha256-{}.sig", "a".repeat(64)), 'a');
    let referrer = pushed("e4", &format!("sha256-{}", "a".repeat(64)), 'a');
    let mut tampered = pushed("e5", "1.0.0", 'a');
    tampered["target"]["digest"] = json!("sha256:../../etc");
    let mut odd = pushed("e6", "a tag", 'a');
    odd["target"]["repository"] = json!("shop/web");
    let mut host = pushed("e7", "1.0.0", 'a');
    host["request"]["host"] = json!("evil.example/x@");
    for event in [deleted, chart, signature, referrer, tampered, odd, host] {
        let answer = registry.event(&event).await;
        assert_eq!((answer.status, answer.started()), (StatusCode::OK, 0), "{answer:?}");
    }
    for body in ["{}", r#"{"events": "x"}"#, r#"{"events": [[], null, {"target": 7}]}"#] {
        assert_eq!(registry.notify(body).await.status, StatusCode::OK, "{body}");
    }
    assert_eq!(registry.test.releases().await, 0);
}

#[tokio::test(start_paused = true)]
async fn every_pipeline_that_listens_gives_its_verdict() {
    let registry = Registry::new("").await;
    registry
        .test
        .pipeline("beta", "[{name: push, type: registry, hook: shop, image: shop/web, tag: '.*-beta'}]")
        .await;
    registry.test.pipeline("also", "[{name: push, type: registry, hook: shop, image: shop/web}]").await;
    let off = "[{name: off, enabled: false, type: registry, hook: shop, image: shop/web}]";
    registry.test.pipeline("off", off).await;
    let answer = registry.event(&pushed("e1", "1.0.0", 'a')).await;
    assert_eq!(answer.started(), 2);
    let mut said: Vec<String> = answer
        .verdicts()
        .iter()
        .map(|verdict| {
            format!("{}: {}", verdict["pipeline"].as_str().unwrap(), verdict["reason"].as_str().unwrap())
        })
        .collect();
    said.sort();
    let digest = "a".repeat(64);
    insta::assert_snapshot!(said.join("\n").replace(&digest, "aaa"), @r"
    shop/also: started for 127.0.0.1:15910/shop/web:1.0.0@sha256:aaa
    shop/beta: tag `1.0.0` does not match `.*-beta`
    shop/off: the trigger is disabled
    shop/web: started for 127.0.0.1:15910/shop/web:1.0.0@sha256:aaa
    ");
    let kept = registry.test.deliveries("shop").await.remove(0);
    assert_eq!(json!(kept.verdicts), answer.body["verdicts"], "what is answered is on record");
}

#[tokio::test(start_paused = true)]
async fn an_envelope_of_several_events_starts_a_release_for_each_image() {
    let registry = Registry::new("").await;
    let events =
        [pushed("a", "1.0.0", 'a'), pushed("b", "1.0.0", 'a'), pushed("c", "1.1.0", 'b'), captured(0)];
    let body = json!({ "events": events }).to_string();
    let first = registry.notify(body.clone()).await;
    assert_eq!((first.started(), first.verdicts().len()), (2, 3));
    let again = registry.notify(body).await;
    assert_eq!((again.started(), &again.body["delivery"]), (0, &first.body["delivery"]));
    assert_eq!(registry.test.releases().await, 2);
}
