use std::time::Duration;

use pilothouse_cluster::{ObserveOptions, Watched};
use pilothouse_sim_cluster::Fault;
use tokio::time::Instant;

use crate::support::{Scene, manifests, objects, options, shop, web};

#[tokio::test(start_paused = true)]
async fn passing_troubles_are_repeated_away() {
    for code in [429, 500, 503, 504] {
        let scene = Scene::new().await;
        scene.sim.inject(Fault::status(code).times(3));
        scene.apply(&shop("1.0.0")).await;
        assert!(scene.sim.get("Deployment", "dev", "web").is_some(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leads_to_the_same_end() {
    let scene = Scene::new().await;
    scene.sim.inject(Fault::lose_answer().on_writes().times(2));
    scene.apply(&shop("1.0.0")).await;
    let before = scene.cluster.snapshot(&objects(&manifests(&shop("1.0.0")))).await.unwrap();
    scene.apply(&shop("1.1.0")).await;
    scene.sim.inject(Fault::lose_answer().on_writes().times(3));
    scene.cluster.restore(&before, &Default::default()).await.unwrap();
    assert_eq!(scene.cluster.verify(&before).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn somebody_who_writes_in_the_same_moment_is_no_failure() {
    let scene = Scene::new().await;
    scene.sim.inject(Fault::status(409).on_writes().times(2));
    scene.apply(&shop("1.0.0")).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_stays_down_is_told_within_half_a_minute() {
    let scene = Scene::new().await;
    scene.sim.set_down(true);
    let start = Instant::now();
    let error = scene.cluster.apply(&manifests(&shop("1.0.0")), &options("dep_1")).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.code(), "ClusterUnavailable");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_cluster_is_a_timeout() {
    let scene = Scene::new().await;
    scene.sim.inject(Fault::delay(Duration::from_secs(3600)).times(100));
    let error = scene.cluster.ping().await.unwrap_err();
    assert_eq!(error.code(), "ClusterTimeout");
}

#[tokio::test(start_paused = true)]
async fn an_address_where_nobody_listens_is_unreachable() {
    let refused = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::from(
            std::io::ErrorKind::ConnectionRefused,
        ))
    });
    let cluster = pilothouse_cluster::Cluster::new(kube::Client::new(refused, "default"));
    let error = cluster.ping().await.unwrap_err();
    assert_eq!(error.code(), "ClusterUnreachable");
    assert!(error.to_string().starts_with("ask for the version"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn observing_outlives_a_cluster_that_is_away_for_a_while() {
    let scene = Scene::new().await;
    let applied = scene.apply(&shop("1.0.0")).await;
    scene.sim.set_down(true);
    let sim = scene.sim.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(8)).await;
        sim.set_down(false);
    });
    let rollout = scene.observe(&applied, 60).await;
    assert!(matches!(rollout, pilothouse_cluster::Rollout::Ready { .. }), "{rollout:?}");
}

#[tokio::test(start_paused = true)]
async fn observing_a_cluster_that_stays_away_says_so() {
    let scene = Scene::new().await;
    let applied = scene.apply(&shop("1.0.0")).await;
    scene.sim.set_down(true);
    let watched = [Watched { object: web(), generation: applied.last().unwrap().generation }];
    let options = ObserveOptions::new(Duration::from_secs(25), scene.now());
    let error = scene.cluster.observe(&watched, &options).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}
