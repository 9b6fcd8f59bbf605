//! Scaling, restarting, stopping and starting workloads (T44, N5).

use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_sim_cluster::{Behaviour, Fault, ImageRule};
use serde_json::{Value, json};

use super::Scene;
use crate::stages::deploy_manifest::DeployManifest;
use crate::stages::restart::Restart;
use crate::stages::scale::Scale;
use crate::stages::start::Start;
use crate::stages::stop::Stop;
use crate::stages::undo::Undo;
use crate::stages::{Begun, Observed, StageEnd, StageType};

/// A workload of three pods behind a Service.
pub(super) fn manifests(kind: &str) -> String {
    let more = if kind == "StatefulSet" { "serviceName: web, " } else { "" };
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web}}\nspec: {{{more}replicas: 3, \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
         spec: {{containers: [{{name: web, image: 'shop/web:1'}}]}}}}}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
    )
}

fn cron(suspend: bool) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly}}\nspec: {{schedule: '0 3 * * *', suspend: {suspend}, \
         jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: a, image: 'a:1'}}]}}}}}}}}}}\n"
    )
}

/// The autoscaler of Deployment web: 2 to 10 pods.
pub(super) const SCALER: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec: {minReplicas: 2, maxReplicas: 10, \
     scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, \
     metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}\n";

pub(super) async fn deployed(kind: &str) -> Scene {
    let mut scene = Scene::new().await;
    deploy(&mut scene, &manifests(kind)).await;
    scene
}

/// Deploys it, in an attempt of its own.
pub(super) async fn deploy(scene: &mut Scene, manifests: &str) {
    let end = scene.play(&DeployManifest, "Deploy", json!({ "manifests": manifests })).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    scene.next("1.0.0");
}

fn replicas(scene: &Scene, kind: &str) -> Value {
    scene.sim.get(kind, "dev", "web").unwrap()["spec"]["replicas"].clone()
}

pub(super) fn pods(scene: &Scene) -> usize {
    scene.sim.list("Pod", "dev").len()
}

pub(super) fn steps(end: &StageEnd) -> Vec<&str> {
    end.output["steps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn reason(end: &StageEnd) -> &str {
    end.status.reason().unwrap_or_else(|| panic!("it did not fail: {end:?}"))
}

/// Plays the stage with everything carried out twice: as if the process died after each step, before it was recorded.
pub(super) async fn twice(scene: &Scene, kind: &dyn StageType, options: Value) -> StageEnd {
    let mut run = match scene.begin(kind, scene.run(kind, "Act", options)).await.unwrap() {
        Ok(run) => run,
        Err(end) => return end,
    };
    let Begun::Observe { action, .. } = kind.begin(&scene.stage(&run)).await.unwrap() else {
        panic!("it is watched")
    };
    run.action = action;
    for _ in 0..200 {
        let _lost = kind.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap();
        match kind.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap() {
            Observed::Ended(end) => return end,
            Observed::Pending { .. } => {}
            Observed::Moved { action, .. } => run.action = action,
        }
    }
    panic!("the stage does not come to an end")
}

/// Begins the stage, carries out `steps` of its steps, and gives it as it stands then.
pub(super) async fn halfway(scene: &Scene, kind: &dyn StageType, options: Value, steps: usize) -> StageRun {
    let mut run = scene.begin(kind, scene.run(kind, "Act", options)).await.unwrap().unwrap();
    let mut done = 0;
    for _ in 0..200 {
        if done == steps {
            return run;
        }
        match kind.observe(&scene.stage(&run), Span::from_secs(2)).await.unwrap() {
            Observed::Moved { action, .. } => {
                run.action = action;
                done += 1;
            }
            Observed::Pending { .. } => {}
            Observed::Ended(end) => panic!("it has ended: {end:?}"),
        }
    }
    panic!("step {done} does not end")
}

pub(super) async fn undo(scene: &mut Scene) -> StageEnd {
    scene.roll_back("Act");
    scene.play(&Undo, "Undo Act", json!({ "stage": "Act" })).await
}

#[tokio::test(start_paused = true)]
async fn a_workload_is_scaled_up_and_down_and_back_by_its_undo() {
    for kind in ["Deployment", "StatefulSet", "ReplicaSet"] {
        let mut scene = deployed(kind).await;
        let workload = json!({"kind": kind, "name": "web"});
        let end = twice(&scene, &Scale, json!({"workload": workload, "by": "50%"})).await;
        assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
        assert_eq!((replicas(&scene, kind), pods(&scene)), (json!(5), 5));
        assert_eq!((&end.output["from"], &end.output["to"]), (&json!(3), &json!(5)));
        let end = undo(&mut scene).await;
        assert_eq!((end.status, replicas(&scene, kind)), (StageStatus::Succeeded, json!(3)));
        scene.next("1.0.0");
        let end = twice(&scene, &Scale, json!({"workload": workload, "replicas": 1})).await;
        assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
        assert_eq!(replicas(&scene, kind), 1);
        assert_eq!(steps(&end)[0], "Service dev/web keeps 1 of 3 ready endpoints");
    }
}

/// T15: nothing is changed when the Service would be left with too few.
#[tokio::test(start_paused = true)]
async fn the_traffic_guard_refuses_to_scale_a_service_away_with_the_numbers() {
    let scene = deployed("Deployment").await;
    let end = scene.play(&Scale, "Act", json!({"workload": "web", "replicas": 0})).await;
    assert!(
        reason(&end).contains("Service dev/web has 3 ready endpoints and would be left with 0"),
        "{end:?}"
    );
    assert_eq!(replicas(&scene, "Deployment"), 3);
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_stands_against_it_unless_its_bounds_are_set_too() {
    let mut scene = deployed("Deployment").await;
    deploy(&mut scene, SCALER).await;
    let bounds = |scene: &Scene| {
        let scaler = scene.sim.get("HorizontalPodAutoscaler", "dev", "web").unwrap();
        (scaler["spec"]["minReplicas"].clone(), scaler["spec"]["maxReplicas"].clone())
    };
    let end = scene.play(&Scale, "Act", json!({"workload": "web", "replicas": 5})).await;
    assert_eq!(
        reason(&end),
        "HorizontalPodAutoscaler dev/web scales Deployment dev/web between 2 and 10 pods, and would scale it back: say \
         `autoscaler: adjust` to set its bounds too, or scale with `to: maximum`"
    );
    scene.next("1.0.0");
    let end = twice(&scene, &Scale, json!({"workload": "web", "replicas": 12, "autoscaler": "adjust"})).await;
    assert_eq!(end.status, StageStatus::Succeeded, "{end:?}");
    assert_eq!((bounds(&scene), replicas(&scene, "Deployment")), ((json!(12), json!(12)), json!(12)));
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert_eq!((bounds(&scene), replicas(&scene, "Deployment")), ((json!(2), json!(10)), json!(3)));
    scene.next("1.0.0");
    let end = twice(&scene, &Scale, json!({"workload": "web", "to": "maximum"})).await;
    assert_eq!((end.status, replicas(&scene, "Deployment")), (StageStatus::Succeeded, json!(10)));
}

#[tokio::test(start_paused = true)]
async fn a_restart_gives_every_pod_a_successor_and_survives_the_next_deployment() {
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let mut scene = Scene::new().await;
        let text = match kind {
            "DaemonSet" => manifests(kind).replace("replicas: 3, ", ""),
            _ => manifests(kind),
        };
        deploy(&mut scene, &text).await;
        let uids = |scene: &Scene| {
            let pods = scene.sim.list("Pod", "dev");
            let stay = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
            stay.map(|pod| pod["metadata"]["uid"].to_string()).collect::<Vec<_>>()
        };
        let before = uids(&scene);
        let end = twice(&scene, &Restart, json!({"workload": {"kind": kind, "name": "web"}})).await;
        assert_eq!(end.status, StageStatus::Succeeded, "{kind}: {end:?}");
        let after = uids(&scene);
        assert!(after.iter().all(|uid| !before.contains(uid)) && after.len() == before.len(), "{kind}");
        // The same manifest again: nothing restarts.
        scene.next("1.0.0");
        deploy(&mut scene, &text).await;
        assert_eq!(uids(&scene), after, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_would_come_to_nothing_is_refused() {
    let mut scene = Scene::new().await;
    deploy(
        &mut scene,
        &manifests("Deployment").replace("spec: {replicas: 3", "spec: {paused: true, replicas: 0"),
    )
    .await;
    let end = scene.play(&Restart, "Act", json!({"workload": "web"})).await;
    assert!(reason(&end).starts_with("Deployment dev/web is paused"), "{end:?}");
    let mut scene = Scene::new().await;
    let on_delete = manifests("StatefulSet")
        .replace("spec: {serviceName", "spec: {updateStrategy: {type: OnDelete}, serviceName");
    deploy(&mut scene, &on_delete).await;
    let end = scene.play(&Restart, "Act", json!({"workload": {"kind": "StatefulSet", "name": "web"}})).await;
    assert!(reason(&end).contains("`updateStrategy: OnDelete`"), "{end:?}");
}

/// What crashes when it is restarted leaves the pods that run, and its undo keeps them.
#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_taken_back() {
    let mut scene = deployed("Deployment").await;
    scene.sim.set_rules(vec![ImageRule::new("*", Behaviour::crash_loop("no database"))]);
    let end = scene.play(&Restart, "Act", json!({"workload": "web"})).await;
    assert!(end.status.reason().is_some(), "{end:?}");
    scene.sim.set_rules(Vec::new());
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    let web = scene.sim.get("Deployment", "dev", "web").unwrap();
    assert_eq!(web["spec"]["template"]["metadata"]["annotations"], Value::Null, "{web:#}");
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_starts_with_as_many_pods_as_it_had() {
    for kind in ["Deployment", "StatefulSet", "ReplicaSet"] {
        let mut scene = deployed(kind).await;
        scene.release.spec.environments[0].traffic_guard =
            Some(serde_json::from_value(json!("off")).unwrap());
        let workload = json!({"workload": {"kind": kind, "name": "web"}});
        let end = twice(&scene, &Stop, workload.clone()).await;
        assert_eq!(end.status, StageStatus::Succeeded, "{kind}: {end:?}");
        assert_eq!((replicas(&scene, kind), pods(&scene)), (json!(0), 0), "{kind}");
        scene.next("1.0.0");
        let end = twice(&scene, &Stop, workload.clone()).await;
        assert_eq!(steps(&end), [format!("{kind} dev/web has no pods: there was nothing to do")]);
        let end = twice(&scene, &Start, workload.clone()).await;
        assert_eq!(end.status, StageStatus::Succeeded, "{kind}: {end:?}");
        assert_eq!((replicas(&scene, kind), pods(&scene)), (json!(3), 3), "{kind}");
        let annotations = scene.sim.get(kind, "dev", "web").unwrap()["metadata"]["annotations"].clone();
        assert_eq!(annotations["pilothouse.dev/stoppedReplicas"], Value::Null);
        // Taken back: it is stopped again, and remembers.
        assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
        assert_eq!(replicas(&scene, kind), 0, "{kind}");
        scene.next("1.0.0");
        let end = twice(&scene, &Start, workload).await;
        assert_eq!((end.status, replicas(&scene, kind)), (StageStatus::Succeeded, json!(3)), "{kind}");
    }
}

/// T15: what takes away the last pods of a Service is asked for in so many words.
#[tokio::test(start_paused = true)]
async fn a_stop_asks_the_traffic_guard() {
    let scene = deployed("Deployment").await;
    let end = scene.play(&Stop, "Act", json!({"workload": "web"})).await;
    assert!(reason(&end).ends_with("or set `trafficGuard: off` at this stage"), "{end:?}");
    assert_eq!(pods(&scene), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cron_job_is_suspended_and_goes_on() {
    let mut scene = Scene::new().await;
    deploy(&mut scene, &cron(false)).await;
    let suspended =
        |scene: &Scene| scene.sim.get("CronJob", "dev", "nightly").unwrap()["spec"]["suspend"].clone();
    let workload = json!({"workload": {"kind": "CronJob", "name": "nightly"}});
    let end = twice(&scene, &Stop, workload.clone()).await;
    assert_eq!((end.status, suspended(&scene)), (StageStatus::Succeeded, json!(true)));
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert_eq!(suspended(&scene), false);
    scene.next("1.0.0");
    deploy(&mut scene, &cron(true)).await;
    let end = twice(&scene, &Start, workload).await;
    assert_eq!((end.status, suspended(&scene)), (StageStatus::Succeeded, json!(false)));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nothing_tells_how_many_pods_asks_for_them() {
    let mut scene = Scene::new().await;
    deploy(&mut scene, &manifests("Deployment").replace("replicas: 3", "replicas: 0")).await;
    let end = scene.play(&Start, "Act", json!({"workload": "web"})).await;
    assert!(reason(&end).ends_with("no `stop` stage stopped it; say `replicas`"), "{end:?}");
    let end = scene.play(&Start, "Act", json!({"workload": "web", "replicas": 2})).await;
    assert_eq!((end.status, replicas(&scene, "Deployment")), (StageStatus::Succeeded, json!(2)));
}

/// X3: a cancel says which steps were done and what was under way.
#[tokio::test(start_paused = true)]
async fn a_cancel_in_the_middle_says_what_was_done_and_its_undo_takes_that_back() {
    let mut scene = deployed("Deployment").await;
    let run = halfway(&scene, &Scale, json!({"workload": "web", "replicas": 1}), 2).await;
    let left = Scale.cancel(&scene.stage(&run)).await.unwrap().unwrap();
    assert_eq!(
        left,
        "2 of 3 steps done, the last: Deployment dev/web scaled to 1; under way: wait until Deployment dev/web is ready; \
         left as it is"
    );
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert_eq!(replicas(&scene, "Deployment"), 3);
    scene.next("1.0.0");
    // Before its first change there is nothing to take back.
    let run = halfway(&scene, &Scale, json!({"workload": "web", "replicas": 1}), 0).await;
    let left = Scale.cancel(&scene.stage(&run)).await.unwrap().unwrap();
    assert!(
        left.starts_with("nothing was changed; under way: check that every Service keeps 1 ready"),
        "{left}"
    );
    assert_eq!(undo(&mut scene).await.status, StageStatus::Succeeded);
    assert_eq!(replicas(&scene, "Deployment"), 3);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_said_by_its_name() {
    let scene = Scene::new().await;
    let types: [&dyn StageType; 4] = [&Scale, &Restart, &Stop, &Start];
    for kind in types {
        let mut options = json!({"workload": "none"});
        if kind.info().name == "scale" {
            options["replicas"] = json!(1);
        }
        let end = scene.play(kind, "Act", options).await;
        assert!(reason(&end).starts_with("Deployment dev/none does not exist: deploy it first"), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn conflicts_on_every_write_are_tried_again_and_a_denial_is_told() {
    let scene = deployed("Deployment").await;
    scene.sim.inject(Fault::status(409).on_writes().times(2));
    let end = scene.play(&Scale, "Act", json!({"workload": "web", "replicas": 4})).await;
    assert_eq!((end.status, replicas(&scene, "Deployment")), (StageStatus::Succeeded, json!(4)));
    let mut scene = scene;
    scene.next("1.0.0");
    scene.sim.inject(Fault::status(403).on_writes());
    let end = scene.play(&Restart, "Act", json!({"workload": "web"})).await;
    assert!(reason(&end).starts_with("change Deployment dev/web: the cluster denies it"), "{end:?}");
}
