//! Versions beside each other, and the traffic between them.

use pilothouse_domain::stage::StageStatus;
use pilothouse_domain::traffic_guard::TrafficGuard;
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use super::{DIGEST, Scene};
use crate::stages::StageEnd;
use crate::stages::blue_green::BlueGreen;
use crate::stages::canary::Canary;
use crate::stages::deploy_manifest::DeployManifest;
use crate::stages::divert_traffic::DivertTraffic;
use crate::stages::remove_old_version::RemoveOldVersion;
use crate::stages::start_workload::StartWorkload;
use crate::stages::undo::Undo;

impl Scene {
    pub(super) async fn stage_cluster(&self) -> pilothouse_cluster::Cluster {
        self.test.context.clusters.get("default").await.unwrap()
    }
}

/// A Deployment with its labels, as a line of YAML.
pub(super) fn deployment(name: &str, labels: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {labels}}}\n  template:\n    metadata: {{labels: {labels}}}\n    \
         spec: {{containers: [{{name: web, image: shop/web}}]}}\n"
    )
}

pub(super) fn service(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {labels}, ports: [{{port: 80}}]}}\n"
    )
}

/// Deploys these objects, in an attempt of their own.
pub(super) async fn deployed(scene: &mut Scene, objects: &[String]) {
    let end = scene.play(&DeployManifest, "Before", json!({ "manifests": objects.join("---\n") })).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    scene.next("2.0.0");
}

/// `web` with two pods behind the Service `web`.
pub(super) async fn serving() -> Scene {
    let mut scene = Scene::new().await;
    deployed(&mut scene, &[deployment("web", "{app: web}", 2), service("web", "{app: web}")]).await;
    scene
}

pub(super) fn selector(scene: &Scene) -> Value {
    scene.sim.get("Service", "dev", "web").unwrap()["spec"]["selector"].clone()
}

fn reason(end: &StageEnd) -> &str {
    end.status.reason().unwrap_or_else(|| panic!("it did not fail: {end:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_version_is_started_beside_the_present_one_and_both_are_told() {
    let scene = serving().await;
    let end = scene.play(&StartWorkload, "Start", json!({"service": "web"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    let current = &end.output["current"];
    assert_eq!(
        (&current["name"], &current["version"], &current["type"]),
        (&json!("web-v2"), &json!("v2"), &json!("Deployment"))
    );
    assert_eq!(current["images"], json!([format!("registry.local/shop/web:2.0.0@{DIGEST}")]));
    assert_eq!(end.output["previous"]["name"], "web");
    assert_eq!(end.output["previous"]["images"], json!([format!("registry.local/shop/web:1.0.0@{DIGEST}")]));
}

#[tokio::test(start_paused = true)]
async fn the_three_stages_move_the_traffic_one_by_one() {
    let scene = serving().await;
    let end = scene.play(&StartWorkload, "Start", json!({"service": "web", "version": "2.0.0"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    let endpoints = scene.stage_cluster().await.endpoints("dev", Some("web")).await.unwrap();
    assert!(
        endpoints["web"].ready.iter().all(|pod| !pod.starts_with("web-2-0-0")),
        "it has no traffic yet: {endpoints:?}"
    );
    let end = scene.play(&DivertTraffic, "Divert", json!({"service": "web", "to": "web-2-0-0"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    insta::assert_json_snapshot!(end.output, @r#"
    {
      "service": "web",
      "from": "web",
      "to": "2.0.0",
      "namespace": "dev",
      "steps": [
        "Service dev/web keeps 2 of 2 ready endpoints",
        "Service dev/web sends its traffic to web-2-0-0",
        "Service dev/web has 2 new and 0 old endpoints ready"
      ]
    }
    "#);
    assert_eq!(selector(&scene), json!({"app": "web", "version": "2.0.0"}));
    let end = scene.play(&RemoveOldVersion, "Remove", json!({"workload": "web"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(end.output["workload"]["name"], "web");
    assert_eq!(scene.sim.get("Deployment", "dev", "web"), None);
}

#[tokio::test(start_paused = true)]
async fn a_version_without_ready_pods_gets_no_traffic() {
    let mut scene = serving().await;
    scene.sim.set_rules(vec![ImageRule::new("*2.0.0*", Behaviour::NeverReady { message: None })]);
    let next = "{app: web, version: v2}";
    let apply = scene.run(&DeployManifest, "Next", json!({"manifests": deployment("web-v2", next, 2)}));
    scene.begin(&DeployManifest, apply).await.unwrap().unwrap();
    let options = json!({"service": "web", "to": "web-v2"});
    let end = scene.play(&DivertTraffic, "Divert", options.clone()).await;
    assert!(
        reason(&end).contains("has 2 ready endpoints and would be left with 0, and at least 1 must stay"),
        "{end:?}"
    );
    assert_eq!(selector(&scene), json!({"app": "web"}));
    // Without the guard it is waited for, in vain.
    scene.release.spec.environments[0].traffic_guard = Some(TrafficGuard::Off);
    let run =
        scene.begin(&DivertTraffic, scene.run(&DivertTraffic, "Anyway", options)).await.unwrap().unwrap();
    assert!(run.progress.unwrap().starts_with("step 1 of 3: check that Service web keeps off ready"));
}

#[tokio::test(start_paused = true)]
async fn what_a_service_needs_is_not_removed() {
    let scene = serving().await;
    let end = scene.play(&RemoveOldVersion, "Remove", json!({"workload": "web", "drain": "0s"})).await;
    assert!(
        reason(&end).contains("Service dev/web has 2 ready endpoints and would be left with 0"),
        "{end:?}"
    );
    assert!(scene.sim.get("Deployment", "dev", "web").is_some());
}

#[tokio::test(start_paused = true)]
async fn blue_becomes_green_and_an_undo_makes_it_blue_again() {
    let mut scene = serving().await;
    let options = json!({"service": "web", "scaleDownDelay": "10s"});
    let end = scene.play(&BlueGreen, "Deploy", options).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!((&end.output["from"], &end.output["to"]), (&json!("web"), &json!("v2")));
    insta::assert_json_snapshot!(end.output["steps"], @r#"
    [
      "Service dev/web keeps its traffic at web",
      "Service dev/web has 2 new and 0 old endpoints ready",
      "Deployment dev/web-v2 applied",
      "Deployment dev/web-v2: 2 pods ready",
      "Service dev/web keeps 2 of 2 ready endpoints",
      "Service dev/web sends its traffic to web-v2",
      "Service dev/web has 2 new and 0 old endpoints ready",
      "no Service loses a ready endpoint",
      "10 s: connections to web drain",
      "no Service loses a ready endpoint",
      "Deployment dev/web scaled to 0",
      "Deployment dev/web: 0 pods ready",
      "Deployment dev/web deleted"
    ]
    "#);
    assert_eq!(selector(&scene), json!({"app": "web", "version": "v2"}));
    scene.roll_back("Deploy");
    let end = scene.play(&Undo, "Undo Deploy", json!({"stage": "Deploy"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(selector(&scene), json!({"app": "web"}));
    assert_eq!(scene.sim.get("Deployment", "dev", "web-v2"), None);
    assert_eq!(scene.sim.get("Deployment", "dev", "web").unwrap()["status"]["readyReplicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_somebody_else_made_is_not_written_over() {
    let scene = serving().await;
    let theirs = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-v2", "namespace": "dev"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "a", "image": "a"}]}}}});
    super::rollouts::post(&scene, "/apis/apps/v1/namespaces/dev/deployments", &theirs).await;
    let end = scene.play(&BlueGreen, "Deploy", json!({"service": "web"})).await;
    assert!(reason(&end).contains("Deployment dev/web-v2 exists and was not made by a release"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_new_version_is_refused_before_anything_is_changed() {
    let mut scene = serving().await;
    let refused = async |scene: &Scene, options: Value| {
        let end = scene.play(&BlueGreen, "Deploy", options).await;
        reason(&end).to_owned()
    };
    let long = "x".repeat(62);
    let long = refused(&scene, json!({"service": "web", "version": long})).await;
    let slash = refused(&scene, json!({"service": "web", "version": "a/b"})).await;
    scene.release.artifacts[0].image = "registry.local/shop/other".to_owned();
    let other = refused(&scene, json!({"service": "web"})).await;
    insta::assert_snapshot!([long, slash, other].join("\n"), @r#"
    `web-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is too long for a workload: shorten its name, or give a shorter `version`
    `a/b` cannot be a label: a version has letters, digits, `-`, `_`, `.`, at most 63
    no container of Deployment dev/web uses an image of the release, so a copy would be the same again; its images are registry.local/shop/web:1.0.0@sha256:0000000000000000000000000000000000000000000000000000000000000001
    "#);
    assert_eq!(scene.sim.list("Deployment", "dev").len(), 1);
}

/// X8: while the old version is not ready again, the new one keeps the traffic.
#[tokio::test(start_paused = true)]
async fn an_undo_moves_no_traffic_to_what_does_not_run() {
    let mut scene = serving().await;
    let end = scene.play(&BlueGreen, "Deploy", json!({"service": "web", "scaleDownDelay": "0s"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    scene.sim.set_rules(vec![ImageRule::new("*:1.0.0@*", Behaviour::crash_loop("its database is gone"))]);
    scene.roll_back("Deploy");
    let end = scene.play(&Undo, "Undo Deploy", json!({"stage": "Deploy"})).await;
    assert!(reason(&end).contains("its database is gone"), "{end:?}");
    assert_eq!(selector(&scene), json!({"app": "web", "version": "v2"}));
    assert_eq!(scene.sim.get("Deployment", "dev", "web-v2").unwrap()["status"]["readyReplicas"], 2);
}

/// X8: what the release put in the place of a version that somebody has deleted since is not taken away.
#[tokio::test(start_paused = true)]
async fn an_undo_that_would_leave_a_service_without_pods_is_refused_with_the_numbers() {
    let mut scene = serving().await;
    scene.play(&StartWorkload, "Start", json!({"service": "web"})).await;
    let undone = scene.attempt.at.clone();
    scene.next("2.0.0");
    scene.play(&DivertTraffic, "Divert", json!({"service": "web", "to": "web-v2"})).await;
    scene.next("2.0.0");
    scene.play(&RemoveOldVersion, "Remove", json!({"workload": "web", "drain": "0s"})).await;
    scene.attempt.at = undone;
    scene.roll_back("Start");
    scene.attempt.at.number += 10;
    let end = scene.play(&Undo, "Undo Start", json!({"stage": "Start"})).await;
    let told = reason(&end);
    assert!(told.contains("Service dev/web has 2 ready endpoints and would be left with 0"), "{told}");
    assert!(told.ends_with("and the rest serves on as it is"), "{told}");
    assert_eq!(scene.sim.get("Deployment", "dev", "web-v2").unwrap()["status"]["readyReplicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_canary_by_pods_adds_before_it_takes_away() {
    let scene = serving().await;
    let steps = json!([{"setWeight": 50}, {"pause": "5s"}, {"setWeight": 100}]);
    let end =
        scene.play(&Canary, "Deploy", json!({"workload": "web", "service": "web", "steps": steps})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    let image = format!("registry.local/shop/web:2.0.0@{DIGEST}");
    insta::assert_json_snapshot!(end.output["steps"], @r#"
    [
      "Deployment dev/web-canary applied",
      "Deployment dev/web-canary: 2 pods ready",
      "5 s: a look at web-canary at 50 %",
      "Deployment dev/web-canary: 2 pods ready",
      "Service dev/web keeps 2 of 4 ready endpoints",
      "Deployment dev/web scaled to 0",
      "Deployment dev/web: 0 pods ready",
      "put registry.local/shop/web:2.0.0@sha256:0000000000000000000000000000000000000000000000000000000000000001 into Deployment dev/web",
      "Deployment dev/web scaled to 2",
      "Deployment dev/web: 2 pods ready",
      "Service dev/web keeps 2 of 4 ready endpoints",
      "Deployment dev/web-canary scaled to 0",
      "Deployment dev/web-canary: 0 pods ready",
      "Deployment dev/web-canary deleted"
    ]
    "#);
    assert_eq!(end.output["workload"]["images"], json!([image]));
    let live = scene.sim.get("Deployment", "dev", "web").unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], json!(image));
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(scene.sim.get("Deployment", "dev", "web-canary"), None);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_crashes_leaves_the_present_version_alone() {
    let crash = ImageRule::new("*:2.0.0@*", Behaviour::crash_loop("no database"));
    let mut scene = serving().await;
    scene.sim.set_rules(vec![crash]);
    let steps = json!([{"setWeight": 50}]);
    let end =
        scene.play(&Canary, "Deploy", json!({"workload": "web", "service": "web", "steps": steps})).await;
    assert!(reason(&end).contains("no database"), "{end:?}");
    assert_eq!(scene.sim.get("Deployment", "dev", "web").unwrap()["status"]["readyReplicas"], 2);
    scene.roll_back("Deploy");
    let end = scene.play(&Undo, "Undo Deploy", json!({"stage": "Deploy"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(scene.sim.get("Deployment", "dev", "web-canary"), None);
}

/// Two versions may carry the same labels: the guard counts those of the workload that goes, and no others.
#[tokio::test(start_paused = true)]
async fn the_pods_of_a_workload_are_those_it_controls() {
    let mut scene = Scene::new().await;
    let all = [
        deployment("web", "{app: web}", 2),
        deployment("web-v2", "{app: web, version: v2}", 3),
        service("web", "{app: web}"),
    ];
    deployed(&mut scene, &all).await;
    let end = scene.play(&RemoveOldVersion, "Remove", json!({"workload": "web", "drain": "0s"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!(end.output["steps"][0], "Service dev/web keeps 3 of 5 ready endpoints");
}

/// T15: a share is of those ready now, and each Service counts for itself.
#[tokio::test(start_paused = true)]
async fn a_service_that_keeps_too_small_a_share_refuses_for_all() {
    let mut scene = Scene::new().await;
    let all = [
        deployment("web", "{app: web, tier: front}", 3),
        deployment("api", "{app: api, tier: front}", 1),
        service("front", "{tier: front}"),
        service("api", "{app: api}"),
    ];
    deployed(&mut scene, &all).await;
    scene.release.spec.environments[0].traffic_guard = Some(TrafficGuard::Percent(50));
    let end = scene.play(&RemoveOldVersion, "Remove", json!({"workload": "web", "drain": "0s"})).await;
    assert!(
        reason(&end).contains(
            "Service dev/front has 4 ready endpoints and would be left with 1, and at least 2 must stay"
        ),
        "{end:?}"
    );
    let end = scene.play(&RemoveOldVersion, "Remove api", json!({"workload": "api", "drain": "0s"})).await;
    assert!(
        reason(&end).contains("Service dev/api has 1 ready endpoints and would be left with 0"),
        "{end:?}"
    );
}
