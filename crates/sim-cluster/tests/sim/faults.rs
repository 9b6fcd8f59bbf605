use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use pilothouse_sim_cluster::Fault;
use serde_json::json;

use crate::objects::{cluster, create_web, refused, typed, web};

#[tokio::test(start_paused = true)]
async fn injected_faults_answer_the_next_requests_only() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    for (code, reason) in
        [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")]
    {
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
