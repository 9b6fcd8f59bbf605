//! Which versions of ConfigMaps and Secrets are still needed (T53).

use pilothouse_cluster::ObjectRef;
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::json;
use std::time::Duration;

use crate::support::{Scene, apply_as};

fn config(name: &str) -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", "dev", name)
}

/// Containers that name that version of a ConfigMap.
fn spec(version: &str) -> String {
    format!(
        "{{restartPolicy: Never, containers: [{{name: web, image: 'registry.local/shop/web:1.0.0', \
         envFrom: [{{configMapRef: {{name: {version}}}}}]}}]}}"
    )
}

#[tokio::test(start_paused = true)]
async fn what_a_bare_pod_a_replica_set_and_a_running_job_of_a_cron_job_name_is_needed() {
    let busy = ImageRule::new("*/shop/web:*", Behaviour::Ready { after: None });
    let scene = Scene::with_rules([busy]).await;
    let label = "labels: {pilothouse.dev/set: one}";
    scene
        .apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: bare, {label}}}\nspec: {}\n---\n\
             apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {{name: group, {label}}}\nspec:\n  replicas: 0\n  \
             selector: {{matchLabels: {{app: group}}}}\n  template: {{metadata: {{labels: {{app: group}}}}, spec: {}}}\n---\n\
             apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly, {label}}}\nspec: {{schedule: '0 0 1 1 *', \
             jobTemplate: {{spec: {{template: {{spec: {}}}}}}}}}\n",
            spec("of-pod"),
            spec("of-set").replace("restartPolicy: Never, ", ""),
            spec("of-cron"),
        ))
        .await;
    // The CronJob has started a Job of its template of before, as its status says.
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "nightly-1"}, "spec": {"template": {"spec":
        {"restartPolicy": "Never", "containers": [{"name": "web", "image": "registry.local/shop/web:1.0.0",
            "envFrom": [{"configMapRef": {"name": "of-job"}}]}]}}}});
    apply_as(&scene.sim, "cron", "/apis/batch/v1/namespaces/dev/jobs/nightly-1", &job).await;
    let status = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "status": {"active": [{"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-1"}]}});
    apply_as(&scene.sim, "cron", "/apis/batch/v1/namespaces/dev/cronjobs/nightly/status", &status).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let needed = scene.cluster.needed_configs("dev", "one", &[]).await.unwrap();
    for name in ["of-pod", "of-set", "of-cron", "of-job"] {
        assert!(needed.contains(&config(name)), "{name}: {needed:?}");
    }
}
