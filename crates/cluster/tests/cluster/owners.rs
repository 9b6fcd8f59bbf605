//! Whose pods and objects are whose: by their owners, not by labels that others may carry too.

use std::time::Duration;

use pilothouse_cluster::{
    ObjectRef, RestoreOptions, RestoreOutcome, Snapshot, SnapshotObject, SnapshotState,
};
use pilothouse_sim_cluster::Denial;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Scene, apply_as, options, settings, shop, web};

const RESTORE: RestoreOptions = RestoreOptions { dry_run: false, force: false };

/// A second Deployment whose pods the selector of `web` finds as well.
const SECOND: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web-v2}\nspec:\n  replicas: 3\n  \
    selector: {matchLabels: {app: web, version: v2}}\n  template:\n    metadata: {labels: {app: web, version: v2}}\n    \
    spec: {containers: [{name: web, image: 'registry.local/shop/web:2.0.0'}]}\n";

#[tokio::test(start_paused = true)]
async fn pods_of_another_workload_with_the_same_labels_are_not_waited_for() {
    let scene = Scene::new().await;
    let mut applied = scene.apply(&shop("1.0.0")).await;
    applied.extend(scene.apply(SECOND).await);
    scene.observe(&applied, 120).await;
    assert_eq!(scene.cluster.running_pods(&web(), Duration::from_secs(1)).await.unwrap(), 2, "its own");
    scene.cluster.scale(&web(), 0, &options("dep_2")).await.unwrap();
    let start = Instant::now();
    assert_eq!(scene.cluster.running_pods(&web(), Duration::from_secs(300)).await.unwrap(), 0);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let second = ObjectRef { name: "web-v2".into(), ..web() };
    assert_eq!(scene.cluster.running_pods(&second, Duration::from_secs(1)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_behind_a_service_is_passed_over() {
    let scene = Scene::new().await;
    let applied = scene.apply(&shop("1.0.0")).await;
    scene.observe(&applied, 120).await;
    let node = scene.sim.list("Node", "")[0].clone();
    let stray = |name: &str, owner: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "web", "image": "registry.local/shop/web:1.0.0"}]}})
    };
    let of_node = json!({"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"], "controller": true});
    let of_kind = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": web_uid(&scene), "controller": true});
    for (name, owner) in [("static", of_node), ("rollout", of_kind)] {
        let path = format!("/api/v1/namespaces/dev/pods/{name}");
        apply_as(&scene.sim, "kubelet", &path, &stray(name, owner)).await;
    }
    scene.sim.deny(Denial::new().verb("get").resource("nodes"));
    let behind = scene.cluster.workloads_behind("dev", "web").await.unwrap();
    let names: Vec<&str> =
        behind.iter().map(|(live, _)| live["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web"]);
}

fn web_uid(scene: &Scene) -> Value {
    scene.sim.get("Deployment", "dev", "web").unwrap()["metadata"]["uid"].clone()
}

/// Gives `settings` this owner, and a snapshot of it.
async fn owned(scene: &Scene, uid: Value, controller: bool) -> Snapshot {
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid, "controller": controller});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "ownerReferences": [owner]}});
    apply_as(&scene.sim, "operator", "/api/v1/namespaces/dev/configmaps/settings", &config).await;
    scene.cluster.snapshot(&[settings()]).await.unwrap()
}

async fn delete(scene: &Scene, object: ObjectRef) {
    let gone = SnapshotObject { object, state: SnapshotState::Absent };
    scene.cluster.restore(&Snapshot { taken: vec![gone], ..Snapshot::default() }, &RESTORE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_created_anew_names_no_owner_that_is_gone_and_so_stays() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let taken = owned(&scene, web_uid(&scene), false).await;
    // While the owner is there, it stays the owner.
    delete(&scene, settings()).await;
    scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    let live = scene.sim.get("ConfigMap", "dev", "settings").unwrap();
    assert_eq!(live["metadata"]["ownerReferences"][0]["uid"], web_uid(&scene));
    // An owner of the same name that was made anew is another, and the garbage collector knows that.
    delete(&scene, web()).await;
    delete(&scene, settings()).await;
    scene.apply(&shop("1.0.0")).await;
    delete(&scene, settings()).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Restored, "{restored:?}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let live = scene.sim.get("ConfigMap", "dev", "settings").expect("the garbage collector has left it");
    assert_eq!(live["metadata"]["ownerReferences"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_a_controller_made_is_left_to_it() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let taken = owned(&scene, web_uid(&scene), true).await;
    delete(&scene, settings()).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Left { reason: "its controller makes it anew".into() });
    assert_eq!(scene.sim.get("ConfigMap", "dev", "settings"), None);
}
