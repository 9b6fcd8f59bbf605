//! What keeps pods from being created, evicted or left as they are: budgets, quotas, autoscalers.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{LimitRange, Pod, ResourceQuota},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client,
    api::{EvictParams, Patch, PatchParams, PostParams},
};
use pilothouse_sim_cluster::SimCluster;
use serde_json::json;

use crate::objects::{cluster, count, create_web, events, reason, refused, rolled_out, text, typed, until};

async fn budget(client: &Client, spec: serde_json::Value) {
    let api: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), "dev");
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    api.create(&PostParams::default(), &typed(json!({"metadata": {"name": "web"}, "spec": spec})))
        .await
        .expect("a budget");
}

#[tokio::test(start_paused = true)]
async fn a_budget_with_an_empty_selector_is_about_every_pod_and_one_without_about_none() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 3).await;
    rolled_out(&cluster, "web").await;
    let api: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), "dev");
    for (name, spec) in
        [("every", json!({"minAvailable": 1, "selector": {}})), ("none", json!({"minAvailable": 1}))]
    {
        api.create(&PostParams::default(), &typed(json!({"metadata": {"name": name}, "spec": spec})))
            .await
            .expect("a budget");
    }
    until(&cluster, "PodDisruptionBudget", "dev", "every", |b| count(b, "/status/currentHealthy") == 3).await;
    until(&cluster, "PodDisruptionBudget", "dev", "none", |b| count(b, "/status/observedGeneration") == 1)
        .await;
    let none = cluster.get("PodDisruptionBudget", "dev", "none").unwrap();
    assert_eq!(count(&none, "/status/expectedPods"), 0, "{none:#}");
}

fn first_pod(cluster: &SimCluster) -> String {
    text(&cluster.list("Pod", "dev")[0], "/metadata/name").to_owned()
}

#[tokio::test(start_paused = true)]
async fn evictions_beyond_the_budget_are_refused_with_its_numbers() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 3).await;
    budget(&client, json!({"minAvailable": 2})).await;
    rolled_out(&cluster, "web").await;
    until(&cluster, "PodDisruptionBudget", "dev", "web", |b| count(b, "/status/disruptionsAllowed") == 1)
        .await;
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let first = first_pod(&cluster);
    let dry = EvictParams {
        post_options: PostParams { dry_run: true, field_manager: None },
        ..EvictParams::default()
    };
    pods.evict(&first, &dry).await.unwrap();
    pods.evict(&first, &EvictParams::default()).await.unwrap();
    let second = text(&cluster.list("Pod", "dev")[1], "/metadata/name").to_owned();
    let denied = refused(pods.evict(&second, &EvictParams::default()).await);
    assert_eq!(
        (denied.code, denied.message.as_str()),
        (429, "Cannot evict pod as it would violate the pod's disruption budget.")
    );
    assert!(
        denied.details.unwrap().causes[0]
            .message
            .starts_with("The disruption budget web needs 2 healthy pods and has")
    );
    until(&cluster, "PodDisruptionBudget", "dev", "web", |b| count(b, "/status/disruptionsAllowed") == 1)
        .await;
    pods.evict(&second, &EvictParams::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_budget_in_percent_counts_what_the_deployment_asks_for() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 4).await;
    budget(&client, json!({"maxUnavailable": "25%"})).await;
    let budget =
        until(&cluster, "PodDisruptionBudget", "dev", "web", |b| count(b, "/status/currentHealthy") == 4)
            .await;
    assert_eq!((count(&budget, "/status/expectedPods"), count(&budget, "/status/desiredHealthy")), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_quota_holds_pods_back_and_lets_them_come_when_it_is_raised() {
    let (cluster, client) = cluster().await;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), "dev");
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": {"pods": "2", "count/deployments.apps": "1"}}});
    quotas.create(&PostParams::default(), &typed(quota)).await.unwrap();
    create_web(&client, "web:1", 3).await;
    let web = until(&cluster, "Deployment", "dev", "web", |w| {
        reason(w, "ReplicaFailure") == "FailedCreate" && count(w, "/status/readyReplicas") == 2
    })
    .await;
    let message = web["status"]["conditions"].to_string();
    assert!(
        message.contains(
            "is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"
        ),
        "{message}"
    );
    let deployments: Api<Deployment> = Api::namespaced(client, "dev");
    let mut second = crate::objects::web("web:1", 1);
    second["metadata"]["name"] = json!("second");
    let denied = refused(deployments.create(&PostParams::default(), &typed(second)).await);
    assert_eq!(
        denied.message,
        "deployments.apps \"second\" is forbidden: exceeded quota: small, requested: count/deployments.apps=1, used: count/deployments.apps=1, \
         limited: count/deployments.apps=1"
    );
    let used =
        until(&cluster, "ResourceQuota", "dev", "small", |q| text(q, "/status/used/pods") == "2").await;
    assert_eq!(text(&used, "/status/hard/pods"), "2");
    let raise = Patch::Merge(json!({"spec": {"hard": {"pods": "5"}}}));
    quotas.patch("small", &PatchParams::default(), &raise).await.unwrap();
    rolled_out(&cluster, "web").await;
}

#[tokio::test(start_paused = true)]
async fn limits_fill_in_resources_and_bound_them() {
    let (cluster, client) = cluster().await;
    let ranges: Api<LimitRange> = Api::namespaced(client.clone(), "dev");
    let range = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "max": {"cpu": "1"}}]}});
    ranges.create(&PostParams::default(), &typed(range)).await.unwrap();
    create_web(&client, "web:1", 1).await;
    rolled_out(&cluster, "web").await;
    let pod = &cluster.list("Pod", "dev")[0];
    assert_eq!(
        pod.pointer("/spec/containers/0/resources"),
        Some(&json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}))
    );
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let big = json!({"metadata": {"name": "big"}, "spec": {"containers": [{"name": "c", "image": "c", "resources": {"limits": {"cpu": "2"}}}]}});
    let denied = refused(pods.create(&PostParams::default(), &typed(big)).await);
    assert_eq!(
        denied.message,
        "pods \"big\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"
    );
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_keeps_its_target_within_bounds_and_leaves_zero_alone() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    let scalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), "dev");
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let scaler = json!({"metadata": {"name": "web"}, "spec": {"minReplicas": 2, "maxReplicas": 5, "scaleTargetRef": target}});
    scalers.create(&PostParams::default(), &typed(scaler)).await.unwrap();
    let replicas = |n: i64| move |w: &serde_json::Value| count(w, "/spec/replicas") == n;
    until(&cluster, "Deployment", "dev", "web", replicas(2)).await;
    assert_eq!(
        events(&cluster, "dev", "web").iter().filter(|e| e.starts_with("SuccessfulRescale")).count(),
        1
    );
    let ask = Patch::Merge(json!({"metadata": {"annotations": {"sim-cluster/desired-replicas": "4"}}}));
    scalers.patch("web", &PatchParams::default(), &ask).await.unwrap();
    let web = until(&cluster, "Deployment", "dev", "web", replicas(4)).await;
    let fields = web["metadata"]["managedFields"].to_string();
    assert!(fields.contains(r#""subresource":"scale""#), "{fields}");
    let web: Api<Deployment> = Api::namespaced(client, "dev");
    web.patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 0}})))
        .await
        .unwrap();
    until(&cluster, "HorizontalPodAutoscaler", "dev", "web", |s| {
        s["status"]["conditions"].to_string().contains("ScalingDisabled")
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(count(&cluster.get("Deployment", "dev", "web").unwrap(), "/spec/replicas"), 0);
}
