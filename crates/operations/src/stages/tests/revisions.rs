//! Going back to earlier revisions, and deleting objects (T3, T55).

use pilothouse_domain::stage::StageStatus;
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Scene;
use super::workloads::{deploy, deployed, manifests, pods, reason, steps, twice, undo};
use crate::stages::delete_manifest::DeleteManifest;
use crate::stages::deploy_manifest::DeployManifest;
use crate::stages::undo_rollout::UndoRollout;

fn versions(kind: &str, tag: &str) -> String {
    // No artifact of the release takes its place.
    manifests(kind).replace("shop/web:1", &format!("tools/web:{tag}"))
}

fn image(scene: &Scene, kind: &str) -> Value {
    scene.sim.get(kind, "dev", "web").unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_rollout_is_undone_to_the_revision_before_and_to_a_named_one() {
    let mut scene = Scene::new().await;
    for tag in ["1", "2", "3"] {
        deploy(&mut scene, &versions("Deployment", tag)).await;
    }
    let end = twice(&scene, &UndoRollout, json!({"workload": "web"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(image(&scene, "Deployment"), "tools/web:2");
    assert_eq!(
        steps(&end)[0],
        "Deployment dev/web from revision 3 (tools/web:3) to revision 2 (tools/web:2)"
    );
    assert_eq!(end.output["to"], json!({"revision": 2, "images": ["tools/web:2"]}));
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert_eq!(image(&scene, "Deployment"), "tools/web:3");
    scene.next("1.0.0");
    let end = twice(&scene, &UndoRollout, json!({"workload": "web", "toRevision": 1})).await;
    assert_eq!((end.status, image(&scene, "Deployment")), (StageStatus::Succeeded, json!("tools/web:1")));
    scene.next("1.0.0");
    let end = scene.play(&UndoRollout, "Act", json!({"workload": "web", "toRevision": 77})).await;
    assert!(
        reason(&end).starts_with("Deployment dev/web has no revision 77; those that are kept are "),
        "{end:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_revisions_of_sets_are_those_that_their_controllers_keep() {
    for kind in ["StatefulSet", "DaemonSet"] {
        let text = |tag: &str| match kind {
            "DaemonSet" => versions(kind, tag).replace("replicas: 3, ", ""),
            _ => versions(kind, tag),
        };
        let mut scene = Scene::new().await;
        deploy(&mut scene, &text("1")).await;
        deploy(&mut scene, &text("2")).await;
        let end = twice(&scene, &UndoRollout, json!({"workload": {"kind": kind, "name": "web"}})).await;
        assert_eq!(end.status, StageStatus::Succeeded, "{kind}: {end:?}");
        assert_eq!((image(&scene, kind), &end.output["from"]["revision"]), (json!("tools/web:1"), &json!(2)));
        assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded, "{kind}");
        assert_eq!(image(&scene, kind), "tools/web:2");
    }
}

/// A rollout that hangs is what people take back.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_crashes_is_undone() {
    let mut scene = Scene::new().await;
    deploy(&mut scene, &versions("Deployment", "1")).await;
    scene.sim.set_rules(vec![ImageRule::new("tools/web:2", Behaviour::crash_loop("no database"))]);
    let end = scene.play(&DeployManifest, "Deploy", json!({"manifests": versions("Deployment", "2")})).await;
    assert!(reason(&end).contains("no database"), "{end:?}");
    scene.next("1.0.0");
    let end = twice(&scene, &UndoRollout, json!({"workload": "web"})).await;
    assert_eq!((end.status, image(&scene, "Deployment")), (StageStatus::Succeeded, json!("tools/web:1")));
}

#[tokio::test(start_paused = true)]
async fn what_others_added_to_the_template_is_not_left_in_it_unseen() {
    let mut scene = Scene::new().await;
    deploy(&mut scene, &versions("Deployment", "1")).await;
    deploy(&mut scene, &versions("Deployment", "2")).await;
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {
        "containers": [{"name": "web", "env": [{"name": "DEBUG", "value": "1"}]}]}}}});
    let path = "/apis/apps/v1/namespaces/dev/deployments/web?fieldManager=ann";
    let request = http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
    let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
    assert!(scene.sim.service().oneshot(request).await.unwrap().status().is_success());
    tokio::time::sleep_until(tokio::time::Instant::now() + std::time::Duration::from_secs(30)).await;
    let end = scene.play(&UndoRollout, "Act", json!({"workload": "web", "toRevision": 1})).await;
    assert!(reason(&end).contains("others manage spec.template.spec.containers[web].env"), "{end:?}");
    assert_eq!(image(&scene, "Deployment"), "tools/web:2");
}

#[tokio::test(start_paused = true)]
async fn objects_are_deleted_by_name_by_labels_and_all_of_a_kind_and_come_back_by_the_undo() {
    let mut scene = deployed("Deployment").await;
    let map = |name: &str, tier: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{tier: {tier}}}}}\ndata: {{A: '1'}}\n"
        )
    };
    let maps = [map("a", "front"), map("b", "front"), map("c", "back")].join("---\n");
    deploy(&mut scene, &maps).await;
    let names = |scene: &Scene| {
        let all = scene.sim.list("ConfigMap", "dev");
        let mut names: Vec<String> =
            all.iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        names.retain(|name| name != "kube-root-ca.crt");
        names.sort();
        names.join(",")
    };
    let cases = [
        (json!({"objects": [{"kind": "ConfigMap", "name": "a"}]}), "b,c"),
        (json!({"kinds": ["ConfigMap"], "labels": {"tier": "front"}}), "c"),
        (json!({"kinds": ["ConfigMap"], "all": true}), ""),
    ];
    for (options, left) in cases {
        let end = twice(&scene, &DeleteManifest, options).await;
        assert_eq!((end.status.clone(), names(&scene)), (StageStatus::Succeeded, left.to_owned()), "{end:?}");
        assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
        assert_eq!(names(&scene), "a,b,c");
        scene.next("1.0.0");
    }
}

/// T15: a Service is not deleted empty by accident, and not by two workloads that each leave the other.
#[tokio::test(start_paused = true)]
async fn the_traffic_guard_counts_all_that_is_deleted_together() {
    let mut scene = deployed("Deployment").await;
    let second = manifests("Deployment")
        .split("---")
        .next()
        .unwrap()
        .replace("{name: web}\nspec", "{name: web2}\nspec");
    let second = second
        .replace("matchLabels: {app: web}", "matchLabels: {app: web, v: '2'}")
        .replace("labels: {app: web}}", "labels: {app: web, v: '2'}}");
    deploy(&mut scene, &second).await;
    let object = |name: &str| json!({"kind": "Deployment", "name": name});
    let end = scene.play(&DeleteManifest, "Act", json!({"objects": [object("web"), object("web2")]})).await;
    assert!(
        reason(&end).contains("Service dev/web has 6 ready endpoints and would be left with 0"),
        "{end:?}"
    );
    scene.next("1.0.0");
    let end =
        twice(&scene, &DeleteManifest, json!({"objects": [object("web2")], "cascade": "foreground"})).await;
    assert_eq!((end.status, pods(&scene)), (StageStatus::Succeeded, 3));
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert_eq!(pods(&scene), 6);
    scene.next("1.0.0");
    // Orphaned, the pods stay, and nothing is counted.
    let end = twice(
        &scene,
        &DeleteManifest,
        json!({"objects": [object("web"), object("web2")], "cascade": "orphan"}),
    )
    .await;
    assert_eq!((end.status, pods(&scene)), (StageStatus::Succeeded, 6));
}

#[tokio::test(start_paused = true)]
async fn nothing_to_delete_is_a_failure_unless_that_is_fine() {
    let scene = Scene::new().await;
    for (options, told) in [
        (json!({"objects": [{"kind": "ConfigMap", "name": "a"}]}), "ConfigMap dev/a does not exist"),
        (json!({"kinds": ["Job"], "labels": {"app": "web"}}), "dev has no Job with app=web"),
        (
            json!({"objects": [{"kind": "Certificate", "apiVersion": "cert-manager.io/v1", "name": "a"}]}),
            "Certificate dev/a does not exist",
        ),
    ] {
        let end = scene.play(&DeleteManifest, "Act", options.clone()).await;
        assert!(reason(&end).starts_with(told), "{end:?}");
        let mut fine = options;
        fine["ignoreMissing"] = json!(true);
        let end = scene.play(&DeleteManifest, "Act", fine).await;
        assert_eq!((end.status, &end.output["deleted"]), (StageStatus::Succeeded, &json!([])));
    }
}
