use pilothouse_cluster::parse_manifests;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use super::{DIGEST, Scene};
use crate::stages::deploy_manifest::DeployManifest;
use crate::stages::patch_image::PatchImage;
use crate::stages::undo::Undo;
use crate::stages::{Begun, StageEnd, StageType};

fn shop(greeting: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{GREETING: {greeting}}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: shop/web}}]}}\n"
    )
}

async fn deploy(scene: &Scene, greeting: &str) -> StageEnd {
    let options = json!({ "manifests": shop(greeting), "requiredArtifacts": ["web"] });
    scene.play(&DeployManifest, "Deploy", options).await
}

fn image(scene: &Scene) -> Value {
    let deployment = scene.sim.get("Deployment", "dev", "web").unwrap();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

fn greeting(scene: &Scene) -> Value {
    scene.sim.get("ConfigMap", "dev", "web").unwrap()["data"]["GREETING"].clone()
}

fn reason(end: &StageEnd) -> &str {
    end.status.reason().unwrap_or_else(|| panic!("it did not fail: {end:?}"))
}

fn crashes(tag: &str) -> [ImageRule; 1] {
    [ImageRule::new(format!("*/shop/web:{tag}*"), Behaviour::crash_loop("no database"))]
}

#[tokio::test(start_paused = true)]
async fn manifests_are_deployed_with_the_artifact_by_digest_and_marked() {
    let scene = Scene::new().await;
    let end = deploy(&scene, "hello").await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    let reference = format!("registry.local/shop/web:1.0.0@{DIGEST}");
    assert_eq!(end.output["images"], json!([reference]));
    assert_eq!(end.output["objects"].as_array().unwrap().len(), 2);
    assert_eq!(image(&scene), reference);
    let marks = &scene.sim.get("ConfigMap", "dev", "web").unwrap()["metadata"]["annotations"];
    assert_eq!(marks["pilothouse.dev/attempt"], scene.attempt.id.to_string());
    assert_eq!(marks["pilothouse.dev/stage"], "Deploy");
}

#[tokio::test(start_paused = true)]
async fn a_crash_fails_the_stage_with_pod_and_event() {
    let mut scene = Scene::with_rules(crashes("1.1.0")).await;
    deploy(&scene, "hello").await;
    scene.next("1.1.0");
    let end = deploy(&scene, "bye").await;
    assert!(reason(&end).contains("no database"), "{end:?}");
    let StageStatus::Failed { evidence: Some(proof), .. } = &end.status else { panic!("{end:?}") };
    assert_eq!(proof["failure"], "CrashLoop", "{proof:#}");
    assert!(proof["pod"].as_str().unwrap().starts_with("web-"), "{proof:#}");
    assert_eq!(proof["event"]["type"], "Warning", "{proof:#}");
}

#[tokio::test(start_paused = true)]
async fn a_field_of_somebody_else_fails_the_stage_before_anything_is_changed() {
    let mut scene = Scene::new().await;
    deploy(&scene, "hello").await;
    let metadata = json!({"name": "web"});
    let theirs =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"GREETING": "hi"}});
    apply_as(&scene, "kubectl", &theirs).await;
    scene.next("1.1.0");
    let end = deploy(&scene, "bye").await;
    assert!(reason(&end).contains("GREETING is owned by \"kubectl\""), "{end:?}");
    assert_eq!(greeting(&scene), "hi");
    assert!(image(&scene).as_str().unwrap().contains(":1.0.0@"), "the Deployment was not touched");
    // With force it is taken over.
    scene.next("1.1.0");
    let options = json!({ "manifests": shop("bye"), "force": true });
    let end = scene.play(&DeployManifest, "Deploy", options).await;
    assert_eq!((end.status, greeting(&scene)), (StageStatus::Succeeded, json!("bye")));
}

async fn apply_as(scene: &Scene, manager: &str, object: &Value) {
    use tower::ServiceExt;
    let path = format!("/api/v1/namespaces/dev/configmaps/web?fieldManager={manager}&force=true");
    let request = http::Request::patch(path)
        .header("content-type", "application/apply-patch+yaml")
        .body(axum::body::Body::from(object.to_string()))
        .unwrap();
    let answer = scene.sim.service().oneshot(request).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// Creates an object as somebody else does.
pub(super) async fn post(scene: &Scene, path: &str, object: &Value) {
    use tower::ServiceExt;
    let request = http::Request::post(format!("{path}?fieldManager=kubectl"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from(object.to_string()))
        .unwrap();
    let answer = scene.sim.service().oneshot(request).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_comes_with_what_lives_in_it() {
    let scene = Scene::new().await;
    let manifests = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: new}\ndata: {a: b}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n";
    let end = scene.play(&DeployManifest, "Deploy", json!({ "manifests": manifests })).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert!(scene.sim.get("ConfigMap", "new", "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_artifact_that_no_container_uses_fails_the_stage_before_anything_is_changed() {
    let mut scene = Scene::new().await;
    scene.release.artifacts[0].image = "registry.local/shop/other".to_owned();
    let options = json!({ "manifests": shop("hello"), "requiredArtifacts": ["web"] });
    let refused =
        scene.begin(&DeployManifest, scene.run(&DeployManifest, "Deploy", options)).await.unwrap_err();
    assert!(refused.to_string().starts_with("requiredArtifacts: no container uses"), "{refused}");
    assert!(!refused.is_retryable());
    assert_eq!(scene.sim.get("ConfigMap", "dev", "web"), None);
}

#[tokio::test(start_paused = true)]
async fn an_image_is_patched_alone() {
    let mut scene = Scene::new().await;
    deploy(&scene, "hello").await;
    scene.next("2.0.0");
    let end = scene.play(&PatchImage, "Patch", json!({"workload": "web", "artifact": "web"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(image(&scene), format!("registry.local/shop/web:2.0.0@{DIGEST}"));
    assert_eq!(greeting(&scene), "hello");
    scene.next("2.0.0");
    let end = scene.play(&PatchImage, "Patch", json!({"workload": "none", "artifact": "web"})).await;
    assert!(reason(&end).contains("Deployment dev/none does not exist"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_brings_everything_back_and_reads_it_back() {
    let mut scene = Scene::with_rules(crashes("1.1.0")).await;
    deploy(&scene, "hello").await;
    scene.next("1.1.0");
    assert!(reason(&deploy(&scene, "bye").await).contains("no database"));
    scene.roll_back("Deploy");
    let options = json!({ "stage": "Deploy" });
    let end = scene.play(&Undo, "Undo Deploy", options.clone()).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(end.output["objects"][0]["outcome"], "restored", "{end:?}");
    assert_eq!(
        (greeting(&scene), image(&scene)),
        (json!("hello"), json!(format!("registry.local/shop/web:1.0.0@{DIGEST}")))
    );
    // A lost answer: the step begins again, and there is nothing left to change.
    let run = scene.run(&Undo, "Undo Deploy", options);
    let Begun::Observe { progress, .. } = Undo.begin(&scene.stage(&run)).await.unwrap() else {
        panic!("it is watched")
    };
    assert_eq!(progress, "0 of 2 objects changed back");
}

#[tokio::test(start_paused = true)]
async fn what_the_first_deployment_created_is_gone_after_its_undo() {
    let mut scene = Scene::new().await;
    deploy(&scene, "hello").await;
    scene.roll_back("Deploy");
    let end = scene.play(&Undo, "Undo Deploy", json!({ "stage": "Deploy" })).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(scene.sim.get("ConfigMap", "dev", "web"), None);
    assert_eq!(end.output["objects"][1]["outcome"], "deleted");
}

#[tokio::test(start_paused = true)]
async fn an_undo_without_a_snapshot_changes_nothing() {
    let mut scene = Scene::new().await;
    deploy(&scene, "hello").await;
    scene.roll_back("Deploy");
    let run = scene.run(&Undo, "Undo Other", json!({ "stage": "Other" }));
    let refused = Undo.begin(&scene.stage(&run)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "records are inconsistent: the snapshot of stage `Other` of attempt 1 is gone; nothing was changed"
    );
    assert_eq!(greeting(&scene), "hello");
}

#[tokio::test(start_paused = true)]
async fn every_object_is_a_target_of_the_snapshot() {
    let scene = Scene::new().await;
    let run = scene.run(&DeployManifest, "Deploy", json!({ "manifests": shop("hello") }));
    let targets = DeployManifest.targets(&scene.stage(&run)).await.unwrap();
    let objects: Vec<_> =
        parse_manifests(&shop("hello"), "dev").unwrap().into_iter().map(|m| m.object).collect();
    assert_eq!(targets, objects);
}

/// X3: what a cancel leaves behind is what the cluster has, or nothing when nothing was done.
#[tokio::test(start_paused = true)]
async fn a_cancelled_rollout_tells_what_it_leaves_in_the_cluster() {
    let never = ImageRule::new("*", Behaviour::NeverReady { message: None });
    let scene = Scene::with_rules([never]).await;
    let options = json!({ "manifests": shop("hello") });
    let blank = scene.run(&DeployManifest, "Deploy", options);
    assert_eq!(DeployManifest.cancel(&scene.stage(&blank)).await.unwrap(), None, "nothing was changed");
    let run = scene.begin(&DeployManifest, blank).await.unwrap().unwrap();
    let left = DeployManifest.cancel(&scene.stage(&run)).await.unwrap().unwrap();
    assert!(left.starts_with("Deployment dev/web: ") && left.ends_with("; left as it is"), "{left}");
    let lost = StageRun { action: Value::Null, has_snapshot: true, ..run };
    let left = DeployManifest.cancel(&scene.stage(&lost)).await.unwrap().unwrap();
    assert!(left.starts_with("no change was recorded"), "{left}");
}
