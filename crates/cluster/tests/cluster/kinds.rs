//! Every kind goes back to what it was, and away if it was not there (X4).

use pilothouse_cluster::{ObjectRef, RestoreOptions, RestoreOutcome, SnapshotState};
use serde_json::Value;

use crate::support::{Scene, keys, manifests, objects, options};

const RESTORE: RestoreOptions = RestoreOptions { dry_run: false, force: false };

/// What a user sees of an object.
fn content(live: &Value) -> Value {
    let mut live = live.clone();
    for key in ["resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"] {
        live["metadata"].as_object_mut().unwrap().shift_remove(key);
    }
    if let Some(annotations) = live["metadata"]["annotations"].as_object_mut() {
        annotations.shift_remove("deployment.kubernetes.io/revision");
        annotations.shift_remove("deprecated.daemonset.template.generation");
    }
    live.as_object_mut().unwrap().shift_remove("status");
    live
}

async fn scene() -> Scene {
    let mut scene = Scene::new().await;
    scene.cluster = scene.cluster.sealing_with(Some(keys()));
    scene
}

async fn goes_back(before: &str, after: &str) {
    goes_back_in(&scene().await, before, after).await;
}

/// Applies the first text, then the second, and goes back; then from nothing to the first text, and back.
async fn goes_back_in(scene: &Scene, before: &str, after: &str) {
    let object: ObjectRef = objects(&manifests(before)).remove(0);
    let nothing = scene.cluster.snapshot(std::slice::from_ref(&object)).await.unwrap();
    assert_eq!(nothing.taken[0].state, SnapshotState::Absent);
    scene.apply(before).await;
    let was = content(&scene.cluster.get(&object).await.unwrap().unwrap());
    let taken = scene.cluster.snapshot(std::slice::from_ref(&object)).await.unwrap();
    scene.cluster.apply(&manifests(after), &options("dep_2")).await.unwrap();
    let differences = scene.cluster.verify(&taken).await.unwrap();
    assert!(!differences.is_empty(), "the second text changes nothing");

    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Restored, "{restored:?}");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
    assert_eq!(content(&scene.cluster.get(&object).await.unwrap().unwrap()), was);
    let again = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(again[0].outcome, RestoreOutcome::Unchanged, "{again:?}");

    let removed = scene.cluster.restore(&nothing, &RESTORE).await.unwrap();
    assert_eq!(removed[0].outcome, RestoreOutcome::Deleted, "{removed:?}");
    assert_eq!(scene.cluster.verify(&nothing).await.unwrap(), []);

    let anew = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(anew[0].outcome, RestoreOutcome::Restored, "{anew:?}");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

fn workload(kind: &str, more: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n{more}  \
         template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: web, image: '{image}'}}]}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_deployment_goes_back() {
    let text =
        |replicas: u32, image: &str| workload("Deployment", &format!("  replicas: {replicas}\n"), image);
    goes_back(&text(1, "shop/web:1"), &text(2, "shop/web:2")).await;
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_goes_back() {
    let text = |image: &str| workload("StatefulSet", "  serviceName: web\n  replicas: 1\n", image);
    goes_back(&text("shop/web:1"), &text("shop/web:2")).await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_set_goes_back() {
    goes_back(&workload("DaemonSet", "", "shop/web:1"), &workload("DaemonSet", "", "shop/web:2")).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_goes_back() {
    let text = |version: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web, v: '{version}'}}, ports: [{{port: 80}}]}}\n"
        )
    };
    goes_back(&text("1"), &text("2")).await;
}

#[tokio::test(start_paused = true)]
async fn an_ingress_goes_back() {
    let text = |service: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web}}\nspec: {{rules: [{{http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        )
    };
    goes_back(&text("web-1"), &text("web-2")).await;
}

#[tokio::test(start_paused = true)]
async fn an_http_route_goes_back() {
    let text = |weight: u32| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: web}}\nspec: {{rules: [{{backendRefs: [{{name: web, port: 80, weight: {weight}}}]}}]}}\n"
        )
    };
    goes_back(&text(10), &text(90)).await;
}

#[tokio::test(start_paused = true)]
async fn a_config_map_goes_back() {
    let text = |value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: '{value}'}}\n")
    };
    goes_back(&text("1"), &text("2")).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_goes_back_from_its_sealed_copy() {
    let text = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{a: '{value}'}}\n")
    };
    goes_back(&text("1"), &text("2")).await;
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_goes_back() {
    let text = |most: u32| {
        format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, minReplicas: 1, maxReplicas: {most}}}\n"
        )
    };
    goes_back(&text(3), &text(9)).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_of_a_custom_kind_goes_back() {
    let scene = scene().await;
    scene
        .apply(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: toys.shop.dev}\n\
             spec:\n  group: shop.dev\n  scope: Namespaced\n  names: {kind: Toy, plural: toys, singular: toy, listKind: ToyList}\n  \
             versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, \
             x-kubernetes-preserve-unknown-fields: true}}}]\n---\n\
             apiVersion: shop.dev/v1\nkind: Toy\nmetadata: {name: first}\nspec: {size: 0}\n",
        )
        .await;
    let text = |size: u32| {
        format!(
            "apiVersion: shop.dev/v1\nkind: Toy\nmetadata: {{name: a}}\nspec: {{size: {size}, parts: [{{name: x}}]}}\n"
        )
    };
    goes_back_in(&scene, &text(1), &text(2)).await;
}

/// What cannot be changed in place is replaced by what it was.
#[tokio::test(start_paused = true)]
async fn an_immutable_config_map_that_was_replaced_is_replaced_again() {
    let scene = scene().await;
    let text = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\nimmutable: true\ndata: {{a: '{value}'}}\n"
        )
    };
    let object = objects(&manifests(&text("1")));
    let nothing = scene.cluster.snapshot(&object).await.unwrap();
    scene.apply(&text("1")).await;
    let taken = scene.cluster.snapshot(&object).await.unwrap();
    scene.cluster.restore(&nothing, &RESTORE).await.unwrap();
    scene.apply(&text("2")).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Restored, "{restored:?}");
    assert_eq!(scene.cluster.get(&object[0]).await.unwrap().unwrap()["data"]["a"], "1");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

fn job(image: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate}}\nspec:\n  template:\n    spec: {{restartPolicy: Never, \
         containers: [{{name: a, image: '{image}'}}]}}\n"
    )
}

/// A Job's template is fixed: one that runs is created anew in the place of the one that took its name.
#[tokio::test(start_paused = true)]
async fn a_job_that_was_replaced_while_it_ran_is_created_anew() {
    let scene = scene().await;
    let object = objects(&manifests(&job("shop/migrate:1")));
    let nothing = scene.cluster.snapshot(&object).await.unwrap();
    scene.apply(&job("shop/migrate:1")).await;
    let taken = scene.cluster.snapshot(&object).await.unwrap();
    assert!(matches!(taken.taken[0].state, SnapshotState::Present { ended: false, .. }));
    scene.cluster.restore(&nothing, &RESTORE).await.unwrap();
    scene.apply(&job("shop/migrate:2")).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Restored, "{restored:?}");
    let live = scene.cluster.get(&object[0]).await.unwrap().unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "shop/migrate:1");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

/// A migration that has run must not run once more because a release is taken back.
#[tokio::test(start_paused = true)]
async fn a_job_that_had_ended_does_not_run_once_more() {
    let scene = scene().await;
    let object = objects(&manifests(&job("shop/migrate:1")));
    let nothing = scene.cluster.snapshot(&object).await.unwrap();
    scene.apply(&job("shop/migrate:1")).await;
    let mut taken = scene.cluster.snapshot(&object).await.unwrap();
    let SnapshotState::Present { ended, .. } = &mut taken.taken[0].state else { panic!("{taken:?}") };
    *ended = true;
    scene.cluster.restore(&nothing, &RESTORE).await.unwrap();
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert!(matches!(restored[0].outcome, RestoreOutcome::Left { .. }), "{restored:?}");
    assert_eq!(scene.cluster.get(&object[0]).await.unwrap(), None);
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}
