use std::time::Duration;

use pilothouse_cluster::{FailureReason, Rehearsal, ReportOptions, Rollout};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Scene, manifests, options, shop, web};

const LIMIT: Duration = Duration::from_secs(20);

/// Rolls out 1.0.0, which is fine, then 1.1.0, and observes that.
async fn second_release(behaviour: Behaviour) -> (Scene, Rollout, Duration) {
    let scene = Scene::with_rules([ImageRule::new("*/shop/web:1.1.0", behaviour)]).await;
    let applied = scene.apply(&shop("1.0.0")).await;
    let ready = scene.observe(&applied, 120).await;
    assert!(matches!(ready, Rollout::Ready { .. }), "{ready:?}");
    let applied = scene.apply(&shop("1.1.0")).await;
    let start = Instant::now();
    let rollout = scene.observe(&applied, 120).await;
    (scene, rollout, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_healthy_version_becomes_ready() {
    let scene = Scene::new().await;
    let applied = scene.apply(&shop("1.0.0")).await;
    let start = Instant::now();
    let rollout = scene.observe(&applied, 120).await;
    assert_eq!(rollout, Rollout::Ready { summary: "Deployment dev/web: 2 pods ready".into() });
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    // Asked again, it says so at once.
    let start = Instant::now();
    assert!(matches!(scene.observe(&applied, 120).await, Rollout::Ready { .. }));
    assert!(start.elapsed() < Duration::from_millis(100));
    let instances = scene.cluster.instances(&web()).await.unwrap();
    assert_eq!(instances.len(), 2);
    assert!(
        instances.iter().all(|i| i.ready && i.status == "Running" && i.pod_ip.is_some() && i.node.is_some())
    );
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out_is_no_failure() {
    let scene = Scene::new().await;
    let applied = scene.apply(&shop("1.0.0")).await;
    let options = pilothouse_cluster::ObserveOptions::new(Duration::from_millis(300), scene.now());
    let watched =
        [pilothouse_cluster::Watched { object: web(), generation: applied.last().unwrap().generation }];
    let start = Instant::now();
    let cluster = scene.cluster.clone();
    // In a task of its own, as a server would.
    let rollout =
        tokio::spawn(async move { cluster.observe(&watched, &options).await }).await.unwrap().unwrap();
    let Rollout::Progressing { summary, .. } = rollout else { panic!("{rollout:?}") };
    assert!(summary.starts_with("Deployment dev/web: "), "{summary}");
    assert!(start.elapsed() <= Duration::from_millis(400), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_told_within_seconds_with_its_event() {
    let (scene, rollout, elapsed) = second_release(Behaviour::crash_loop("no database")).await;
    let Rollout::Failed { reason, evidence } = &rollout else { panic!("{rollout:?}") };
    assert_eq!(*reason, FailureReason::CrashLoop);
    assert_eq!((evidence.reason.as_str(), evidence.exit_code), ("CrashLoopBackOff", Some(1)));
    assert_eq!(evidence.container.as_deref(), Some("web"));
    assert!(evidence.image.as_deref().unwrap().contains("shop/web:1.1.0"));
    assert!(evidence.node.is_some());
    let event = evidence.event.as_ref().expect("an event proves it");
    assert_eq!((event.component.as_str(), event.reason.as_str()), ("kubelet", "BackOff"));
    assert!(rollout.summary().contains("no database"), "{}", rollout.summary());
    assert!(elapsed < LIMIT, "{elapsed:?}");
    let log = evidence.log.as_ref().expect("its log is kept");
    assert_eq!((log.container.as_str(), log.note.as_deref()), ("web", None));
    assert_eq!(log.lines.last().map(String::as_str), Some("no database"));
    // The previous version still serves, and the events can be listed.
    assert!(scene.cluster.instances(&web()).await.unwrap().iter().filter(|i| i.ready).count() >= 1);
    let report = scene.cluster.report(&web(), &ReportOptions::default()).await.unwrap().unwrap();
    assert!(report.events.iter().any(|e| e.reason == "BackOff" && e.component == "kubelet"));
    let broken = &report.instances[0];
    assert_eq!((broken.newest, broken.status.as_str()), (Some(true), "CrashLoopBackOff"));
    assert!(broken.restarts > 0 && broken.containers[0].digest.is_some(), "{broken:?}");
    assert!(report.instances.iter().any(|i| i.newest == Some(false) && i.ready));
    assert_eq!((report.replicas.wanted, report.left_out.len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_told_within_seconds_with_its_event() {
    let (_, rollout, elapsed) = second_release(Behaviour::ErrImagePull { message: None }).await;
    let Rollout::Failed { reason, evidence } = &rollout else { panic!("{rollout:?}") };
    assert_eq!(*reason, FailureReason::ImagePull);
    let event = evidence.event.as_ref().expect("an event proves it");
    assert_eq!(event.reason, "Failed");
    assert!(event.message.contains("Failed to pull image"), "{event:?}");
    assert!(elapsed < LIMIT + Duration::from_secs(10), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_is_told_within_seconds() {
    let scene = Scene::new().await;
    let text =
        shop("1.0.0").replace("ports: [{containerPort: 8080}]", "envFrom: [{configMapRef: {name: nowhere}}]");
    let applied = scene.apply(&text).await;
    let start = Instant::now();
    let rollout = scene.observe(&applied, 120).await;
    let Rollout::Failed { reason, evidence } = &rollout else { panic!("{rollout:?}") };
    assert_eq!(*reason, FailureReason::ContainerConfig);
    assert!(evidence.to_string().contains("nowhere"), "{evidence}");
    assert!(start.elapsed() < LIMIT);
}

#[tokio::test(start_paused = true)]
async fn memory_that_runs_out_is_told_as_such() {
    let (_, rollout, _) = second_release(Behaviour::OomKilled { after: Duration::from_secs(1) }).await;
    let Rollout::Failed { reason, evidence } = &rollout else { panic!("{rollout:?}") };
    assert_eq!((*reason, evidence.exit_code), (FailureReason::OutOfMemory, Some(137)));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_ready_although_the_bad_pods_crashed() {
    let rule = ImageRule::new("*/shop/web:1.1.0", Behaviour::crash_loop("no database"));
    let scene = Scene::with_rules([rule]).await;
    let applied = scene.apply(&shop("1.0.0")).await;
    scene.observe(&applied, 120).await;
    let taken = scene.cluster.snapshot(&[web()]).await.unwrap();
    let applied = scene.apply(&shop("1.1.0")).await;
    assert!(matches!(scene.observe(&applied, 120).await, Rollout::Failed { .. }));
    let restored = scene.cluster.restore(&taken, &Default::default()).await.unwrap();
    let watched = [pilothouse_cluster::Watched { object: web(), generation: restored[0].generation }];
    let options = pilothouse_cluster::ObserveOptions::new(Duration::from_secs(60), scene.now());
    let rollout = scene.cluster.observe(&watched, &options).await.unwrap();
    assert!(matches!(rollout, Rollout::Ready { .. }), "{rollout:?}");
    assert_eq!(scene.cluster.verify(&taken).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_gets_ready_is_named_while_it_is_waited_for() {
    let (_, rollout, elapsed) = second_release(Behaviour::NeverReady { message: None }).await;
    let Rollout::Progressing { summary, waiting } = &rollout else { panic!("{rollout:?}") };
    assert!(summary.contains("waiting for web-"), "{summary}");
    assert!(waiting.as_ref().unwrap().pod.is_some());
    assert_eq!(elapsed.as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_was_exceeded_before_a_change_is_no_verdict_on_it() {
    let never = Behaviour::NeverReady { message: Some("HTTP 503".into()) };
    let scene = Scene::with_rules([ImageRule::new("*/shop/web:*", never)]).await;
    let text = shop("1.0.0").replace("  replicas: 2", "  progressDeadlineSeconds: 20\n  replicas: 2");
    let applied = scene.apply(&text).await;
    let fails = |rollout: &Rollout| {
        matches!(rollout, Rollout::Failed { reason: FailureReason::ProgressDeadlineExceeded, .. })
    };
    let failed = scene.observe(&applied, 120).await;
    assert!(fails(&failed), "{failed:?}");
    // The controller writes the new generation, with the condition as it was: nothing comes of this change.
    let fields = json!({"spec": {"revisionHistoryLimit": 3}});
    let changed = scene.cluster.set_fields(&web(), &options("dep_2"), &fields).await.unwrap();
    let start = Instant::now();
    let rollout = scene.observe(&[changed], 120).await;
    assert!(fails(&rollout), "{rollout:?}");
    let deadline = Duration::from_secs(19)..Duration::from_secs(24);
    assert!(deadline.contains(&start.elapsed()), "{:?}", start.elapsed());
    let scaled = scene.cluster.scale(&web(), 0, &options("dep_3")).await.unwrap();
    let rollout = scene.observe(&[scaled], 120).await;
    assert_eq!(rollout, Rollout::Ready { summary: "Deployment dev/web: 0 pods ready".into() });
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_and_is_deployed_once_more_fails_within_seconds_again() {
    for (behaviour, reason) in [
        (Behaviour::crash_loop("no database"), FailureReason::CrashLoop),
        (Behaviour::ErrImagePull { message: None }, FailureReason::ImagePull),
    ] {
        let (scene, rollout, _) = second_release(behaviour).await;
        assert!(matches!(rollout, Rollout::Failed { .. }), "{rollout:?}");
        // By then the back-off has grown to minutes.
        tokio::time::sleep(Duration::from_secs(1200)).await;
        let applied = scene.cluster.apply(&manifests(&shop("1.1.0")), &options("dep_9")).await.unwrap();
        let start = Instant::now();
        let rollout = scene.observe(&applied, 600).await;
        let Rollout::Failed { reason: found, .. } = &rollout else { panic!("{rollout:?}") };
        assert_eq!(*found, reason);
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_workload_deleted_while_it_is_watched_has_failed() {
    let scene = Scene::new().await;
    let absent = scene.cluster.snapshot(&[web()]).await.unwrap();
    let applied = scene.apply(&shop("1.0.0")).await;
    let cluster = scene.cluster.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.restore(&absent, &Default::default()).await.unwrap();
    });
    let rollout = scene.observe(&applied, 60).await;
    let Rollout::Failed { reason, .. } = &rollout else { panic!("{rollout:?}") };
    assert_eq!(*reason, FailureReason::Missing);
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_returns_although_a_broken_pod_holds_it_up() {
    let rule = ImageRule::new("*/shop/db:2", Behaviour::crash_loop("bad index"));
    let scene = Scene::with_rules([rule]).await;
    let text = |version: u32| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  replicas: 2\n  serviceName: db\n  \
             selector: {{matchLabels: {{app: db}}}}\n  template:\n    metadata: {{labels: {{app: db}}}}\n    \
             spec: {{containers: [{{name: db, image: 'registry.local/shop/db:{version}'}}]}}\n"
        )
    };
    let applied = scene.apply(&text(1)).await;
    let ready = scene.observe(&applied, 120).await;
    assert!(matches!(ready, Rollout::Ready { .. }), "{ready:?}");
    let taken = scene.cluster.snapshot(&[applied[0].object.clone()]).await.unwrap();
    let applied = scene.apply(&text(2)).await;
    let failed = scene.observe(&applied, 120).await;
    let Rollout::Failed { reason, .. } = &failed else { panic!("{failed:?}") };
    assert_eq!(*reason, FailureReason::CrashLoop);
    // A rehearsal waits for no controller, which it never tells of anything.
    let rehearsal = Rehearsal::default();
    let start = Instant::now();
    let live = scene.cluster.get(&applied[0].object).await.unwrap().unwrap();
    let revisions = scene.cluster.revisions(&applied[0].object, &live).await.unwrap();
    let template = &revisions[1].template;
    let would = scene.cluster.rehearsing(&rehearsal);
    would.set_template(&applied[0].object, template, &options("dep_2")).await.unwrap();
    would.restore(&taken, &Default::default()).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(rehearsal.writes().iter().all(|write| write.object.kind == "StatefulSet"));

    let restored = scene.cluster.restore(&taken, &Default::default()).await.unwrap();
    let watched = [pilothouse_cluster::Watched {
        object: applied[0].object.clone(),
        generation: restored[0].generation,
    }];
    let options = pilothouse_cluster::ObserveOptions::new(Duration::from_secs(120), scene.now());
    let rollout = scene.cluster.observe(&watched, &options).await.unwrap();
    assert!(matches!(rollout, Rollout::Ready { .. }), "{rollout:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_is_watched_to_its_end() {
    let rule = ImageRule::new(
        "*/bad:1",
        Behaviour::CrashLoop {
            exit_code: 3,
            after: Duration::from_secs(1),
            message: Some("cannot migrate".into()),
        },
    );
    let scene = Scene::with_rules([rule]).await;
    let job = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {image}}}\nspec:\n  backoffLimit: 0\n  template:\n    \
             spec: {{restartPolicy: Never, containers: [{{name: migrate, image: 'registry.local/{image}:1'}}]}}\n"
        )
    };
    let applied = scene.apply(&job("good")).await;
    let rollout = scene.observe(&applied, 120).await;
    assert_eq!(rollout, Rollout::Ready { summary: "Job dev/good: completed".into() });
    let applied = scene.apply(&job("bad")).await;
    let rollout = scene.observe(&applied, 120).await;
    let Rollout::Failed { reason, evidence } = &rollout else { panic!("{rollout:?}") };
    assert_eq!(*reason, FailureReason::JobFailed);
    assert_eq!(evidence.exit_code, Some(3), "{evidence:?}");
}
