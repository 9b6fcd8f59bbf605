use serde_json::json;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

/// A server that answers every request with this.
async fn server(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(response).mount(&server).await;
    server
}

fn vector(values: &[(&str, &str)]) -> ResponseTemplate {
    let series: Vec<Value> = values
        .iter()
        .map(|(job, value)| json!({"metric": {"job": job}, "value": [1_790_000_000.5, value]}))
        .collect();
    let data = json!({"resultType": "vector", "result": series});
    ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": data}))
}

/// What a Prometheus check with these keys comes to when the query gives these values.
async fn prometheus(response: ResponseTemplate, mut keys: Value) -> (bool, String) {
    let server = server(response).await;
    keys["type"] = json!("prometheus");
    keys["address"] = json!(server.uri());
    keys["query"] = json!("up");
    let result = sampled(keys).await;
    (result.passed, result.detail.replace(&server.uri(), "PROMETHEUS"))
}

#[tokio::test]
async fn an_answer_of_2xx_passes_and_any_other_does_not() {
    for (code, passes) in [(200, true), (204, true), (302, false), (404, false), (503, false)] {
        let server = server(ResponseTemplate::new(code)).await;
        let result = sampled(json!({"type": "http", "url": format!("{}/health?a=b", server.uri())})).await;
        assert_eq!((result.passed, &result.value), (passes, &json!(code)), "{result:?}");
        assert_eq!(result.detail, format!("GET {}/health answered {code}", server.uri()));
    }
}

#[tokio::test]
async fn an_expression_reads_status_body_headers_and_the_release() {
    let answer = ResponseTemplate::new(200)
        .set_body_json(json!({"status": "ok", "version": "1.0.0"}))
        .insert_header("X-Region", "eu");
    let server = server(answer).await;
    let check = |expect: &str| json!({"type": "http", "url": server.uri(), "expect": expect});
    let all = "${ statusCode == 200 && body.version == artifacts.web.tag && headers['x-region'] == 'eu' }";
    assert!(sampled(check(all)).await.passed);
    let result = sampled(check("${ body.status == 'degraded' }")).await;
    assert_eq!((result.passed, result.value), (false, json!(200)));
    assert_eq!(result.detail, "`${ body.status == 'degraded' }` is false: body.status is \"ok\"");
    let undefined = sampled(check("${ body.ready }")).await;
    assert!(!undefined.passed && undefined.detail.contains("`body.ready` is undefined"), "{undefined:?}");
    let vague = sampled(check("${ body.version }")).await;
    assert!(!vague.passed && vague.detail.contains("neither true nor false"), "{vague:?}");
}

#[tokio::test]
async fn a_secret_goes_out_and_never_into_a_record() {
    let server = MockServer::start().await;
    let echo = ResponseTemplate::new(200).set_body_json(json!({"echo": SECRET}));
    Mock::given(method("POST"))
        .and(header("authorization", SECRET))
        .respond_with(echo)
        .expect(1)
        .mount(&server)
        .await;
    let scene = Scene::new(gate_of(json!({
        "type": "http", "url": server.uri(), "method": "POST", "payload": {"ask": "${ params.host }"},
        "headers": {"Authorization": {"secretRef": "env:TOKEN"}}, "expect": "${ body.echo == 'x' }",
    })))
    .await;
    let result = scene.sample().await;
    assert!(result.detail.ends_with("body.echo is \"[redacted]\""), "{result:?}");
    assert!(!scene.test.dump().contains(SECRET));
    let asked = server.received_requests().await.unwrap().remove(0);
    assert_eq!(asked.body, br#"{"ask":"web.dev"}"#);
}

#[tokio::test]
async fn what_cannot_be_called_is_a_failed_sample_with_its_reason() {
    for (url, reason) in [
        ("http://127.0.0.1:1/", "GET http://127.0.0.1:1/ was not answered: "),
        ("http://169.254.169.254/latest", "169.254.169.254 is a link-local address"),
        ("http://${ params.host + '.invalid' }/", "call web.dev.invalid: the name cannot be resolved"),
    ] {
        let result = sampled(json!({"type": "http", "url": url})).await;
        assert!(!result.passed && result.detail.starts_with(reason), "{result:?}");
    }
}

#[tokio::test]
async fn this_machine_is_not_called_unless_the_installation_allows_it() {
    let server = server(ResponseTemplate::new(200)).await;
    let mut scene = Scene::new(gate_of(json!({"type": "http", "url": server.uri()}))).await;
    scene.test.context.outbound = OutboundPolicy::default();
    let result = scene.sample().await;
    assert!(!result.passed && result.detail.contains("this machine itself"), "{result:?}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_instant_query_is_asked_below_the_address() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/prom/api/v1/query"))
        .and(query_param("query", r#"errors{version="1.0.0"}"#))
        .and(header("x-scope-orgid", "shop"))
        .respond_with(vector(&[("web", "0")]))
        .expect(1)
        .mount(&server)
        .await;
    let result = sampled(json!({
        "type": "prometheus", "address": format!("{}/prom/", server.uri()), "below": 1,
        "query": r#"errors{version="${ artifacts.web.tag }"}"#, "headers": {"X-Scope-OrgID": "shop"},
    }))
    .await;
    assert!(result.passed, "{result:?}");
    assert_eq!((result.value, result.detail.as_str()), (json!(0.0), "0 ({job=\"web\"})"));
}

#[tokio::test]
async fn every_series_must_be_within_the_threshold() {
    let both = || vector(&[("web", "0.005"), ("api", "0.05")]);
    let (passed, detail) = prometheus(both(), json!({"below": 0.01})).await;
    assert_eq!(
        (passed, detail.as_str()),
        (false, "0.05 is not below 0.01 ({job=\"api\"}); 1 of 2 series do not pass")
    );
    let (passed, detail) = prometheus(both(), json!({"below": 0.1, "above": "0.001"})).await;
    assert_eq!((passed, detail.as_str()), (true, "all 2 series pass, the first with 0.005"));
    assert!(prometheus(vector(&[("web", "3")]), json!({"equals": 3})).await.0);
    let (passed, detail) =
        prometheus(both(), json!({"expect": "${ labels.job == 'api' || value < 0.01 }"})).await;
    assert!(passed, "{detail}");
    let (passed, detail) = prometheus(vector(&[("web", "2")]), json!({"expect": "${ value < 1.5 }"})).await;
    assert_eq!(
        (passed, detail.as_str()),
        (false, "`${ value < 1.5 }` is false: value is 2.0 ({job=\"web\"})")
    );
    for expect in ["${ value > 1 }", "${ value == 2.0 }", "${ value == 2 }", "${ double(value) >= 2.0 }"] {
        assert!(prometheus(vector(&[("web", "2")]), json!({"expect": expect})).await.0, "{expect}");
    }
}

#[tokio::test]
async fn what_is_no_number_never_passes() {
    for keys in [json!({"below": 1}), json!({"above": 1}), json!({"equals": 1})] {
        let (passed, detail) = prometheus(vector(&[("web", "NaN")]), keys).await;
        assert!(!passed && detail.starts_with("NaN is not "), "{detail}");
    }
    let (passed, detail) = prometheus(vector(&[("web", "+Inf")]), json!({"below": 1})).await;
    assert!(!passed && detail.starts_with("inf is not below 1"), "{detail}");
}

#[tokio::test]
async fn no_series_is_a_failed_sample_unless_the_check_says_otherwise() {
    let (passed, detail) = prometheus(vector(&[]), json!({"below": 1})).await;
    assert_eq!((passed, detail.as_str()), (false, "the query gives no series"));
    assert!(prometheus(vector(&[]), json!({"below": 1, "emptyPasses": true})).await.0);
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failed_sample_with_its_reason() {
    let json = |code, body: Value| ResponseTemplate::new(code).set_body_json(body);
    let answers = [
        (
            json(
                400,
                json!({"status": "error", "errorType": "bad_data", "error": "parse error: unexpected"}),
            ),
            "PROMETHEUS/api/v1/query: it answered 400: parse error: unexpected",
        ),
        (
            ResponseTemplate::new(503).set_body_string("busy"),
            "it answered 503, and that is no answer of Prometheus",
        ),
        (
            ResponseTemplate::new(200).set_body_string("<html>"),
            "it answered 200, and that is no answer of Prometheus",
        ),
        (
            json(200, json!({"status": "success", "data": {"resultType": "matrix", "result": []}})),
            "gives a range",
        ),
        (
            json(200, json!({"status": "success", "data": {"resultType": "string", "result": [1, "a"]}})),
            "no numbers but string",
        ),
        (
            json(200, json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "a"]}})),
            "is no number",
        ),
        (
            json(200, json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}})),
            "7 is not below 1",
        ),
        (json(200, json!([])), "it answered 200: it does not say why"),
    ];
    for (answer, reason) in answers {
        let (passed, detail) = prometheus(answer, json!({"below": 1, "emptyPasses": true})).await;
        assert!(!passed && detail.contains(reason), "{detail}");
    }
}

fn deployment(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "dev"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "shop/web"}]},
        }},
    })
}

async fn create(sim: &SimCluster, object: &Value) {
    use tower::ServiceExt as _;
    let request = http::Request::post("/apis/apps/v1/namespaces/dev/deployments")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(object.to_string()))
        .unwrap();
    let answer = sim.service().oneshot(request).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

#[tokio::test(start_paused = true)]
async fn a_workload_passes_once_all_its_pods_are_available() {
    let check =
        json!({"type": "cluster", "object": {"kind": "Deployment", "name": "web"}, "available": true});
    let mut gate = gate_of(check);
    gate["interval"] = json!("5s");
    let scene = Scene::new(gate).await;
    let result = scene.sample().await;
    assert_eq!((result.passed, result.detail.as_str()), (false, "Deployment dev/web does not exist"));
    create(&scene.sim, &deployment(2)).await;
    let mut seen = Vec::new();
    while let GateStep::Wait { seconds } = scene.step().await {
        let detail = scene.run().await.last.remove(0).detail;
        if seen.last() != Some(&detail) {
            seen.push(detail);
        }
        let next = std::time::Duration::from_secs(u64::try_from(seconds).unwrap());
        tokio::time::sleep_until(tokio::time::Instant::now() + next).await;
    }
    let last = scene.run().await.last.remove(0);
    assert_eq!(last.detail, "Deployment dev/web: 2 of 2 pods available, 2 at the latest version", "{seen:?}");
    assert_eq!((scene.step().await, last.value), (GateStep::Passed, json!(2)));
}

#[tokio::test(start_paused = true)]
async fn an_expression_reads_the_object() {
    let check = |expect: &str| json!({"type": "cluster", "object": {"kind": "Deployment", "name": "${ 'w' + 'eb' }"}, "expect": expect});
    let scene = Scene::new(gate_of(check("${ object.spec.replicas >= 3 }"))).await;
    create(&scene.sim, &deployment(2)).await;
    let result = scene.sample().await;
    assert_eq!(
        result.detail,
        "Deployment dev/web: `${ object.spec.replicas >= 3 }` is false: object.spec.replicas is 2"
    );
    let scene = Scene::new(gate_of(check("${ object.spec.replicas == 2 }"))).await;
    create(&scene.sim, &deployment(2)).await;
    assert!(scene.sample().await.passed);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_away_is_a_failed_sample() {
    let check =
        json!({"type": "cluster", "object": {"kind": "Deployment", "name": "web"}, "available": true});
    let scene = Scene::new(gate_of(check)).await;
    scene.sim.set_down(true);
    let began = tokio::time::Instant::now();
    let result = scene.sample().await;
    assert!(!result.passed && !result.detail.is_empty(), "{result:?}");
    assert!(began.elapsed() <= std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}
