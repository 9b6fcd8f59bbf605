use std::time::Duration;

use pilothouse_cluster::{ObserveOptions, Rollout, Watched};
use pilothouse_sim_cluster::{Behaviour, Fault, ImageRule, RequestRecord};
use serde_json::json;

use crate::support::{Scene, apply_as, shop, web};

#[tokio::test(start_paused = true)]
async fn a_watch_that_fell_behind_reads_again_from_the_start() {
    let scene = Scene::with_history(2).await;
    let applied = scene.apply(&shop("1.0.0")).await;
    // The list of pods and the opening of their watch both take their time; meanwhile history goes on without them.
    scene.sim.inject(Fault::delay(Duration::from_millis(800)).on_path("*/pods").times(2));
    let rollout = scene.observe(&applied, 120).await;
    assert!(matches!(rollout, Rollout::Ready { .. }), "{rollout:?}");
    let requests = scene.sim.requests();
    let is_list = |r: &&RequestRecord| r.path.ends_with("/pods") && !r.query.contains("watch=true");
    assert!(requests.iter().filter(is_list).count() > 1, "no watch was too old, so this test shows nothing");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_takes_longer_than_a_watch_lives_is_followed_to_its_end() {
    let scene = Scene::with_rules([ImageRule::new(
        "*/shop/web:*",
        Behaviour::Ready { after: Some(Duration::from_secs(400)) },
    )])
    .await;
    let applied = scene.apply(&shop("1.0.0")).await;
    let rollout = scene.observe(&applied, 3600).await;
    assert!(matches!(rollout, Rollout::Ready { .. }), "{rollout:?}");
}

#[tokio::test(start_paused = true)]
async fn watching_does_not_poll() {
    let scene =
        Scene::with_rules([ImageRule::new("*/shop/web:*", Behaviour::NeverReady { message: None })]).await;
    let applied = scene.apply(&shop("1.0.0")).await;
    scene.sim.clear_requests();
    scene.observe(&applied, 200).await;
    let requests = scene.sim.requests();
    assert!(requests.len() < 20, "{}: {requests:#?}", requests.len());
    assert!(requests.iter().all(|request| request.method == "GET"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_for_load_is_opened_when_the_server_has_said() {
    let slow = Behaviour::Ready { after: Some(Duration::from_secs(30)) };
    let scene = Scene::with_rules([ImageRule::new("*/shop/web:*", slow)]).await;
    let applied = scene.apply(&shop("1.0.0")).await;
    scene.sim.inject(Fault::throttle(9).on_verb("watch").on_resource("pods"));
    scene.sim.clear_requests();
    scene.observe(&applied, 120).await;
    let requests = scene.sim.requests();
    let opened: Vec<_> = requests.iter().filter(|r| r.verb == "watch" && r.resource == "pods").collect();
    assert_eq!((opened[0].status, opened[1].status), (429, 200));
    let waited = opened[1].at.duration_since(opened[0].at);
    assert!(waited >= jiff::SignedDuration::from_secs(9), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_by_somebody_else_is_waited_for_too() {
    let scene = Scene::new().await;
    let applied = scene.apply(&shop("1.0.0")).await;
    let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 5}});
    apply_as(&scene.sim, "scaler", "/apis/apps/v1/namespaces/dev/deployments/web", &scaled).await;
    let rollout = scene.observe(&applied, 120).await;
    assert_eq!(rollout, Rollout::Ready { summary: "Deployment dev/web: 5 pods ready".into() });
}

#[tokio::test(start_paused = true)]
async fn kinds_without_pods_are_ready_at_once() {
    let scene = Scene::new().await;
    let applied = scene.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").await;
    let rollout = scene.observe(&applied, 120).await;
    assert_eq!(rollout, Rollout::Ready { summary: "nothing to wait for".into() });
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_was_never_there_has_failed() {
    let scene = Scene::new().await;
    let watched = [Watched { object: web(), generation: 1 }];
    let options = ObserveOptions::new(Duration::from_secs(25), scene.now());
    let rollout = scene.cluster.observe(&watched, &options).await.unwrap();
    let Rollout::Failed { evidence, .. } = &rollout else { panic!("{rollout:?}") };
    assert_eq!(evidence.workload, web());
}
