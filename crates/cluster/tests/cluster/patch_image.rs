use pilothouse_cluster::ObjectRef;
use serde_json::json;

use crate::support::{Scene, apply_as, manifests, options, shop, web};

#[tokio::test(start_paused = true)]
async fn only_the_image_changes_and_later_applies_still_work() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let before = scene.sim.get("Deployment", "dev", "web").unwrap();
    let patched = scene
        .cluster
        .patch_image(&web(), Some("web"), "registry.local/shop/web:1.1.0", &options("dep_2"))
        .await
        .unwrap();
    assert!(patched.changed);
    let after = scene.sim.get("Deployment", "dev", "web").unwrap();
    let mut expected = before["spec"].clone();
    expected["template"]["spec"]["containers"][0]["image"] = json!("registry.local/shop/web:1.1.0");
    assert_eq!(after["spec"], expected);
    // Neither a conflict with ourselves, nor fields that stay behind.
    scene.cluster.apply(&manifests(&shop("1.2.0")), &options("dep_3")).await.unwrap();
    let image = &scene.sim.get("Deployment", "dev", "web").unwrap()["spec"]["template"]["spec"]["containers"]
        [0]["image"];
    assert_eq!(image, "registry.local/shop/web:1.2.0");
}

#[tokio::test(start_paused = true)]
async fn a_workload_of_others_keeps_all_that_is_theirs() {
    let scene = Scene::new().await;
    let theirs = &manifests(&shop("1.0.0"))[0].content;
    apply_as(&scene.sim, "kubectl", "/apis/apps/v1/namespaces/dev/deployments/web", theirs).await;
    let snapshot = scene.cluster.snapshot(&[web()]).await.unwrap();
    scene
        .cluster
        .patch_image(&web(), None, "registry.local/shop/web:1.1.0", &options("dep_1"))
        .await
        .unwrap();
    let live = scene.sim.get("Deployment", "dev", "web").unwrap();
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"], "1.0.0");
    scene.cluster.restore(&snapshot, &Default::default()).await.unwrap();
    assert_eq!(scene.cluster.verify(&snapshot).await.unwrap(), []);
    let image = &scene.sim.get("Deployment", "dev", "web").unwrap()["spec"]["template"]["spec"]["containers"]
        [0]["image"];
    assert_eq!(image, "registry.local/shop/web:1.0.0");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_patched_is_named() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let patch = |object: ObjectRef, container: Option<&'static str>| {
        let cluster = scene.cluster.clone();
        async move { cluster.patch_image(&object, container, "a:1", &options("dep_2")).await.unwrap_err() }
    };
    let mut missing = web();
    missing.name = "api".into();
    assert_eq!(patch(missing, None).await.code(), "ClusterNotFound");
    let error = patch(web(), Some("proxy")).await;
    assert!(error.to_string().contains("\"proxy\"") && error.to_string().contains("web"), "{error}");
    let service = ObjectRef::namespaced("v1", "Service", "dev", "web");
    assert!(patch(service, None).await.to_string().contains("no containers"));
}
