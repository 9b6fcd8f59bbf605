use k8s_openapi::api::{
    apps::v1::{DaemonSet, StatefulSet},
    batch::v1::Job,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use crate::objects::{builder, client, cluster, count, text, typed, until};

fn names(pods: &[Value]) -> Vec<&str> {
    pods.iter().map(|p| text(p, "/metadata/name")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_starts_and_updates_its_pods_in_order() {
    let (cluster, client) = cluster().await;
    let api: Api<StatefulSet> = Api::namespaced(client, "dev");
    let set = json!({
        "metadata": {"name": "db"}, "spec": {
            "serviceName": "db", "replicas": 3, "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
        },
    });
    api.create(&PostParams::default(), &typed(set)).await.unwrap();
    until(&cluster, "StatefulSet", "dev", "db", |s| {
        let all = cluster.list("Pod", "dev").len();
        assert!(i64::try_from(all).unwrap() <= count(s, "/status/readyReplicas") + 1, "one after the other");
        count(s, "/status/readyReplicas") == 3
    })
    .await;
    assert_eq!(names(&cluster.list("Pod", "dev")), ["db-0", "db-1", "db-2"]);
    assert_eq!(cluster.list("PersistentVolumeClaim", "dev").len(), 3);
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "db", "image": "db:2"}]}}}});
    api.patch("db", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    until(&cluster, "StatefulSet", "dev", "db", |s| {
        assert!(count(s, "/status/readyReplicas") >= 2);
        let done = count(s, "/status/updatedReplicas") == 3 && count(s, "/status/readyReplicas") == 3;
        done && count(s, "/status/observedGeneration") == 2
    })
    .await;
    let settled = until(&cluster, "StatefulSet", "dev", "db", |s| {
        s["status"]["currentRevision"] == s["status"]["updateRevision"]
    })
    .await;
    assert_eq!(count(&settled, "/status/currentReplicas"), 3);
    let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
    api.patch_scale("db", &PatchParams::default(), &scale).await.unwrap();
    cluster.until("Namespace", "", "dev", |_| names(&cluster.list("Pod", "dev")) == ["db-0"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_set_has_one_pod_and_replaces_it() {
    let (cluster, client) = cluster().await;
    let api: Api<DaemonSet> = Api::namespaced(client, "dev");
    let set = json!({"metadata": {"name": "agent"}, "spec": {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "agent", "image": "agent:1"}]}}}});
    api.create(&PostParams::default(), &typed(set)).await.unwrap();
    until(&cluster, "DaemonSet", "dev", "agent", |s| count(s, "/status/numberAvailable") == 1).await;
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "agent:2"}]}}}});
    api.patch("agent", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    until(&cluster, "DaemonSet", "dev", "agent", |s| {
        count(s, "/status/observedGeneration") == 2
            && count(s, "/status/updatedNumberScheduled") == 1
            && count(s, "/status/numberAvailable") == 1
    })
    .await;
    assert_eq!(text(&cluster.list("Pod", "dev")[0], "/spec/containers/0/image"), "agent:2");
}

fn job(name: &str, image: &str) -> Job {
    typed(json!({"metadata": {"name": name}, "spec": {
        "backoffLimit": 1, "completions": 2, "parallelism": 2, "ttlSecondsAfterFinished": 100,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": image}]}}}}))
}

#[tokio::test(start_paused = true)]
async fn jobs_complete_or_fail_and_are_cleaned_up() {
    let cluster = builder()
        .rule(ImageRule::new("bad:*", Behaviour::crash_loop("assertion failed")))
        .build()
        .await
        .unwrap();
    let api: Api<Job> = Api::namespaced(client(&cluster), "dev");
    api.create(&PostParams::default(), &job("good", "good:1")).await.unwrap();
    api.create(&PostParams::default(), &job("bad", "bad:1")).await.unwrap();
    let is = |j: &Value, kind: &str| {
        j["status"]["conditions"].as_array().is_some_and(|c| c.iter().any(|c| c["type"] == kind))
    };
    let good = until(&cluster, "Job", "dev", "good", |j| is(j, "Complete")).await;
    assert_eq!(count(&good, "/status/succeeded"), 2);
    assert!(text(&good, "/status/completionTime") > text(&good, "/status/startTime"));
    let bad = until(&cluster, "Job", "dev", "bad", |j| is(j, "Failed")).await;
    assert!(bad["status"]["conditions"].to_string().contains("BackoffLimitExceeded"));
    cluster.until("Job", "dev", "good", |j| j.is_none()).await;
    cluster.until("Job", "dev", "bad", |j| j.is_none()).await;
    cluster.until("Namespace", "", "dev", |_| cluster.list("Pod", "dev").is_empty()).await;
}

fn database(replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "dev"}, "spec": {
            "serviceName": "db", "replicas": replicas, "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": image}]}},
        },
    })
}

fn image_of(cluster: &pilothouse_sim_cluster::SimCluster, pod: &str) -> String {
    cluster
        .get("Pod", "dev", pod)
        .map(|p| text(&p, "/spec/containers/0/image").to_owned())
        .unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn below_the_partition_pods_stay_of_the_former_template_even_when_made_anew() {
    let (cluster, client) = cluster().await;
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), "dev");
    api.create(&PostParams::default(), &typed(database(3, "db:1"))).await.unwrap();
    until(&cluster, "StatefulSet", "dev", "db", |s| count(s, "/status/readyReplicas") == 3).await;
    let patch = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}},
        "template": {"spec": {"containers": [{"name": "db", "image": "db:2"}]}}}});
    api.patch("db", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let updated =
        |s: &Value| count(s, "/status/updatedReplicas") == 1 && count(s, "/status/readyReplicas") == 3;
    let set = until(&cluster, "StatefulSet", "dev", "db", updated).await;
    assert_ne!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    assert_eq!(["db-0", "db-1", "db-2"].map(|p| image_of(&cluster, p)), ["db:1", "db:1", "db:2"]);
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client, "dev");
    let uid = cluster.get("Pod", "dev", "db-0").unwrap()["metadata"]["uid"].clone();
    pods.delete("db-0", &kube::api::DeleteParams::default()).await.unwrap();
    let again = |p: &Value| p["metadata"]["uid"] != uid && text(p, "/status/phase") == "Running";
    until(&cluster, "Pod", "dev", "db-0", again).await;
    assert_eq!(image_of(&cluster, "db-0"), "db:1");
    let revisions = cluster.list("ControllerRevision", "dev");
    assert_eq!(revisions.iter().map(|r| count(r, "/revision")).collect::<Vec<_>>().len(), 2);
    assert!(revisions.iter().all(|r| r["data"]["spec"]["template"]["$patch"] == "replace"));
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_hangs_on_a_broken_pod_until_that_is_deleted() {
    let cluster =
        builder().rule(ImageRule::new("db:bad", Behaviour::crash_loop("no"))).build().await.unwrap();
    let client = client(&cluster);
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), "dev");
    api.create(&PostParams::default(), &typed(database(2, "db:1"))).await.unwrap();
    until(&cluster, "StatefulSet", "dev", "db", |s| count(s, "/status/readyReplicas") == 2).await;
    for image in ["db:bad", "db:1"] {
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "db", "image": image}]}}}});
        api.patch("db", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    }
    assert_eq!(image_of(&cluster, "db-1"), "db:bad", "the template alone does not bring it back");
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client, "dev");
    pods.delete("db-1", &kube::api::DeleteParams::default()).await.unwrap();
    until(&cluster, "StatefulSet", "dev", "db", |s| count(s, "/status/readyReplicas") == 2).await;
    assert_eq!(image_of(&cluster, "db-1"), "db:1");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_set_rolls_over_its_nodes_as_many_at_once_as_it_may() {
    let cluster = builder().nodes(4).build().await.unwrap();
    let api: Api<DaemonSet> = Api::namespaced(client(&cluster), "dev");
    let set = json!({"metadata": {"name": "agent"}, "spec": {
        "selector": {"matchLabels": {"app": "agent"}}, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}},
        "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "agent", "image": "agent:1"}]}}}});
    api.create(&PostParams::default(), &typed(set)).await.unwrap();
    until(&cluster, "DaemonSet", "dev", "agent", |s| count(s, "/status/numberAvailable") == 4).await;
    let nodes: std::collections::BTreeSet<_> =
        cluster.list("Pod", "dev").iter().map(|p| text(p, "/spec/nodeName").to_owned()).collect();
    assert_eq!(nodes.len(), 4, "a pod on every node");
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "agent:2"}]}}}});
    api.patch("agent", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let mut least = i64::MAX;
    let seen = std::cell::Cell::new(i64::MAX);
    until(&cluster, "DaemonSet", "dev", "agent", |s| {
        let available = count(s, "/status/numberAvailable");
        seen.set(seen.get().min(available));
        count(s, "/status/observedGeneration") == 2
            && count(s, "/status/updatedNumberScheduled") == 4
            && available == 4
    })
    .await;
    least = least.min(seen.get());
    assert_eq!(least, 2, "two nodes at once, never more");
    assert_eq!(cluster.list("ControllerRevision", "dev").len(), 2);
}
