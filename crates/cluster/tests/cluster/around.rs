//! What stands around the objects of a snapshot, sealed Secrets, and what others changed meanwhile (X4).

use pilothouse_cluster::{ObjectRef, RestoreOptions, RestoreOutcome, Restored, SealingKeys, Snapshot};
use serde_json::json;

use crate::support::{Scene, apply_as, keys, manifests, options, settings, shop, web};

const RESTORE: RestoreOptions = RestoreOptions { dry_run: false, force: false };

/// A Deployment that names `settings` and the Secret `db`, behind a Service with an Ingress, an autoscaler and a budget.
fn whole(version: &str) -> String {
    let shop = shop(version).replace(
        "        ports:",
        "        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: db}}]\n        ports:",
    );
    format!(
        "{shop}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: hunter2}}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web}}\nspec: {{defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n---\n\
         apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, maxReplicas: 4}}\n---\n\
         apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: web}}\nspec: {{minAvailable: 1, selector: {{matchLabels: {{app: web}}}}}}\n"
    )
}

fn secret() -> ObjectRef {
    ObjectRef::namespaced("v1", "Secret", "dev", "db")
}

async fn sealing(keys: Option<SealingKeys>) -> Scene {
    let mut scene = Scene::new().await;
    scene.cluster = scene.cluster.sealing_with(keys);
    scene
}

async fn of_web(scene: &Scene) -> Snapshot {
    scene.cluster.snapshot(&[web()]).await.unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.context.iter().map(|entry| format!("{} {}", entry.object.kind, entry.object.name)).collect()
}

async fn delete(scene: &Scene, object: &ObjectRef) {
    let gone = Snapshot {
        taken: vec![pilothouse_cluster::SnapshotObject {
            object: object.clone(),
            state: pilothouse_cluster::SnapshotState::Absent,
        }],
        ..Snapshot::default()
    };
    scene.cluster.restore(&gone, &RESTORE).await.unwrap();
    assert_eq!(scene.cluster.get(object).await.unwrap(), None);
}

fn of<'a>(restored: &'a [Restored], kind: &str) -> &'a Restored {
    restored.iter().find(|r| r.object.kind == kind).unwrap_or_else(|| panic!("no {kind} in {restored:?}"))
}

#[tokio::test(start_paused = true)]
async fn what_a_workload_names_and_what_names_it_is_in_its_snapshot() {
    let scene = sealing(Some(keys())).await;
    scene.apply(&whole("1.0.0")).await;
    scene.sim.clear_requests();
    let taken = of_web(&scene).await;
    assert_eq!(
        names(&taken),
        [
            "Service web",
            "HorizontalPodAutoscaler web",
            "PodDisruptionBudget web",
            "Ingress web",
            "ConfigMap settings",
            "Secret db"
        ]
    );
    assert_eq!(taken.missed, Vec::<String>::new());
    let requests = scene.sim.requests().len();
    // One read for each named object, one list for each kind that may name the workload, and discovery.
    assert!(requests <= 20, "{requests} requests: {:?}", scene.sim.requests());
    let record = serde_json::to_string(&taken).unwrap();
    assert!(!record.contains("hunter2") && !record.contains("aHVudGVyMg"), "{record}");
}

#[tokio::test(start_paused = true)]
async fn what_of_it_was_ours_and_is_gone_comes_back_before_the_workload_that_needs_it() {
    let scene = sealing(Some(keys())).await;
    scene.apply(&whole("1.0.0")).await;
    let mut taken = of_web(&scene).await;
    scene.apply(&whole("1.1.0")).await;
    for object in [settings(), secret()] {
        delete(&scene, &object).await;
    }
    scene.sim.clear_requests();
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    assert_eq!(of(&restored, "Deployment").outcome, RestoreOutcome::Restored);
    for kind in ["ConfigMap", "Secret"] {
        assert_eq!(of(&restored, kind).outcome, RestoreOutcome::Restored, "{restored:?}");
        assert!(of(&restored, kind).context);
    }
    assert_eq!(restored.len(), 3, "what is as it was is not told: {restored:?}");
    let last = scene.sim.writes().last().unwrap().path.clone();
    assert!(last.ends_with("/deployments/web"), "{last}");
    let db = scene.cluster.get(&secret()).await.unwrap().unwrap();
    assert_eq!(db["data"]["password"], "aHVudGVyMg==");
    taken.context.retain(|entry| restored.iter().any(|r| r.object == entry.object));
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_another_release_changed_around_it_is_told_and_left() {
    let scene = sealing(None).await;
    scene.apply(&whole("1.0.0")).await;
    let taken = of_web(&scene).await;
    let mut theirs = options("dep_9");
    theirs.marks.release = "rel_9".into();
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {version: theirs}\n";
    scene.cluster.apply(&manifests(text), &theirs).await.unwrap();
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    let RestoreOutcome::Conflict { reason } = &of(&restored, "ConfigMap").outcome else {
        panic!("{restored:?}")
    };
    assert_eq!(reason, "release rel_9 changed it since the snapshot; it was left");
    assert_eq!(scene.cluster.get(&settings()).await.unwrap().unwrap()["data"]["version"], "theirs");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_around_it_is_told_and_left() {
    let scene = sealing(None).await;
    let path = "/api/v1/namespaces/dev/configmaps/settings";
    let theirs = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": value}});
    apply_as(&scene.sim, "someone", path, &theirs("1")).await;
    let text = whole("1.0.0")
        .replace("kind: ConfigMap\nmetadata: {name: settings}", "kind: ConfigMap\nmetadata: {name: other}");
    scene.apply(&text).await;
    let taken = of_web(&scene).await;
    apply_as(&scene.sim, "someone", path, &theirs("2")).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    let RestoreOutcome::Conflict { reason } = &of(&restored, "ConfigMap").outcome else {
        panic!("{restored:?}")
    };
    assert!(reason.contains("not ours"), "{reason}");
    assert_eq!(scene.cluster.get(&settings()).await.unwrap().unwrap()["data"]["a"], "2");
}

#[tokio::test(start_paused = true)]
async fn a_secret_without_a_key_or_with_another_key_says_what_is_missing() {
    let other = SealingKeys::parse("another key of thirty-two or more characters").unwrap();
    for (then, now, told) in [
        (None, Some(keys()), "the installation had no sealing key"),
        (Some(keys()), None, "this installation has no sealing key"),
        (Some(keys()), Some(other), "add that key as another line of its sealing key"),
    ] {
        let mut scene = sealing(then).await;
        scene.apply(&whole("1.0.0")).await;
        let taken = scene.cluster.snapshot(&[secret()]).await.unwrap();
        scene
            .apply("apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter3}\n")
            .await;
        scene.cluster = scene.cluster.sealing_with(now);
        let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
        let RestoreOutcome::Conflict { reason } = &restored[0].outcome else { panic!("{restored:?}") };
        assert!(
            reason.starts_with("its values changed since the snapshot, and ") && reason.contains(told),
            "{reason}"
        );
    }
}

/// Item 4: `kubectl set image` in the middle of a rollout.
#[tokio::test(start_paused = true)]
async fn an_image_changed_by_hand_is_a_conflict_unless_forced() {
    let scene = sealing(None).await;
    scene.apply(&shop("1.0.0")).await;
    let taken = of_web(&scene).await;
    scene.apply(&shop("1.1.0")).await;
    let by_hand = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "shop/web:hotfix"}]}}}});
    apply_as(&scene.sim, "kubectl-set", "/apis/apps/v1/namespaces/dev/deployments/web", &by_hand).await;
    let restored = scene.cluster.restore(&taken, &RESTORE).await.unwrap();
    let kept = &restored[0].kept;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].ours && kept[0].path.ends_with("containers[name=web].image"), "{kept:?}");
    assert_eq!(kept[0].manager, "kubectl-set");
    assert_eq!(kept[0].want, Some(json!("registry.local/shop/web:1.0.0")));
    assert_eq!(kept[0].got, Some(json!("shop/web:hotfix")));
    let live = scene.cluster.get(&web()).await.unwrap().unwrap();
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        (&container["image"], &container["env"][0]["value"]),
        (&json!("shop/web:hotfix"), &json!("1.0.0"))
    );

    let forced = RestoreOptions { force: true, ..RESTORE };
    let restored = scene.cluster.restore(&taken, &forced).await.unwrap();
    assert_eq!((restored[0].outcome.clone(), restored[0].kept.len()), (RestoreOutcome::Restored, 0));
    let live = scene.cluster.get(&web()).await.unwrap().unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.local/shop/web:1.0.0");
}
