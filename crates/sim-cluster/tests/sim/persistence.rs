use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use pilothouse_sim_cluster::SimError;
use serde_json::json;

use crate::objects::{builder, client, count, create_web, reason, rolled_out, text, until};

#[tokio::test(start_paused = true)]
async fn a_cluster_goes_on_from_its_file_in_the_middle_of_a_roll_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cluster.db");
    let (uid, version) = {
        let cluster = builder().file(&file).build().await.unwrap();
        create_web(&client(&cluster), "web:1", 3).await;
        let pulling = |p: &serde_json::Value| {
            text(p, "/status/containerStatuses/0/state/waiting/reason") == "ContainerCreating"
        };
        cluster
            .until("Namespace", "", "dev", |_| {
                cluster.list("Pod", "dev").iter().filter(|p| pulling(p)).count() == 3
            })
            .await;
        let web = cluster.get("Deployment", "dev", "web").unwrap();
        (web["metadata"]["uid"].clone(), text(&web, "/metadata/resourceVersion").parse::<u64>().unwrap())
    };
    let cluster = builder().file(&file).build().await.unwrap();
    let web = rolled_out(&cluster, "web").await;
    assert_eq!(web["metadata"]["uid"], uid);
    assert!(text(&web, "/metadata/resourceVersion").parse::<u64>().unwrap() > version, "versions go on");
    assert_eq!(cluster.list("Pod", "dev").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn ready_pods_stay_ready_and_rules_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cluster.db");
    {
        let cluster = builder().file(&file).build().await.unwrap();
        let client = client(&cluster);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sim-images"},
            "data": {"r": "image: \"web:2\"\nbehaviour: crash-loop\n"}});
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
        maps.patch("sim-images", &PatchParams::apply("t"), &Patch::Apply(&map)).await.unwrap();
        create_web(&client, "web:1", 2).await;
        rolled_out(&cluster, "web").await;
    }
    let cluster = builder().file(&file).build().await.unwrap();
    let before = cluster.list("Pod", "dev");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(cluster.list("Pod", "dev"), before, "nothing happens to what is settled");
    let api: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client(&cluster), "dev");
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
    api.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let web = until(&cluster, "Deployment", "dev", "web", |w| {
        reason(w, "Progressing") == "ProgressDeadlineExceeded"
    })
    .await;
    assert_eq!(count(&web, "/status/availableReplicas"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("not-a-cluster");
    std::fs::write(&file, "something else entirely, and long enough to be no empty database").unwrap();
    let error = builder().file(&file).build().await.unwrap_err();
    assert!(matches!(error, SimError::Open { .. }), "{error}");
    assert!(matches!(builder().namespaces(["Bad Name"]).build().await, Err(SimError::Namespace { .. })));
}
