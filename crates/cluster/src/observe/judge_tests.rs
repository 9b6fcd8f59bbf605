use super::super::seen::Part;
use super::super::{ObserveOptions, Watched};
use super::*;
use crate::changes::Change;
use crate::object::ObjectRef;
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-21T10:00:30Z".parse().unwrap()
}

fn options() -> ObserveOptions {
    ObserveOptions::new(Duration::from_secs(25), now())
}

fn deployment(name: &str, updated: i64, available: i64) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"},
            "managedFields": [{"manager": "pilothouse", "operation": "Apply", "time": "2026-11-21T10:00:00Z"}]},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, "replicas": updated, "updatedReplicas": updated, "availableReplicas": available}
    })
}

fn seen(deployments: &[Value]) -> Seen {
    let mut seen = Seen::default();
    for live in deployments {
        let object = ObjectRef::namespaced("apps/v1", "Deployment", "dev", object::name(live));
        let index = seen.add(Watched { object, generation: 2 });
        seen.take(Part::Workload(index), Change::All(vec![live.clone()])).unwrap();
        let set = json!({"metadata": {"uid": format!("{}-set", object::name(live)), "ownerReferences": [{"uid": object::name(live)}],
            "annotations": {"deployment.kubernetes.io/revision": "2"}}});
        seen.take(Part::Revisions(index), Change::All(vec![set])).unwrap();
    }
    seen
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "values that are built for one call read better without borrows"
)]
fn pod(set: &str, status: Value) -> Value {
    json!({"metadata": {"name": "web-1", "uid": "p1", "creationTimestamp": "2026-11-21T10:00:01Z", "ownerReferences": [{"uid": set}]},
        "status": {"phase": "Pending", "containerStatuses": [status]}})
}

#[test]
fn all_must_be_ready() {
    let ready = judge(&seen(&[deployment("web", 2, 2), deployment("api", 2, 2)]), &options(), now());
    let Judged::Ready { summary } = ready else { panic!("{ready:?}") };
    assert_eq!(summary, "Deployment dev/web: 2 pods ready; Deployment dev/api: 2 pods ready");
    let open = judge(&seen(&[deployment("web", 2, 2), deployment("api", 1, 1)]), &options(), now());
    let Judged::Progressing { summary, .. } = open else { panic!("{open:?}") };
    assert_eq!(summary, "Deployment dev/api: 1 of 2 pods updated");
}

#[test]
fn progress_names_the_pod_that_is_waited_for() {
    let mut seen = seen(&[deployment("web", 1, 0)]);
    let creating = json!({"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}});
    seen.take(Part::Pods(0), Change::Set(pod("web-set", creating))).unwrap();
    let Judged::Progressing { summary, waiting, .. } = judge(&seen, &options(), now()) else { panic!() };
    assert_eq!(summary, "Deployment dev/web: 1 of 2 pods updated, waiting for web-1: ContainerCreating");
    assert_eq!(waiting.unwrap().pod.as_deref(), Some("web-1"));
}

#[test]
fn a_failure_carries_the_event_that_says_most() {
    let mut seen = seen(&[deployment("web", 1, 0)]);
    let pulling =
        json!({"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}});
    seen.take(Part::Pods(0), Change::Set(pod("web-set", pulling))).unwrap();
    let event = |uid: &str, message: &str| {
        json!({"metadata": {"uid": uid}, "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "p1"}, "reason": "Failed",
            "message": message, "lastTimestamp": "2026-11-21T10:00:05Z"})
    };
    let events =
        vec![event("1", "Error: ErrImagePull"), event("2", "Failed to pull image \"shop/web:9\": not found")];
    seen.take(Part::Events { namespace: "dev".into() }, Change::All(events)).unwrap();
    let Judged::Failed { reason, evidence } = judge(&seen, &options(), now()) else { panic!() };
    assert_eq!(reason, FailureReason::ImagePull);
    assert_eq!(evidence.event.unwrap().message, "Failed to pull image \"shop/web:9\": not found");
}

#[test]
fn broken_pods_of_another_replica_set_fail_nothing() {
    let mut seen = seen(&[deployment("web", 1, 1)]);
    let pulling = json!({"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff"}}});
    seen.take(Part::Pods(0), Change::Set(pod("older-set", pulling))).unwrap();
    assert!(matches!(judge(&seen, &options(), now()), Judged::Progressing { .. }));
}

#[test]
fn a_quota_is_given_a_little_time() {
    let refused = |since: &str| {
        let mut seen = seen(&[deployment("web", 0, 0)]);
        let set = json!({"metadata": {"uid": "web-set", "ownerReferences": [{"uid": "web"}],
            "annotations": {"deployment.kubernetes.io/revision": "2"}},
            "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": "pods \"web-1\" is forbidden: exceeded quota: small", "lastTransitionTime": since}]}});
        seen.take(Part::Revisions(0), Change::All(vec![set])).unwrap();
        judge(&seen, &options(), now())
    };
    let Judged::Progressing { again, .. } = refused("2026-11-21T10:00:25Z") else { panic!() };
    assert_eq!(again, Some(Duration::from_secs(5)));
    let Judged::Failed { reason, evidence } = refused("2026-11-21T10:00:20Z") else { panic!() };
    assert_eq!(reason, FailureReason::QuotaExceeded);
    assert!(evidence.message.contains("exceeded quota"));
}

#[test]
fn a_passed_deadline_is_shown_by_the_pod_that_is_not_ready() {
    let mut live = deployment("web", 2, 1);
    live["status"]["conditions"] = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastUpdateTime": "2026-11-21T10:00:20Z",
        "message": "ReplicaSet \"web-2\" has timed out progressing."}]);
    let mut seen = seen(&[live]);
    let running = json!({"name": "web", "ready": false, "state": {"running": {}}});
    seen.take(Part::Pods(0), Change::Set(pod("web-set", running))).unwrap();
    let event = json!({"metadata": {"uid": "1"}, "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "p1"},
        "reason": "Unhealthy", "message": "Readiness probe failed: HTTP 503"});
    seen.take(Part::Events { namespace: "dev".into() }, Change::All(vec![event])).unwrap();
    let Judged::Failed { reason, evidence } = judge(&seen, &options(), now()) else { panic!() };
    assert_eq!(reason, FailureReason::ProgressDeadlineExceeded);
    assert_eq!(evidence.pod.as_deref(), Some("web-1"));
    assert!(evidence.message.contains("timed out") && evidence.message.contains("503"), "{evidence}");
}

#[test]
fn a_workload_that_is_gone_has_failed() {
    let mut seen = seen(&[deployment("web", 1, 1)]);
    seen.take(Part::Workload(0), Change::Gone(json!({}))).unwrap();
    let Judged::Failed { reason, .. } = judge(&seen, &options(), now()) else { panic!() };
    assert_eq!(reason, FailureReason::Missing);
}

#[test]
fn events_that_may_not_be_read_stop_nothing() {
    let mut seen = seen(&[deployment("web", 2, 2)]);
    let events = Part::Events { namespace: "dev".into() };
    seen.expect(&events);
    assert!(!seen.is_loaded());
    let denied = || crate::ClusterError::Denied { operation: "watch".into(), message: "no".into() };
    seen.take(events, Change::Trouble(denied())).unwrap();
    assert!(seen.is_loaded());
    assert!(seen.take(Part::Pods(0), Change::Trouble(denied())).is_err());
}

#[test]
fn a_job_that_failed_shows_the_container_that_failed_last() {
    let object = ObjectRef::namespaced("batch/v1", "Job", "dev", "migrate");
    let mut seen = Seen::default();
    let index = seen.add(Watched { object, generation: 1 });
    let live = json!({"metadata": {"name": "migrate", "uid": "j"}, "status": {"conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]}});
    seen.take(Part::Workload(index), Change::All(vec![live])).unwrap();
    let pod = |name: &str, code: i64, at: &str| {
        json!({"metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": "j"}], "deletionTimestamp": "2026-11-21T10:00:20Z"},
            "spec": {"containers": [{"name": "main", "image": "shop/migrate:2"}]},
            "status": {"phase": "Failed", "containerStatuses": [{"name": "main", "restartCount": 0, "state": {"terminated":
                {"exitCode": code, "reason": "Error", "finishedAt": format!("2026-11-21T{at}Z")}}}]}})
    };
    let pods = vec![
        pod("migrate-a", 1, "10:00:05"),
        pod("migrate-b", 3, "10:00:15"),
        pod("migrate-c", 0, "10:00:16"),
    ];
    seen.take(Part::Pods(index), Change::All(pods)).unwrap();
    let Judged::Failed { reason, evidence } = judge(&seen, &options(), now()) else { panic!() };
    assert_eq!(reason, FailureReason::JobFailed);
    assert_eq!(
        evidence.to_string(),
        "Job dev/migrate: pod migrate-b, container main (shop/migrate:2): BackoffLimitExceeded, exit code 3: \
         Job has reached the specified backoff limit (Error)"
    );
}

#[test]
fn an_init_container_that_runs_is_what_is_waited_for() {
    let mut seen = seen(&[deployment("web", 1, 0)]);
    let mut starting =
        pod("web-set", json!({"name": "web", "state": {"waiting": {"reason": "PodInitializing"}}}));
    starting["spec"] = json!({"initContainers": [{"name": "migrate", "image": "shop/migrate:2"}]});
    starting["status"]["initContainerStatuses"] = json!([{"name": "migrate", "state": {"running": {}}}]);
    seen.take(Part::Pods(0), Change::Set(starting)).unwrap();
    let Judged::Progressing { waiting, .. } = judge(&seen, &options(), now()) else { panic!() };
    assert_eq!(
        waiting.unwrap().to_string(),
        "Deployment dev/web: pod web-1, init container migrate (shop/migrate:2): PodInitializing: its init container runs"
    );
}
