use pilothouse_cluster::{ObjectRef, RestoreOptions, RestoreOutcome, Restored, Snapshot};
use serde_json::{Value, json};

use crate::support::{Scene, apply_as, manifests, objects, settings, shop, web};

const RESTORE: RestoreOptions = RestoreOptions { dry_run: false, force: false };

/// What the user sees of an object: its specification, data, labels and annotations of ours.
fn content(scene: &Scene, object: &ObjectRef) -> Option<Value> {
    let mut live = scene.sim.get(&object.kind, object.namespace.as_deref().unwrap_or(""), &object.name)?;
    for key in ["resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"] {
        live["metadata"].as_object_mut().unwrap().shift_remove(key);
    }
    // Numbered by the Deployment controller.
    if let Some(annotations) = live["metadata"]["annotations"].as_object_mut() {
        annotations.shift_remove("deployment.kubernetes.io/revision");
    }
    live.as_object_mut().unwrap().shift_remove("status");
    Some(live)
}

fn outcomes(restored: &[Restored]) -> Vec<(String, RestoreOutcome)> {
    restored.iter().map(|r| (r.object.kind.clone(), r.outcome.clone())).collect()
}

async fn snapshot(scene: &Scene, text: &str) -> Snapshot {
    scene.cluster.snapshot(&objects(&manifests(text))).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn everything_is_as_it_was_the_config_map_included() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let all = objects(&manifests(&shop("1.0.0")));
    let before: Vec<_> = all.iter().map(|object| content(&scene, object)).collect();
    let taken = snapshot(&scene, &shop("1.1.0")).await;
    let changed =
        shop("1.1.0").replace("\ndata: {", "\ndata: {added: \"yes\", ").replace("replicas: 2", "replicas: 4");
    scene.cluster.apply(&manifests(&changed), &crate::support::options("dep_2")).await.unwrap();
    assert!(!scene.cluster.verify(&taken).await.unwrap().is_empty());

    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(
        outcomes(&restored),
        [
            ("Deployment".to_owned(), RestoreOutcome::Restored),
            // Its marks alone are put back.
            ("Service".to_owned(), RestoreOutcome::Unchanged),
            ("ConfigMap".to_owned(), RestoreOutcome::Restored)
        ]
    );
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
    let after: Vec<_> = all.iter().map(|object| content(&scene, object)).collect();
    assert_eq!(after, before);

    let again = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert!(again.iter().all(|r| r.outcome == RestoreOutcome::Unchanged), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_release_created_is_deleted_last_created_first() {
    let scene = Scene::new().await;
    let taken = snapshot(&scene, &shop("1.0.0")).await;
    scene.apply(&shop("1.0.0")).await;
    scene.sim.clear_requests();
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert!(restored.iter().all(|r| r.outcome == RestoreOutcome::Deleted), "{restored:?}");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
    let deleted: Vec<String> =
        scene.sim.writes().iter().map(|w| w.path.rsplit('/').nth(1).unwrap().to_owned()).collect();
    assert_eq!(deleted, ["deployments", "services", "configmaps"]);
}

#[tokio::test(start_paused = true)]
async fn fields_of_other_owners_stay() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let taken = snapshot(&scene, &shop("1.1.0")).await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"theirs": "1"}});
    apply_as(&scene.sim, "someone", "/api/v1/namespaces/dev/configmaps/settings", &theirs).await;
    scene.apply(&shop("1.1.0")).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[2].outcome, RestoreOutcome::Restored);
    let live = scene.cluster.get(&settings()).await.unwrap().unwrap();
    assert_eq!(live["data"], json!({"version": "1.0.0", "theirs": "1"}));
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_field_that_somebody_took_over_since_is_kept_and_told() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let taken = snapshot(&scene, &shop("1.1.0")).await;
    scene.apply(&shop("1.1.0")).await;
    let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 7}});
    apply_as(&scene.sim, "scaler", "/apis/apps/v1/namespaces/dev/deployments/web", &scaled).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].kept.len(), 1, "{restored:?}");
    assert_eq!(
        (restored[0].kept[0].path.as_str(), restored[0].kept[0].manager.as_str()),
        (".spec.replicas", "scaler")
    );
    let live = scene.cluster.get(&web()).await.unwrap().unwrap();
    assert_eq!(live["spec"]["replicas"], 7);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.local/shop/web:1.0.0");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_meanwhile_is_created_anew_with_its_owners() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"theirs": "1"}});
    apply_as(&scene.sim, "someone", "/api/v1/namespaces/dev/configmaps/settings", &theirs).await;
    let taken = snapshot(&scene, &shop("1.0.0")).await;
    let empty = Snapshot {
        taken: taken
            .taken
            .iter()
            .cloned()
            .map(|mut entry| {
                entry.state = pilothouse_cluster::SnapshotState::Absent;
                entry
            })
            .collect(),
        ..Snapshot::default()
    };
    scene.cluster.restore(&empty, &RESTORE).await.unwrap();
    assert_eq!(scene.cluster.get(&settings()).await.unwrap(), None);

    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert!(restored.iter().all(|r| r.outcome == RestoreOutcome::Restored), "{restored:?}");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
    let live = scene.cluster.get(&settings()).await.unwrap().unwrap();
    assert_eq!(live["data"], json!({"version": "1.0.0", "theirs": "1"}));
    // The next release neither meets a conflict with ourselves nor takes away what was theirs.
    scene.apply(&shop("1.2.0")).await;
    let live = scene.cluster.get(&settings()).await.unwrap().unwrap();
    assert_eq!(live["data"], json!({"version": "1.2.0", "theirs": "1"}));
}

#[tokio::test(start_paused = true)]
async fn what_others_created_since_is_left_alone() {
    let scene = Scene::new().await;
    let taken = scene.cluster.snapshot(&[settings()]).await.unwrap();
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"theirs": "1"}});
    apply_as(&scene.sim, "someone", "/api/v1/namespaces/dev/configmaps/settings", &theirs).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert!(matches!(restored[0].outcome, RestoreOutcome::Conflict { .. }), "{restored:?}");
    assert!(scene.cluster.get(&settings()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_left_alone_and_its_change_is_told_without_values() {
    let scene = Scene::new().await;
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {value}}}\n")
    };
    scene.apply(&secret("hunter2")).await;
    let taken = snapshot(&scene, &secret("x")).await;
    assert!(!serde_json::to_string(&taken).unwrap().contains("aHVudGVyMg"));
    let same = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(same[0].outcome, RestoreOutcome::Unchanged);
    scene.apply(&secret("hunter3")).await;
    let changed = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert!(matches!(changed[0].outcome, RestoreOutcome::Conflict { .. }));
    let differences = scene.cluster.verify(&taken).await.unwrap();
    assert_eq!(differences.len(), 1);
    let told = serde_json::to_string(&(changed, differences)).unwrap();
    assert!(!told.contains("hunter") && !told.contains("aHVudGVy"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_restores_nothing() {
    let scene = Scene::new().await;
    scene.apply(&shop("1.0.0")).await;
    let taken = snapshot(&scene, &shop("1.0.0")).await;
    scene.apply(&shop("1.1.0")).await;
    scene.sim.clear_requests();
    let planned = scene.cluster.restore(&taken, &RestoreOptions { dry_run: true, ..RESTORE }).await.unwrap();
    assert_eq!(planned[0].outcome, RestoreOutcome::Restored);
    assert_eq!(scene.sim.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_came_with_the_release_stays_with_all_that_is_in_it() {
    let scene = Scene::new().await;
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ours, namespace: shop}\n";
    let taken = snapshot(&scene, text).await;
    scene.apply(text).await;
    let theirs =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "1"}});
    apply_as(&scene.sim, "someone", "/api/v1/namespaces/shop/configmaps/theirs", &theirs).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(restored[0].outcome, RestoreOutcome::Kept);
    assert_eq!(restored[1].outcome, RestoreOutcome::Deleted);
    assert!(scene.sim.get("ConfigMap", "shop", "theirs").is_some());
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}
