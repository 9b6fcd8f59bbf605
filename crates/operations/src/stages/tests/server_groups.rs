//! Server groups: deployed, enabled and disabled, resized and destroyed, and taken back.

use std::collections::BTreeMap;

use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use super::{DIGEST, Scene};
use crate::stages::check::tests::problems;
use crate::stages::deploy_server_group::DeployServerGroup;
use crate::stages::destroy_server_group::DestroyServerGroup;
use crate::stages::disable_cluster::DisableCluster;
use crate::stages::disable_manifest::DisableManifest;
use crate::stages::disable_server_group::DisableServerGroup;
use crate::stages::enable_manifest::EnableManifest;
use crate::stages::enable_server_group::EnableServerGroup;
use crate::stages::resize_server_group::ResizeServerGroup;
use crate::stages::scale_down_cluster::ScaleDownCluster;
use crate::stages::undo::Undo;
use crate::stages::{Observed, StageEnd, StageType};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
    spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n";

const MANIFEST: &str = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web}\nspec:\n  replicas: 2\n  template:\n    \
    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: shop/web}]}\n";

impl Scene {
    /// A scene with the Service `web`, which selects `app=web`.
    async fn with_service(rules: impl IntoIterator<Item = ImageRule>) -> Self {
        let scene = Self::with_rules(rules).await;
        scene.apply(SERVICE).await;
        scene
    }

    async fn apply(&self, text: &str) {
        let manifests = pilothouse_cluster::parse_manifests(text, "dev").unwrap();
        let cluster = self.test.context.clusters.get("default").await.unwrap();
        cluster.apply(&manifests, &pilothouse_cluster::ApplyOptions::default()).await.unwrap();
    }

    pub(super) async fn apply_as_kubectl(&self, path: &str, manifest: String) {
        use tower::ServiceExt as _;
        let request = http::Request::patch(format!("{path}?fieldManager=kubectl"))
            .header("content-type", "application/apply-patch+yaml")
            .body(axum::body::Body::from(manifest))
            .unwrap();
        let answer = self.sim.service().oneshot(request).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Deploys the next version, with these options beside the usual.
    async fn deploys(&mut self, tag: &str, more: &Value) -> StageEnd {
        self.next(tag);
        self.play(&DeployServerGroup, "Deploy", options(more)).await
    }

    /// Plays a stage of an attempt of its own.
    async fn plays(&mut self, kind: &dyn StageType, options: Value) -> StageEnd {
        self.next("1.0.0");
        self.play(kind, "Act", options).await
    }

    /// How many ready endpoints the Service has, by the server group of their pods.
    async fn serving(&self) -> BTreeMap<String, usize> {
        let cluster = self.test.context.clusters.get("default").await.unwrap();
        let endpoints = cluster.endpoints("dev", Some("web")).await.unwrap().remove("web").unwrap();
        let mut counted = BTreeMap::new();
        for pod in endpoints.ready {
            let (group, _) = pod.rsplit_once('-').unwrap();
            *counted.entry(group.to_owned()).or_default() += 1;
        }
        counted
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let mut names: Vec<String> = (0..6).map(|n| format!("shop-v{n:03}")).collect();
        names.retain(|name| self.sim.get(kind, "dev", name).is_some());
        names
    }

    fn set(&self, name: &str) -> Value {
        self.sim.get("ReplicaSet", "dev", name).unwrap_or_else(|| panic!("there is no {name}"))
    }
}

fn options(more: &Value) -> Value {
    let mut options = json!({ "manifest": MANIFEST, "services": ["web"], "strategy": "red-black", "requiredArtifacts": ["web"] });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[track_caller]
fn succeeded(end: &StageEnd) {
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
}

fn reason(end: &StageEnd) -> &str {
    end.status.reason().unwrap_or_else(|| panic!("it did not fail: {end:?}"))
}

#[tokio::test(start_paused = true)]
async fn red_black_takes_over_when_all_of_it_is_ready_and_keeps_the_old_one_running() {
    let mut scene = Scene::with_service([]).await;
    let first = scene.deploys("1.0.0", &json!({})).await;
    succeeded(&first);
    assert_eq!(first.output["serverGroup"], "shop-v000");
    assert_eq!(first.output["images"], json!([format!("registry.local/shop/web:1.0.0@{DIGEST}")]));
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2)]));
    let second = scene.deploys("1.1.0", &json!({})).await;
    succeeded(&second);
    assert_eq!(second.output["previous"], json!(["shop-v000"]));
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 2)]));
    // T42: disabled, its pods run on without traffic.
    assert_eq!(scene.set("shop-v000")["status"]["readyReplicas"], 2);
    let steps = second.output["steps"].to_string();
    assert!(steps.contains("Service dev/web keeps 2 of 4 ready endpoints"), "{steps}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_start_gets_no_traffic_and_says_why() {
    let crash = ImageRule::new("*/shop/web:1.1.0*", Behaviour::crash_loop("no database"));
    let mut scene = Scene::with_service([crash]).await;
    succeeded(&scene.deploys("1.0.0", &json!({})).await);
    let end = scene.deploys("1.1.0", &json!({})).await;
    assert!(reason(&end).contains("no database"), "{end:?}");
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2)]));
    let pods = scene.set("shop-v001")["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(pods["app"], Value::Null, "{pods}");
    // Undone after half of it was done.
    scene.roll_back("Deploy");
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Deploy" })).await);
    assert_eq!(scene.names("ReplicaSet"), ["shop-v000"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_gives_the_running_pods_of_the_old_version_their_traffic_back() {
    let mut scene = Scene::with_service([]).await;
    succeeded(&scene.deploys("1.0.0", &json!({})).await);
    succeeded(&scene.deploys("1.1.0", &json!({})).await);
    scene.roll_back("Deploy");
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Deploy" })).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2)]));
    assert_eq!(scene.names("ReplicaSet"), ["shop-v000"]);
}

#[tokio::test(start_paused = true)]
async fn a_rolling_red_black_goes_part_by_part_and_never_leaves_less_than_there_was() {
    let mut scene = Scene::with_service([]).await;
    let rolling = json!({ "strategy": "rolling-red-black", "capacity": 4, "percentages": [25, 50, 100], "delayBetween": "30s" });
    succeeded(&scene.deploys("1.0.0", &rolling).await);
    scene.next("1.1.0");
    let kind = DeployServerGroup;
    let mut run = scene.begin(&kind, scene.run(&kind, "Deploy", options(&rolling))).await.unwrap().unwrap();
    let mut parts = Vec::new();
    let end = loop {
        match kind.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap() {
            Observed::Ended(end) => break end,
            Observed::Pending { .. } => {}
            Observed::Moved { action, progress } => {
                run = StageRun { action, progress: Some(progress), ..run };
                let serving = scene.serving().await;
                assert!(serving.values().sum::<usize>() >= 4, "{serving:?}");
                if run.progress.as_ref().unwrap().contains("% of") {
                    parts.push(serving);
                }
            }
        }
    };
    succeeded(&end);
    let part = |old, new| counts(&[("shop-v000", old), ("shop-v001", new)]);
    assert_eq!(parts, [part(3, 1), part(2, 2)]);
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 4)]));
}

#[tokio::test(start_paused = true)]
async fn highlander_leaves_one_alone_and_a_rollback_brings_the_others_back() {
    let mut scene = Scene::with_service([]).await;
    let highlander = json!({ "strategy": "highlander" });
    succeeded(&scene.deploys("1.0.0", &json!({})).await);
    succeeded(&scene.deploys("1.1.0", &json!({})).await);
    succeeded(&scene.deploys("1.2.0", &highlander).await);
    assert_eq!(scene.names("ReplicaSet"), ["shop-v002"]);
    assert_eq!(scene.serving().await, counts(&[("shop-v002", 2)]));
    scene.roll_back("Deploy");
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Deploy" })).await);
    assert_eq!(scene.names("ReplicaSet"), ["shop-v000", "shop-v001"]);
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 2)]));
}

#[tokio::test(start_paused = true)]
async fn the_old_ones_are_scaled_down_and_the_oldest_destroyed_as_asked() {
    let mut scene = Scene::with_service([]).await;
    let more =
        json!({ "scaleDown": true, "delayBeforeScaleDown": "1m", "maxRemaining": 2, "capacity": "previous" });
    succeeded(&scene.deploys("1.0.0", &json!({ "capacity": 3 })).await);
    succeeded(&scene.deploys("1.1.0", &more).await);
    assert_eq!(scene.set("shop-v000")["spec"]["replicas"], 0);
    assert_eq!(scene.set("shop-v001")["spec"]["replicas"], 3, "as the one that served");
    succeeded(&scene.deploys("1.2.0", &more).await);
    assert_eq!(scene.names("ReplicaSet"), ["shop-v001", "shop-v002"]);
    assert_eq!(scene.serving().await, counts(&[("shop-v002", 3)]));
}

/// A Service that is none of the stage's may select the pods of one group by labels of their own.
#[tokio::test(start_paused = true)]
async fn a_group_that_another_service_needs_is_not_scaled_down() {
    let mut scene = Scene::with_service([]).await;
    succeeded(&scene.deploys("1.0.0", &json!({"strategy": "red-black"})).await);
    let direct =
        SERVICE.replace("name: web", "name: direct").replace("app: web", "pilothouse.dev/sequence: '0'");
    scene.apply(&direct).await;
    let end = scene.deploys("1.1.0", &json!({"strategy": "red-black", "scaleDown": true})).await;
    assert!(
        reason(&end).contains("Service dev/direct has 2 ready endpoints and would be left with 0"),
        "{end:?}"
    );
    assert_eq!(scene.set("shop-v000")["spec"]["replicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn labels_that_are_selected_by_twice_are_refused_before_anything_is_changed() {
    let mut scene = Scene::with_service([]).await;
    let manifest = MANIFEST.replace("  template:", "  selector: {matchLabels: {app: web}}\n  template:");
    let end = scene.deploys("1.0.0", &json!({ "manifest": manifest })).await;
    assert!(reason(&end).contains("Leave `app` out of the ReplicaSet's `spec.selector`"), "{end:?}");
    let end = scene.deploys("1.0.0", &json!({ "services": ["shop"] })).await;
    assert!(reason(&end).starts_with("Service dev/shop does not exist"), "{end:?}");
    assert_eq!(scene.names("ReplicaSet"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_disabled_group_keeps_its_pods_and_gets_its_traffic_back() {
    let mut scene = Scene::with_service([]).await;
    succeeded(&scene.deploys("1.0.0", &json!({})).await);
    succeeded(&scene.deploys("1.1.0", &json!({ "strategy": "none" })).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2), ("shop-v001", 2)]));
    let second = json!({ "clusterName": "shop", "target": "second-newest" });
    succeeded(&scene.plays(&DisableServerGroup, second.clone()).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 2)]));
    assert_eq!(scene.set("shop-v000")["status"]["readyReplicas"], 2);
    // T15: the last that serve are not taken away.
    let end = scene.plays(&DisableServerGroup, json!({ "serverGroup": "shop-v001" })).await;
    assert!(reason(&end).contains("has 2 ready endpoints and would be left with 0"), "{end:?}");
    let end = scene.plays(&EnableServerGroup, second).await;
    succeeded(&end);
    assert_eq!(end.output["serverGroup"], "shop-v000");
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2), ("shop-v001", 2)]));
    // Enabling is taken back from the pods as well.
    scene.roll_back("Act");
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Act" })).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 2)]));
}

#[tokio::test(start_paused = true)]
async fn its_autoscaler_is_paused_and_resumed_with_it() {
    let mut scene = Scene::with_service([]).await;
    let scaler = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n\
        spec:\n  minReplicas: 1\n  maxReplicas: 4\n  scaleTargetRef: {kind: Deployment, name: web}\n  behavior: {scaleUp: {selectPolicy: Min, \
        policies: [{type: Pods, value: 1, periodSeconds: 60}]}}\n";
    succeeded(&scene.deploys("1.0.0", &json!({ "manifest": format!("{MANIFEST}{scaler}") })).await);
    succeeded(&scene.deploys("1.1.0", &json!({ "strategy": "none" })).await);
    let scaler =
        |scene: &Scene| scene.sim.get("HorizontalPodAutoscaler", "dev", "shop-v000").unwrap()["spec"].clone();
    assert_eq!(scaler(&scene)["scaleTargetRef"]["name"], "shop-v000");
    let oldest = json!({ "clusterName": "shop", "target": "oldest" });
    succeeded(&scene.plays(&DisableServerGroup, oldest.clone()).await);
    let paused = scaler(&scene)["behavior"].clone();
    assert_eq!(
        (&paused["scaleUp"]["selectPolicy"], &paused["scaleDown"]["selectPolicy"]),
        (&json!("Disabled"), &json!("Disabled"))
    );
    succeeded(&scene.plays(&EnableServerGroup, oldest).await);
    let resumed = scaler(&scene)["behavior"].clone();
    assert_eq!(
        (&resumed["scaleUp"]["selectPolicy"], &resumed["scaleDown"]["selectPolicy"]),
        (&json!("Min"), &Value::Null)
    );
    let end = scene
        .plays(&ResizeServerGroup, json!({ "serverGroup": "shop-v000", "resize": "exact", "by": 9 }))
        .await;
    assert!(reason(&end).contains("keeps the size between 1 and 4"), "{end:?}");
    // It goes with its server group, and comes back with it.
    succeeded(&scene.plays(&DestroyServerGroup, json!({ "serverGroup": "shop-v000" })).await);
    assert_eq!(scene.names("HorizontalPodAutoscaler"), Vec::<String>::new());
    scene.roll_back("Act");
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Act" })).await);
    assert_eq!(scene.names("HorizontalPodAutoscaler"), ["shop-v000"]);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2), ("shop-v001", 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_group_is_resized_to_the_largest_of_its_cluster_and_not_below_what_must_serve() {
    let mut scene = Scene::with_service([]).await;
    succeeded(&scene.deploys("1.0.0", &json!({ "capacity": 4 })).await);
    succeeded(&scene.deploys("1.1.0", &json!({ "capacity": 1 })).await);
    let newest = |more: &Value| {
        let mut options = json!({ "clusterName": "shop", "target": "newest" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let end = scene.plays(&ResizeServerGroup, newest(&json!({ "resize": "cluster-maximum" }))).await;
    succeeded(&end);
    assert_eq!((&end.output["before"], &end.output["replicas"]), (&json!(1), &json!(4)));
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 4)]));
    let end = scene.plays(&ResizeServerGroup, newest(&json!({ "resize": "down", "by": "100%" }))).await;
    assert!(reason(&end).contains("would be left with 0"), "{end:?}");
    succeeded(&scene.plays(&ResizeServerGroup, newest(&json!({ "resize": "down", "by": "75%" }))).await);
    assert_eq!(scene.set("shop-v001")["spec"]["replicas"], 1);
    let end = scene.plays(&DestroyServerGroup, newest(&json!({}))).await;
    assert!(reason(&end).contains("would be left with 0"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_disabled_but_for_the_newest_and_scaled_down_but_for_those_that_serve() {
    let mut scene = Scene::with_service([]).await;
    for tag in ["1.0.0", "1.1.0", "1.2.0"] {
        succeeded(&scene.deploys(tag, &json!({ "strategy": "none" })).await);
    }
    let end = scene.plays(&DisableCluster, json!({ "clusterName": "shop", "keep": 2 })).await;
    succeeded(&end);
    assert_eq!(end.output["disabled"], json!(["shop-v000"]));
    assert_eq!(end.output["enabled"], json!(["shop-v002", "shop-v001"]));
    assert_eq!(scene.serving().await, counts(&[("shop-v001", 2), ("shop-v002", 2)]));
    let end = scene.plays(&DisableCluster, json!({ "clusterName": "shop", "keep": 0 })).await;
    assert!(reason(&end).contains("would be left with 0"), "{end:?}");
    let replicas = |scene: &Scene| {
        ["shop-v000", "shop-v001", "shop-v002"].map(|name| scene.set(name)["spec"]["replicas"].clone())
    };
    let serving = scene.serving().await;
    let end = scene.plays(&ScaleDownCluster, json!({ "clusterName": "shop", "keep": 0 })).await;
    succeeded(&end);
    assert_eq!(replicas(&scene), [json!(0), json!(2), json!(2)]);
    assert_eq!(scene.serving().await, serving);
    succeeded(&scene.plays(&ScaleDownCluster, json!({ "clusterName": "shop", "includeActive": true })).await);
    assert_eq!(scene.set("shop-v001")["spec"]["replicas"], 0);
    let end = scene.plays(&DisableCluster, json!({ "clusterName": "shop-prod" })).await;
    assert_eq!(reason(&end), "there is no server group in cluster dev/shop-prod");
}

#[tokio::test(start_paused = true)]
async fn a_replica_set_of_somebody_else_is_switched_and_taken_back() {
    let mut scene = Scene::with_service([]).await;
    succeeded(&scene.deploys("1.0.0", &json!({})).await);
    let theirs = MANIFEST.replace("name: web}\nspec", "name: theirs}\nspec").replace(
        "  template:\n    metadata: {labels: {app: web}}",
        "  selector: {matchLabels: {own: theirs}}\n  template:\n    metadata: {labels: {own: theirs, app: web}}",
    );
    scene.apply_as_kubectl("/apis/apps/v1/namespaces/dev/replicasets/theirs", theirs).await;
    let theirs = json!({ "object": "theirs", "services": ["web"] });
    tokio::time::sleep_until(tokio::time::Instant::now() + Span::from_secs(10).as_duration()).await;
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2), ("theirs", 2)]));
    succeeded(&scene.plays(&DisableManifest, theirs.clone()).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2)]));
    let disabled = scene.attempt.clone();
    succeeded(&scene.plays(&EnableManifest, theirs).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2), ("theirs", 2)]));
    // Both ways back: of the enabling, then of the disabling.
    scene.roll_back("Act");
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Act" })).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2)]));
    let number = scene.attempt.at.number;
    scene.attempt = pilothouse_domain::attempt::Attempt { id: scene.attempt.id.clone(), ..disabled };
    scene.roll_back("Act");
    scene.attempt.at.number = number + 1;
    succeeded(&scene.play(&Undo, "Undo", json!({ "stage": "Act" })).await);
    assert_eq!(scene.serving().await, counts(&[("shop-v000", 2), ("theirs", 2)]));
    assert_eq!(scene.set("theirs")["spec"]["template"]["metadata"]["labels"]["app"], "web");
}

#[test]
fn what_cannot_be_switched_is_told_when_it_is_saved() {
    let told = [
        problems(&EnableManifest, &json!({ "kind": "Deployment", "object": "web" })),
        problems(&DisableManifest, &json!({ "serverGroup": "web" })),
        problems(&DisableManifest, &json!({ "object": "Web", "services": ["a b"] })),
        problems(&DisableCluster, &json!({ "clusterName": "" })),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
        kind: a Deployment replaces its pods whenever their labels change, so its traffic cannot be switched; scale it, or let its Service select others; server groups (`deploy-server-group`) can be switched
        unknown field `serverGroup`, expected one of `kind`, `object`, `clusterName`, `target`, `labels`, `services`, `namespace`
        object: `Web` is no name: use lower case letters, digits and `-`, at most 63
        services[0]: `a b` is no name: use lower case letters, digits and `-`, at most 63
        clusterName: `` is no name: use lower case letters, digits and `-`, at most 63
    ");
}

#[test]
fn a_deployment_of_a_server_group_is_checked_when_it_is_saved() {
    let of = |more: Value| problems(&DeployServerGroup, &options(&more));
    for fine in [
        json!({}),
        json!({ "stack": "prod", "capacity": "${ params.replicas }" }),
        json!({ "strategy": "rolling-red-black", "percentages": [10, 100] }),
    ] {
        assert_eq!(of(fine), "");
    }
    let told = [
        of(json!({ "manifest": MANIFEST.replace("ReplicaSet", "Deployment") })),
        of(json!({ "stack": "prod-eu", "detail": "v001" })),
        of(json!({ "services": [] })),
        of(json!({ "percentages": [50, 100] })),
        of(json!({ "strategy": "rolling-red-black", "percentages": [50, 40] })),
        of(json!({ "strategy": "highlander", "maxRemaining": 2 })),
        of(json!({ "capacity": "many", "requiredArtifacts": ["wep"] })),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
        manifest: a Deployment replaces its pods whenever their labels change, so its traffic cannot be switched: write `kind: ReplicaSet` with its `replicas` and `template`, or deploy it with `type: deploy-manifest`
        stack: `prod-eu` cannot be the stack of a server group: use lower case letters and digits; a dash would begin the detail
        detail: `v001` cannot be the detail of a server group: `v` and three digits are the number of a server group
        services: strategy `red-black` moves the traffic of Services, and none is named; name the Services that send traffic to it
        percentages: strategy `red-black` does not take it; leave it out, or use `rolling-red-black`
        percentages: they must rise, from above 0 to 100; write such as [10, 50, 100]
        maxRemaining: strategy `highlander` does not take it; leave it out, or use `red-black` or `rolling-red-black`
        requiredArtifacts[0]: the pipeline has no artifact `wep`; did you mean `web`?
        capacity: `many` is no capacity: write a number of pods, or `previous`
    ");
}
