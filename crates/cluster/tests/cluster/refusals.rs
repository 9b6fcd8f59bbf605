//! What a cluster refuses, and what is told of it: each with the words that say what to do.

use pilothouse_cluster::{
    ClusterError, DeleteOptions, ObjectRef, RestoreOptions, RestoreOutcome, Snapshot, SnapshotObject,
    SnapshotState,
};
use pilothouse_sim_cluster::{Denial, Fault};
use serde_json::json;

use crate::support::{Scene, manifests, objects, options, shop, web};

async fn refused(scene: &Scene, text: &str) -> ClusterError {
    let error = scene.cluster.apply(&manifests(text), &options("dep_1")).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    error
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_too_large_is_refused_before_it_is_sent() {
    let scene = Scene::new().await;
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big}}\ndata: {{a: {}}}\n",
        "x".repeat(1_600_000)
    );
    let error = refused(&scene, &text).await;
    assert_eq!(
        error.to_string(),
        "apply ConfigMap dev/big: the cluster finds it invalid: it has 1600 KB, and a cluster stores at most 1572 KB of one object: \
         split it; correct the manifest"
    );
    assert_eq!(scene.sim.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_being_deleted_takes_nothing_new_and_says_so() {
    let scene = Scene::new().await;
    let held = "apiVersion: v1\nkind: Namespace\nmetadata: {name: old}\n---\napiVersion: v1\nkind: ConfigMap\n\
        metadata: {name: held, namespace: old, finalizers: [shop.dev/hold]}\n";
    scene.apply(held).await;
    let old =
        ObjectRef { api_version: "v1".into(), kind: "Namespace".into(), namespace: None, name: "old".into() };
    scene.cluster.delete(&old, &DeleteOptions::default()).await.unwrap();
    let error =
        refused(&scene, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: old}\n").await;
    assert_eq!(error.code(), "ClusterDenied");
    let told = error.to_string();
    assert!(told.contains("in namespace old because it is being terminated"), "{told}");
    assert!(told.ends_with("wait until the namespace is gone, or deploy to another"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_denies_is_quoted_and_one_that_does_not_answer_is_waited_for() {
    let scene = Scene::new().await;
    scene.sim.inject(
        Fault::webhook("policy.example.com", "images must be signed").on_resource("deployments.apps"),
    );
    let told = refused(&scene, &shop("1.0.0")).await.to_string();
    assert!(told.contains("apply Deployment dev/web") && told.contains("images must be signed"), "{told}");
    assert!(told.ends_with("change the object so that the policy allows it"), "{told}");
    scene.sim.inject(Fault::webhook_down("policy.example.com").on_resource("deployments.apps").times(2));
    scene.apply(&shop("1.0.0")).await;
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_used_up_is_told_with_its_numbers() {
    let scene = Scene::new().await;
    let words = "configmaps \"settings\" is forbidden: exceeded quota: small, requested: count/configmaps=1, used: 2, limited: 2";
    scene.sim.inject(Fault::refuse(403, "Forbidden", words).on_writes().on_resource("configmaps"));
    let told = refused(&scene, &shop("1.0.0")).await.to_string();
    assert!(told.contains("used: 2, limited: 2"), "{told}");
    assert!(told.ends_with("raise the namespace's quota, or ask for less"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_only_read_is_told_what_it_lacks() {
    let scene = Scene::new().await;
    scene.sim.deny(["create", "update", "patch", "delete"].into_iter().fold(Denial::new(), Denial::verb));
    let told = refused(&scene, &shop("1.0.0")).await.to_string();
    assert!(told.contains("cannot") && told.contains("configmaps"), "{told}");
    assert!(told.ends_with("grant that permission to the cluster account"), "{told}");
    let taken = scene.cluster.snapshot(&objects(&manifests(&shop("1.0.0")))).await.unwrap();
    assert!(taken.taken.iter().all(|entry| entry.state == SnapshotState::Absent));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_listed_around_a_workload_is_told_and_no_failure() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    scene.sim.deny(Denial::new().verb("list").resource("ingresses.networking.k8s.io"));
    let taken = scene.cluster.snapshot(&[web()]).await.unwrap();
    assert_eq!(taken.missed.len(), 1, "{:?}", taken.missed);
    assert!(taken.missed[0].starts_with("Ingress objects of namespace dev: "), "{:?}", taken.missed);
    assert!(taken.context.iter().any(|entry| entry.object.kind == "Service"));
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_restored_does_not_keep_the_others() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let mut taken = scene.cluster.snapshot(&objects(&manifests(&shop("1.0.0")))).await.unwrap();
    let widget = ObjectRef::namespaced("shop.example/v1", "Widget", "dev", "a");
    let state = SnapshotState::Present { before: json!({"spec": {}}), owned: json!({}), ended: false };
    taken.taken.push(SnapshotObject { object: widget, state });
    scene.apply(&shop("1.1.0")).await;
    scene.sim.inject(Fault::webhook("policy.example.com", "frozen").on_resource("configmaps").forever());
    let restored = scene.cluster.restore(&taken, &RestoreOptions::default()).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Restored, "{restored:?}");
    let conflict = |index: usize| match &restored[index].outcome {
        RestoreOutcome::Conflict { reason } => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert!(conflict(2).contains("denied the request: frozen"), "{}", conflict(2));
    assert!(conflict(3).contains("the cluster knows no kind Widget"), "{}", conflict(3));
}

/// A snapshot of many objects is one of few requests each: no list without a selector, but for what may name a workload.
#[tokio::test(start_paused = true)]
async fn the_requests_of_a_snapshot_and_a_restore_are_counted() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let taken: Snapshot = scene.cluster.snapshot(&objects(&manifests(&shop("1.0.0")))).await.unwrap();
    scene.sim.clear_requests();
    scene.cluster.snapshot(&objects(&manifests(&shop("1.0.0")))).await.unwrap();
    let lists = scene.sim.requests().iter().filter(|r| r.verb == "list").count();
    // Service, autoscaler, budget, Ingress, HTTPRoute, VirtualService: once each, in the one namespace.
    assert_eq!(lists, 6, "{:?}", scene.sim.requests());
    scene.apply(&shop("1.1.0")).await;
    scene.sim.clear_requests();
    scene.cluster.restore(&taken, &RestoreOptions::default()).await.unwrap();
    let asked = scene.sim.requests();
    assert!(asked.iter().all(|r| r.verb != "list"), "{asked:?}");
    assert!(asked.len() <= 2 * taken.taken.len() + taken.context.len() + 2, "{asked:?}");
}
