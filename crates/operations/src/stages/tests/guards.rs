//! The traffic guard, wherever something takes ready endpoints from a Service (T15, X8); and what must not be lost on the way.

use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_domain::traffic_guard::TrafficGuard;
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use super::Scene;
use super::traffic::{deployed, deployment, selector, service, serving};
use super::workloads::{SCALER, deploy, halfway, manifests, reason, steps};
use crate::stages::blue_green::BlueGreen;
use crate::stages::canary::Canary;
use crate::stages::delete_manifest::DeleteManifest;
use crate::stages::deploy_manifest::DeployManifest;
use crate::stages::divert_traffic::DivertTraffic;
use crate::stages::patch_image::PatchImage;
use crate::stages::remove_old_version::RemoveOldVersion;
use crate::stages::restart::Restart;
use crate::stages::scale::Scale;
use crate::stages::start_workload::StartWorkload;
use crate::stages::stop::Stop;
use crate::stages::undo::Undo;
use crate::stages::undo_rollout::UndoRollout;
use crate::stages::{Observed, StageEnd, StageType};

const LEFT_WITH_NONE: &str = "Service dev/web has 2 ready endpoints and would be left with 0";

fn guard(scene: &mut Scene, least: TrafficGuard) {
    scene.release.spec.environments[0].traffic_guard = Some(least);
}

async fn plays(scene: &mut Scene, kind: &dyn StageType, options: Value) -> StageEnd {
    scene.next("2.0.0");
    scene.play(kind, "Act", options).await
}

async fn undoes(scene: &mut Scene) {
    scene.roll_back("Act");
    let end = scene.play(&Undo, "Undo Act", json!({ "stage": "Act" })).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
}

fn succeeded(end: &StageEnd) {
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
}

fn web(scene: &Scene) -> Value {
    scene.sim.get("Deployment", "dev", "web").unwrap()
}

fn image(scene: &Scene) -> Value {
    web(scene)["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_leaves_a_service_too_few_pods_is_refused_before_anything_is_changed() {
    let mut scene = serving().await;
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n".to_owned();
    let none = [config, deployment("web", "{app: web}", 0)].join("---\n");
    let end = plays(&mut scene, &DeployManifest, json!({ "manifests": none })).await;
    assert!(reason(&end).contains(LEFT_WITH_NONE), "{end:?}");
    assert_eq!(web(&scene)["spec"]["replicas"], 2);
    assert!(scene.sim.get("ConfigMap", "dev", "more").is_none());
    guard(&mut scene, TrafficGuard::Count(2));
    let one = json!({ "manifests": deployment("web", "{app: web}", 1) });
    let end = plays(&mut scene, &DeployManifest, one.clone()).await;
    assert!(reason(&end).contains("would be left with 1, and at least 2 must stay"), "{end:?}");
    guard(&mut scene, TrafficGuard::Count(1));
    succeeded(&plays(&mut scene, &DeployManifest, one).await);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_points_a_service_at_no_ready_pod_is_refused() {
    let mut scene = serving().await;
    let other = service("web", "{app: web, version: v2}");
    let end = plays(&mut scene, &DeployManifest, json!({ "manifests": other })).await;
    assert!(reason(&end).contains(LEFT_WITH_NONE), "{end:?}");
    assert_eq!(selector(&scene), json!({"app": "web"}));
}

/// Pods that lose a label by which a Service selects leave it one after the other, and none comes.
#[tokio::test(start_paused = true)]
async fn new_pods_that_a_service_does_not_select_are_refused() {
    let mut scene = Scene::new().await;
    let tier = |tier: &str| {
        deployment("web", "{app: web}", 2).replace(
            "metadata: {labels: {app: web}}",
            &format!("metadata: {{labels: {{app: web, tier: {tier}}}}}"),
        )
    };
    deployed(&mut scene, &[tier("front"), service("web", "{tier: front}")]).await;
    let end = plays(&mut scene, &DeployManifest, json!({ "manifests": tier("back") })).await;
    assert!(
        reason(&end).starts_with(
            "Service dev/web selects by `tier`, which the new pods of Deployment dev/web do not have"
        ),
        "{end:?}"
    );
    assert!(reason(&end).contains(LEFT_WITH_NONE), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn pods_that_all_go_before_the_first_new_one_comes_are_guarded() {
    let mut scene = Scene::new().await;
    let recreate = deployment("web", "{app: web}", 2)
        .replace("  replicas:", "  strategy: {type: Recreate}\n  replicas:");
    deployed(&mut scene, &[recreate.clone(), service("web", "{app: web}")]).await;
    let before = image(&scene);
    let patch = json!({"workload": "web", "artifact": "web"});
    for (kind, options) in [
        (&DeployManifest as &dyn StageType, json!({ "manifests": recreate })),
        (&PatchImage, patch.clone()),
        (&Canary, json!({"workload": "web", "service": "web"})),
        (&Restart, json!({"workload": "web"})),
    ] {
        let end = plays(&mut scene, kind, options).await;
        assert!(reason(&end).contains(LEFT_WITH_NONE), "{end:?}");
        assert_eq!(image(&scene), before);
    }
    let end = plays(&mut scene, &PatchImage, patch.clone()).await;
    assert!(
        reason(&end).ends_with("ends all pods of Deployment dev/web before the first new one starts"),
        "{end:?}"
    );
    guard(&mut scene, TrafficGuard::Off);
    succeeded(&plays(&mut scene, &Restart, json!({"workload": "web"})).await);
    guard(&mut scene, TrafficGuard::Count(1));
    // Once the canary has all of the traffic, the present version may be replaced.
    let all = json!({"workload": "web", "service": "web", "steps": [{"setWeight": 100}]});
    succeeded(&plays(&mut scene, &Canary, all).await);
    // What replaces nothing takes nothing away.
    succeeded(&plays(&mut scene, &PatchImage, patch).await);
}

fn pruned(manifests: &[String]) -> Value {
    json!({ "manifests": manifests.join("---\n"), "prune": true })
}

#[tokio::test(start_paused = true)]
async fn what_a_service_that_stays_needs_is_not_pruned_and_goes_with_it() {
    let mut scene = Scene::new().await;
    let (deployment, service) = (deployment("web", "{app: web}", 2), service("web", "{app: web}"));
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n".to_owned();
    succeeded(
        &plays(&mut scene, &DeployManifest, pruned(&[deployment, service.clone(), config.clone()])).await,
    );
    let end = plays(&mut scene, &DeployManifest, pruned(&[service, config.clone()])).await;
    succeeded(&end);
    let note = end.output["notes"][0].as_str().unwrap();
    assert!(
        note.starts_with("Deployment dev/web is in the manifests no more, and stays: the traffic guard"),
        "{note}"
    );
    assert!(note.contains(LEFT_WITH_NONE), "{note}");
    assert_eq!(web(&scene)["status"]["readyReplicas"], 2);
    // It is not forgotten: with its Service it goes.
    let end = plays(&mut scene, &DeployManifest, pruned(&[config])).await;
    assert_eq!(end.output["deleted"].as_array().map(Vec::len), Some(2), "{end:?}");
    assert!(scene.sim.get("Deployment", "dev", "web").is_none());
}

const CLAIMS: &str = "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}, ";

fn set() -> String {
    let set = manifests("StatefulSet");
    let (set, _) = set.split_once("---").unwrap();
    set.replace("serviceName: web, ", &format!("serviceName: web, {CLAIMS}"))
}

#[tokio::test(start_paused = true)]
async fn claims_are_not_lost_unasked() {
    let mut scene = Scene::new().await;
    deploy(&mut scene, &set()).await;
    let workload = json!({"kind": "StatefulSet", "name": "web"});
    for (kind, options, policy) in [
        (&Scale as &dyn StageType, json!({"workload": workload, "replicas": 1}), "whenScaled"),
        (&Stop, json!({"workload": workload}), "whenScaled"),
        (&RemoveOldVersion, json!({"workload": "web", "kind": "StatefulSet", "drain": "0s"}), "whenScaled"),
    ] {
        let end = plays(&mut scene, kind, options).await;
        let told = format!("the claims of StatefulSet dev/web go with its pods (`{policy}: Delete`)");
        assert!(reason(&end).starts_with(&told), "{end:?}");
    }
    succeeded(&plays(&mut scene, &Scale, json!({"workload": workload, "replicas": 4})).await);
    let fewer = json!({"workload": workload, "replicas": 1, "allowDataLoss": true});
    succeeded(&plays(&mut scene, &Scale, fewer).await);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_takes_its_claims_with_it_is_not_pruned() {
    let mut scene = Scene::new().await;
    succeeded(&plays(&mut scene, &DeployManifest, pruned(&[set()])).await);
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n".to_owned();
    let end = plays(&mut scene, &DeployManifest, pruned(&[config])).await;
    let note = "StatefulSet dev/web is in the manifests no more, and stays: its claims, and what is stored in them, would go with it";
    assert_eq!(end.output["notes"], json!([note]), "{end:?}");
    assert!(scene.sim.get("StatefulSet", "dev", "web").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_workload_is_deleted_together_with_its_service() {
    let mut scene = serving().await;
    let alone = json!({"objects": [{"kind": "Deployment", "name": "web"}]});
    let end = plays(&mut scene, &DeleteManifest, alone).await;
    assert!(reason(&end).contains(LEFT_WITH_NONE), "{end:?}");
    let both =
        json!({"objects": [{"kind": "Deployment", "name": "web"}, {"kind": "Service", "name": "web"}]});
    succeeded(&plays(&mut scene, &DeleteManifest, both).await);
    assert!(
        scene.sim.get("Deployment", "dev", "web").is_none()
            && scene.sim.get("Service", "dev", "web").is_none()
    );
}

/// A Service that is tied to one template would empty with the next one.
#[tokio::test(start_paused = true)]
async fn a_service_that_was_left_tied_to_one_template_is_told_and_not_emptied() {
    let scene = serving().await;
    let half = halfway(&scene, &StartWorkload, json!({"service": "web"}), 2).await;
    let left = StartWorkload.cancel(&scene.stage(&half)).await.unwrap().unwrap();
    assert!(left.contains("Service dev/web is left with `pod-template-hash` in its selector"), "{left}");
    let mut scene = serving().await;
    scene.sim.set_rules(vec![ImageRule::new("*2.0.0*", Behaviour::crash_loop("no database"))]);
    let end = plays(&mut scene, &StartWorkload, json!({"service": "web"})).await;
    assert!(reason(&end).contains("no database"), "{end:?}");
    assert!(
        reason(&end).contains("Service dev/web is left with `pod-template-hash` in its selector"),
        "{end:?}"
    );
    scene.sim.set_rules(Vec::new());
    let pinned = selector(&scene);
    assert!(pinned["pod-template-hash"].is_string(), "{pinned}");
    let one = json!({"manifests": deployment("web", "{app: web}", 2)});
    for (kind, options) in [
        (&DeployManifest as &dyn StageType, one),
        (&PatchImage, json!({"workload": "web", "artifact": "web"})),
        (&Restart, json!({"workload": "web"})),
    ] {
        let end = plays(&mut scene, kind, options).await;
        assert!(reason(&end).starts_with("Service dev/web selects by `pod-template-hash`"), "{end:?}");
        assert!(reason(&end).ends_with("`divert-traffic` to one of the two first"), "{end:?}");
    }
    assert_eq!(selector(&scene), pinned);
    // With the Service in the manifests its selector is as it is written there.
    let both = [deployment("web", "{app: web}", 2), service("web", "{app: web}")].join("---\n");
    succeeded(&plays(&mut scene, &DeployManifest, json!({ "manifests": both })).await);
    assert_eq!(selector(&scene), json!({"app": "web"}));
    let mut scene = serving().await;
    deployed(&mut scene, &[deployment("web", "{app: web}", 2)]).await;
    succeeded(&plays(&mut scene, &StartWorkload, json!({"service": "web"})).await);
    let end = plays(&mut scene, &UndoRollout, json!({"workload": "web"})).await;
    assert!(reason(&end).starts_with("Service dev/web selects by `pod-template-hash`"), "{end:?}");
    succeeded(&plays(&mut scene, &DivertTraffic, json!({"service": "web", "to": "web"})).await);
    succeeded(&plays(&mut scene, &UndoRollout, json!({"workload": "web"})).await);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_shrinks_is_counted_first() {
    let scene = serving().await;
    let steps_of = json!([{"setWeight": 50}, {"replicas": 1}]);
    let end =
        scene.play(&Canary, "Act", json!({"workload": "web", "service": "web", "steps": steps_of})).await;
    succeeded(&end);
    let told = steps(&end);
    let fewer = told.iter().position(|step| *step == "Deployment dev/web-canary scaled to 1").unwrap();
    assert_eq!(told[fewer - 1], "Service dev/web keeps 3 of 4 ready endpoints");
}

/// A field of somebody else's is told before the canary takes its hours, not at its end.
#[tokio::test(start_paused = true)]
async fn a_conflict_at_promotion_is_told_before_the_canary_begins() {
    let mut scene = serving().await;
    let theirs = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"revisionHistoryLimit": 7}});
    scene.apply_as_kubectl("/apis/apps/v1/namespaces/dev/deployments/web", theirs.to_string()).await;
    let manifest =
        deployment("web", "{app: web}", 2).replace("  replicas:", "  revisionHistoryLimit: 3\n  replicas:");
    let mut options =
        json!({"workload": "web", "service": "web", "steps": [{"setWeight": 50}], "manifest": manifest});
    let end = plays(&mut scene, &Canary, options.clone()).await;
    assert!(reason(&end).contains("field .spec.revisionHistoryLimit is owned by \"kubectl\""), "{end:?}");
    assert!(scene.sim.get("Deployment", "dev", "web-canary").is_none());
    options["force"] = json!(true);
    succeeded(&plays(&mut scene, &Canary, options).await);
    assert_eq!(web(&scene)["spec"]["revisionHistoryLimit"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_share_that_an_autoscaler_would_undo_is_refused() {
    let mut scene = serving().await;
    deployed(&mut scene, &[SCALER.to_owned()]).await;
    let by = |percent: u32| json!({"workload": "web", "service": "web", "steps": [{ "setWeight": percent }]});
    let end = plays(&mut scene, &Canary, by(80)).await;
    assert!(
        reason(&end).starts_with(
            "`setWeight: 80` leaves 1 pods to the present version, and HorizontalPodAutoscaler dev/web keeps at least 2"
        ),
        "{end:?}"
    );
    succeeded(&plays(&mut scene, &Canary, by(50)).await);
}

#[tokio::test(start_paused = true)]
async fn the_new_version_gets_the_autoscaler_of_the_old_one_and_an_undo_gives_it_back() {
    let mut scene = serving().await;
    deployed(&mut scene, &[SCALER.to_owned()]).await;
    let scaler = |scene: &Scene, name: &str| {
        Some(scene.sim.get("HorizontalPodAutoscaler", "dev", name)?["spec"]["scaleTargetRef"]["name"].clone())
    };
    let end = plays(&mut scene, &BlueGreen, json!({"service": "web", "scaleDownDelay": "0s"})).await;
    succeeded(&end);
    assert_eq!((scaler(&scene, "web"), scaler(&scene, "web-v2")), (None, Some(json!("web-v2"))));
    undoes(&mut scene).await;
    assert_eq!((scaler(&scene, "web"), scaler(&scene, "web-v2")), (Some(json!("web")), None));
    assert_eq!(web(&scene)["status"]["readyReplicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_removed_takes_its_autoscaler_with_it_and_says_so() {
    let mut scene = Scene::new().await;
    deployed(&mut scene, &[deployment("web", "{app: web}", 2), SCALER.to_owned()]).await;
    let end = plays(&mut scene, &RemoveOldVersion, json!({"workload": "web", "drain": "0s"})).await;
    succeeded(&end);
    let note = "HorizontalPodAutoscaler dev/web goes with Deployment dev/web, which it scaled: what took its place needs one of its own";
    assert_eq!(end.output["notes"], json!([note]));
    assert!(scene.sim.get("HorizontalPodAutoscaler", "dev", "web").is_none());
}

/// An autoscaler may have made the target smaller since the switch was planned.
#[tokio::test(start_paused = true)]
async fn a_switch_waits_for_the_pods_that_there_are() {
    let mut scene = serving().await;
    deployed(&mut scene, &[deployment("web-v2", "{app: web, version: v2}", 5)]).await;
    let mut run: StageRun =
        halfway(&scene, &DivertTraffic, json!({"service": "web", "to": "web-v2"}), 1).await;
    let v2 = pilothouse_cluster::ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web-v2");
    scene.stage_cluster().await.scale(&v2, 3, &pilothouse_cluster::ApplyOptions::default()).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    for _ in 0..20 {
        match DivertTraffic.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap() {
            Observed::Ended(end) => {
                succeeded(&end);
                let last = steps(&end).last().copied();
                assert_eq!(last, Some("Service dev/web has 3 new and 0 old endpoints ready"));
                return;
            }
            Observed::Moved { action, .. } => run.action = action,
            Observed::Pending { .. } => {}
        }
    }
    panic!("it waits for pods that there are not");
}

/// X8: a route does not lead back to what does not run.
#[tokio::test(start_paused = true)]
async fn a_rollback_leads_no_traffic_to_a_service_without_endpoints() {
    let mut scene = Scene::new().await;
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\nspec:\n  rules:\n    \
        - backendRefs: [{name: web, port: 80, weight: 100}, {name: next, port: 80, weight: 0}]\n";
    let all = [
        deployment("web", "{app: web}", 2),
        deployment("next", "{app: next}", 2),
        service("web", "{app: web}"),
        service("next", "{app: next}"),
        route.to_owned(),
    ];
    deployed(&mut scene, &all).await;
    let to = json!({"httpRoute": "web", "stableService": "web", "canaryService": "next"});
    succeeded(&plays(&mut scene, &DivertTraffic, json!({ "route": to, "weight": 100 })).await);
    let old = pilothouse_cluster::ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
    let cluster = scene.stage_cluster().await;
    cluster.scale(&old, 0, &pilothouse_cluster::ApplyOptions::default()).await.unwrap();
    tokio::time::sleep_until(tokio::time::Instant::now() + std::time::Duration::from_secs(60)).await;
    let weight = |scene: &Scene| {
        scene.sim.get("HTTPRoute", "dev", "web").unwrap()["spec"]["rules"][0]["backendRefs"][0]["weight"]
            .clone()
    };
    scene.roll_back("Act");
    let end = scene.play(&Undo, "Undo Act", json!({ "stage": "Act" })).await;
    assert!(
        reason(&end)
            .contains("HTTPRoute dev/web would send traffic to Service dev/web, which has 0 ready endpoints"),
        "{end:?}"
    );
    assert_eq!(weight(&scene), 0);
    cluster.scale(&old, 2, &pilothouse_cluster::ApplyOptions::default()).await.unwrap();
    tokio::time::sleep_until(tokio::time::Instant::now() + std::time::Duration::from_secs(60)).await;
    scene.attempt.at.number += 1;
    let end = scene.play(&Undo, "Undo Act", json!({ "stage": "Act" })).await;
    succeeded(&end);
    assert_eq!(weight(&scene), 100);
}
