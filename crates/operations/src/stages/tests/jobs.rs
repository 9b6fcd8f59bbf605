//! Running a Job to its end.

use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::StageStatus;
use pilothouse_sim_cluster::{Behaviour, Fault, ImageRule};
use serde_json::{Value, json};

use super::workloads::{reason, undo};
use super::{DIGEST, Scene};
use crate::stages::run_job::RunJob;
use crate::stages::{Begun, Observed, StageEnd, StageType};

fn options(more: &Value) -> Value {
    let manifest = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, \
         containers: [{name: migrate, image: shop/web}]}}}\n";
    let mut options = json!({ "manifest": manifest, "requiredArtifacts": ["web"] });
    options.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    options
}

fn jobs(scene: &Scene) -> Vec<Value> {
    scene.sim.list("Job", "dev")
}

/// Plays the stage with every step called twice, as if each answer were lost once.
async fn twice(scene: &Scene, options: Value) -> StageEnd {
    let mut run = match scene.begin(&RunJob, scene.run(&RunJob, "Act", options)).await.unwrap() {
        Ok(run) => run,
        Err(end) => return end,
    };
    let Begun::Observe { action, .. } = RunJob.begin(&scene.stage(&run)).await.unwrap() else {
        panic!("it is watched")
    };
    run.action = action;
    for _ in 0..200 {
        let _lost = RunJob.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap();
        match RunJob.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap() {
            Observed::Ended(end) => return end,
            Observed::Pending { .. } => {}
            Observed::Moved { action, .. } => run.action = action,
        }
    }
    panic!("the Job does not come to an end")
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_once_with_the_artifact_by_digest_and_goes_after_its_time() {
    let scene = Scene::new().await;
    let end = twice(&scene, options(&json!({"logs": "always", "ttl": "10m"}))).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    let all = jobs(&scene);
    assert_eq!(all.len(), 1, "{all:#?}");
    let job = &all[0];
    assert!(job["metadata"]["name"].as_str().unwrap().starts_with("migrate-"));
    let image = &job["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &json!(format!("registry.local/shop/web:1.0.0@{DIGEST}")));
    assert_eq!(
        (&job["spec"]["activeDeadlineSeconds"], &job["spec"]["ttlSecondsAfterFinished"]),
        (&json!(3600), &json!(600))
    );
    assert_eq!(
        (&end.output["outcome"], &end.output["cleanUp"]),
        (&json!("succeeded"), &json!("the cluster deletes it 10m after its end"))
    );
    assert!(end.output["logs"].as_str().unwrap().contains("started"), "{end:?}");
    assert_eq!(end.output["logsOf"]["container"], "migrate");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_keeps_its_logs_and_its_undo_deletes_it() {
    let mut scene = Scene::with_rules([ImageRule::new("*", Behaviour::crash_loop("no such column"))]).await;
    let end = twice(&scene, options(&json!({}))).await;
    assert!(
        reason(&end).contains("BackoffLimitExceeded") || reason(&end).contains("no such column"),
        "{end:?}"
    );
    assert!(end.output["logs"].as_str().unwrap().contains("no such column"), "{end:?}");
    assert_eq!(end.output["outcome"], "failed");
    assert_eq!(jobs(&scene).len(), 1);
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert!(jobs(&scene).is_empty());
}

/// It would go on trying; nobody would look.
#[tokio::test(start_paused = true)]
async fn a_job_whose_pods_cannot_start_is_deleted_and_the_reason_says_so() {
    let scene = Scene::with_rules([ImageRule::new("*", Behaviour::ErrImagePull { message: None })]).await;
    let end = twice(&scene, options(&json!({}))).await;
    assert!(
        reason(&end).contains("ImagePull") && reason(&end).ends_with("it is gone")
            || reason(&end).ends_with("it was deleted"),
        "{end:?}"
    );
    assert!(jobs(&scene).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_deletes_the_job_and_says_so_also_when_its_start_was_not_recorded() {
    let scene = Scene::with_rules([ImageRule::new("*", Behaviour::NeverReady { message: None })]).await;
    let run = scene.begin(&RunJob, scene.run(&RunJob, "Act", options(&json!({})))).await.unwrap().unwrap();
    let lost = pilothouse_domain::stage::StageRun { action: Value::Null, has_snapshot: true, ..run };
    let left = RunJob.cancel(&scene.stage(&lost)).await.unwrap().unwrap();
    assert!(left.contains("was deleted, and its pods are being ended"), "{left}");
    assert!(jobs(&scene).is_empty());
    let again = RunJob.cancel(&scene.stage(&lost)).await.unwrap().unwrap();
    assert!(again.starts_with("there was no Job dev/migrate-"), "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_job_is_tried_again_on_conflicts_and_a_denial_is_told() {
    let scene = Scene::new().await;
    scene.sim.inject(Fault::status(409).on_writes().times(2));
    assert_eq!(twice(&scene, options(&json!({"ttl": "0s"}))).await.status, StageStatus::Succeeded);
    assert!(jobs(&scene).is_empty(), "it is deleted at once");
    let mut scene = scene;
    scene.next("1.0.0");
    scene.sim.inject(Fault::status(403).on_writes());
    let end = twice(&scene, options(&json!({}))).await;
    assert!(reason(&end).contains("the cluster denies it"), "{end:?}");
}
