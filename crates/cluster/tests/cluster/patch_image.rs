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
async fn who_manages_an_object_stays_written_on_it() {
    let scene = Scene::new().await;
    let mut theirs = manifests(&shop("1.0.0"))[0].content.clone();
    theirs["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    let path = "/apis/apps/v1/namespaces/dev/deployments/web";
    apply_as(&scene.sim, "helm", path, &theirs).await;
    scene
        .cluster
        .patch_image(&web(), None, "registry.local/shop/web:1.1.0", &options("dep_1"))
        .await
        .unwrap();
    let live = scene.sim.get("Deployment", "dev", "web").unwrap();
    let label = &live["metadata"]["labels"]["app.kubernetes.io/managed-by"];
    assert_eq!(label, "Helm", "so `helm upgrade` still finds it its own");
    assert_eq!(live["metadata"]["labels"]["pilothouse.dev/application"], "shop");
    let image = &live["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "registry.local/shop/web:1.1.0");
}

#[tokio::test(start_paused = true)]
async fn an_object_is_changed_in_the_version_in_which_it_was_applied() {
    let scene = Scene::new().await;
    let toy = |version: &str| {
        format!(
            "apiVersion: shop.dev/{version}\nkind: Toy\nmetadata: {{name: a}}\nspec: {{size: 1, parts: 2}}\n"
        )
    };
    let served = "{served: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}";
    scene
        .apply(&format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: toys.shop.dev}}\n\
             spec:\n  group: shop.dev\n  scope: Namespaced\n  names: {{kind: Toy, plural: toys, singular: toy, listKind: ToyList}}\n  \
             versions: [{served}, name: v1, storage: true}}, {served}, name: v1beta1, storage: false}}]\n---\n{}",
            toy("v1beta1")
        ))
        .await;
    let new = ObjectRef::namespaced("shop.dev/v1", "Toy", "dev", "a");
    scene.cluster.set_fields(&new, &options("dep_2"), &json!({"spec": {"size": 3}})).await.unwrap();
    let live = scene.cluster.get(&new).await.unwrap().unwrap();
    assert_eq!(live["spec"], json!({"size": 3, "parts": 2}));
    let writes = scene.sim.writes();
    let last = &writes.last().unwrap().path;
    assert_eq!(
        last, "/apis/shop.dev/v1beta1/namespaces/dev/toys/a",
        "its managed fields have the names of that version"
    );
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
