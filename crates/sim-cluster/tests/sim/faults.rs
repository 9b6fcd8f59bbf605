use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use pilothouse_sim_cluster::Fault;
use serde_json::json;
use tower::ServiceExt as _;

use crate::objects::{cluster, create_web, refused, typed, web};

#[tokio::test(start_paused = true)]
async fn injected_faults_answer_the_next_requests_only() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    for (code, reason) in [(409, "Conflict"), (500, "InternalError"), (503, "ServiceUnavailable")] {
        cluster.inject(Fault::status(code).on_writes().on_path("*/configmaps"));
        let map = || typed(json!({"metadata": {"name": format!("m{code}")}}));
        let error = refused(api.create(&PostParams::default(), &map()).await);
        assert_eq!((error.code, error.reason.as_str()), (code, reason));
        api.create(&PostParams::default(), &map()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_has_happened_all_the_same() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    cluster.inject(Fault::lose_answer());
    assert_eq!(
        refused(api.create(&PostParams::default(), &typed(json!({"metadata": {"name": "m"}}))).await).code,
        504
    );
    assert!(cluster.get("ConfigMap", "dev", "m").is_some());
}

#[tokio::test(start_paused = true)]
async fn delays_take_time_and_a_cluster_that_is_down_answers_nothing() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    cluster.inject(Fault::delay(Duration::from_secs(20)));
    let start = tokio::time::Instant::now();
    api.list(&kube::api::ListParams::default()).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 20);
    cluster.set_down(true);
    assert_eq!(refused(api.list(&kube::api::ListParams::default()).await).code, 503);
    cluster.set_down(false);
    api.list(&kube::api::ListParams::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_are_recorded_in_order_without_secrets() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    api.get("web").await.unwrap();
    api.patch("web", &PatchParams::apply("pilothouse").force(), &Patch::Apply(web("web:2", 1)))
        .await
        .unwrap();
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client, "dev");
    secrets
        .create(
            &PostParams::default(),
            &typed(json!({"metadata": {"name": "s"}, "stringData": {"k": "hush"}})),
        )
        .await
        .unwrap();
    let writes = cluster.writes();
    let shown: Vec<_> = writes.iter().map(|w| format!("{} {} {}", w.method, w.path, w.status)).collect();
    assert_eq!(
        shown,
        [
            "POST /apis/apps/v1/namespaces/dev/deployments 201",
            "PATCH /apis/apps/v1/namespaces/dev/deployments/web 200",
            "POST /api/v1/namespaces/dev/secrets 201"
        ]
    );
    assert_eq!(writes[1].manager.as_deref(), Some("pilothouse"));
    assert!(writes[1].summary.contains("web:2"));
    assert!(!writes[2].summary.contains("hush"), "{}", writes[2].summary);
    assert_eq!(cluster.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn from_a_certain_write_on_the_cluster_has_vanished() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let map = |name: &str| typed(json!({"metadata": {"name": name}}));
    cluster.inject(Fault::unreachable().on_writes().in_namespace("dev").after(1).forever());
    api.create(&PostParams::default(), &map("a")).await.unwrap();
    for _ in 0..2 {
        let error = api.create(&PostParams::default(), &map("b")).await.unwrap_err();
        assert!(matches!(error, kube::Error::Service(_)), "{error:?}");
    }
    api.get("a").await.unwrap();
    assert_eq!(cluster.requests()[1].status, 0, "the client got no answer");
    cluster.clear_faults();
    api.create(&PostParams::default(), &map("b")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_webhook_denies_and_a_throttled_client_is_told_when_to_come_back() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    cluster
        .inject(Fault::webhook("policy.example.com", "images must be signed").on_resource("deployments.*"));
    let denied = refused(api.create(&PostParams::default(), &typed(web("web:1", 1))).await);
    assert_eq!(
        (denied.code, denied.message.as_str()),
        (403, "admission webhook \"policy.example.com\" denied the request: images must be signed")
    );
    cluster.inject(Fault::webhook_down("policy.example.com"));
    let down = refused(api.create(&PostParams::default(), &typed(web("web:1", 1))).await);
    assert_eq!((down.code, down.reason.as_str()), (500, "InternalError"));
    cluster.inject(Fault::throttle(7).on_verb("list"));
    let request =
        http::Request::get("/apis/apps/v1/namespaces/dev/deployments").body(axum::body::Body::empty());
    let throttled = cluster.service().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(
        (throttled.status().as_u16(), &throttled.headers()["retry-after"]),
        (429, &http::HeaderValue::from(7))
    );
    let body = axum::body::to_bytes(throttled.into_body(), 1000).await.unwrap();
    assert_eq!(body, "Too many requests, please try again later.\n", "no Status, as by a real server");
}

#[tokio::test(start_paused = true)]
async fn watches_are_cut_dropped_and_told_that_they_are_too_late() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let version =
        api.list(&kube::api::ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let start = tokio::time::Instant::now();
    cluster.inject(Fault::cut_watch(Duration::from_secs(3)));
    let params = kube::api::WatchParams::default();
    assert_eq!(api.watch(&params, &version).await.unwrap().count().await, 0);
    assert_eq!(start.elapsed().as_secs(), 3);
    let open = api.watch(&params, &version).await.unwrap();
    cluster.drop_watches();
    assert_eq!(open.count().await, 0);
    api.create(&PostParams::default(), &typed(json!({"metadata": {"name": "m"}}))).await.unwrap();
    cluster.compact();
    let late: Vec<_> = api.watch(&params, &version).await.unwrap().collect().await;
    assert!(matches!(&late[..], [Ok(kube::api::WatchEvent::Error(e))] if e.code == 410), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn the_record_tells_verbs_resources_and_selectors() {
    let (cluster, client) = cluster().await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    api.list(&kube::api::ListParams::default()).await.unwrap();
    api.list(&kube::api::ListParams::default().labels("app=web")).await.unwrap();
    api.list(&kube::api::ListParams::default().fields("metadata.name=web")).await.unwrap();
    refused(api.get_scale("web").await);
    let shown: Vec<_> = cluster
        .requests()
        .iter()
        .map(|r| {
            format!(
                "{} {} {} {}/{} {} {}",
                r.verb, r.resource, r.subresource, r.namespace, r.name, r.label_selector, r.field_selector
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "list deployments.apps  dev/  ",
            "list deployments.apps  dev/ app=web ",
            "list deployments.apps  dev/  metadata.name=web",
            "get deployments.apps scale dev/web  "
        ]
    );
    assert_eq!(cluster.count_requests(pilothouse_sim_cluster::RequestRecord::is_unselective), 1);
    cluster.clear_requests();
    assert_eq!(cluster.requests().len(), 0);
}
