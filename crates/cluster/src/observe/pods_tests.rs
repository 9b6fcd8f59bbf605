use super::super::Watched;
use super::super::seen::Objects;
use super::*;
use crate::object::ObjectRef;
use serde_json::json;

fn at(text: &str) -> Timestamp {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

fn workload(kind: &str) -> Workload {
    let object = ObjectRef::namespaced("apps/v1", kind, "dev", "web");
    Workload {
        watched: Watched { object, generation: 1 },
        live: None,
        revisions: Objects::new(),
        pods: Objects::new(),
    }
}

/// A pod created at 10:00:00 whose container `web` has this status.
#[expect(
    clippy::needless_pass_by_value,
    reason = "values that are built for one call read better without borrows"
)]
fn pod(container: Value) -> Value {
    json!({
        "metadata": {"name": "web-1", "uid": "p1", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"nodeName": "node-a", "containers": [{"name": "web", "image": "shop/web:1.1.0"}]},
        "status": {"phase": "Pending", "containerStatuses": [container]}
    })
}

fn waiting(reason: &str) -> Value {
    json!({"name": "web", "image": "docker.io/shop/web:1.1.0", "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": format!("{reason} it is")}}})
}

fn failed_event(count: i64) -> Value {
    json!({"type": "Warning", "reason": "Failed", "message": "not found", "count": count,
        "involvedObject": {"kind": "Pod", "uid": "p1"}, "lastTimestamp": "2026-11-21T10:00:05Z"})
}

fn verdict(kind: &str, pod: &Value, events: &[Value], began: &str, now: &str) -> PodVerdict {
    let workload = workload(kind);
    let options = ObserveOptions::new(Duration::from_secs(25), at(now));
    let ground = Ground { workload: &workload, began: Some(at(began)), now: at(now), options: &options };
    let events: Vec<&Value> = events.iter().collect();
    judge(pod, &ground.with(&events))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "values that are built for one call read better without borrows"
)]
fn reason(verdict: PodVerdict) -> Option<FailureReason> {
    match verdict {
        PodVerdict::Failed(reason, _) => Some(reason),
        _ => None,
    }
}

#[test]
fn each_state_that_cannot_end_well_has_its_reason() {
    for (state, expected) in [
        ("ImagePullBackOff", Some(FailureReason::ImagePull)),
        ("InvalidImageName", Some(FailureReason::InvalidImage)),
        ("CreateContainerConfigError", Some(FailureReason::ContainerConfig)),
        ("RunContainerError", Some(FailureReason::RunContainer)),
        ("ContainerCreating", None),
        ("PodInitializing", None),
        ("ErrImagePull", None),
    ] {
        let found = reason(verdict("Deployment", &pod(waiting(state)), &[], "10:00:00", "10:00:06"));
        assert_eq!(found, expected, "{state}");
    }
}

#[test]
fn a_pull_that_failed_twice_is_a_failure_before_the_back_off() {
    let pod = pod(waiting("ErrImagePull"));
    let once = verdict("Deployment", &pod, &[failed_event(1)], "10:00:00", "10:00:06");
    assert_eq!(reason(once), None);
    let twice = verdict("Deployment", &pod, &[failed_event(2)], "10:00:00", "10:00:06");
    assert_eq!(reason(twice), Some(FailureReason::ImagePull));
}

#[test]
fn evidence_names_pod_node_container_and_image() {
    let verdict = verdict("Deployment", &pod(waiting("ImagePullBackOff")), &[], "10:00:00", "10:00:06");
    let PodVerdict::Failed(_, evidence) = verdict else { panic!() };
    assert_eq!(evidence.pod.as_deref(), Some("web-1"));
    assert_eq!(evidence.node.as_deref(), Some("node-a"));
    assert_eq!(evidence.container.as_deref(), Some("web"));
    assert_eq!(evidence.image.as_deref(), Some("shop/web:1.1.0"));
    assert_eq!(
        (evidence.reason.as_str(), evidence.message.as_str()),
        ("ImagePullBackOff", "ImagePullBackOff it is")
    );
}

/// A container that has ended `restarts + 1` times, the last time at 10:00:10.
fn crashed(restarts: i64, why: &str, code: i64) -> Value {
    json!({"name": "web", "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": code, "reason": why, "message": "no database", "finishedAt": "2026-11-21T10:00:10Z"}}})
}

fn back_off_event() -> Value {
    json!({"type": "Warning", "reason": "BackOff", "message": "Back-off restarting failed container web", "count": 1,
        "involvedObject": {"kind": "Pod", "uid": "p1"}, "lastTimestamp": "2026-11-21T10:00:10Z"})
}

#[test]
fn a_second_crash_is_a_failure_and_the_first_is_not() {
    assert_eq!(
        reason(verdict("Deployment", &pod(crashed(0, "Error", 1)), &[], "10:00:00", "10:00:11")),
        None
    );
    let told = [back_off_event()];
    let verdict = verdict("Deployment", &pod(crashed(1, "Error", 3)), &told, "10:00:00", "10:00:11");
    let PodVerdict::Failed(reason, evidence) = verdict else { panic!() };
    assert_eq!(reason, FailureReason::CrashLoop);
    assert_eq!((evidence.exit_code, evidence.restarts), (Some(3), Some(1)));
    assert_eq!(evidence.message, "no database");
}

#[test]
fn the_event_of_a_crash_is_waited_for_a_moment_and_no_longer() {
    let crashed = pod(crashed(1, "Error", 3));
    let soon = verdict("Deployment", &crashed, &[], "10:00:00", "10:00:11");
    assert_eq!(soon, PodVerdict::Suspect(Duration::from_secs(2)));
    // A cluster need not keep events at all.
    let later = reason(verdict("Deployment", &crashed, &[], "10:00:00", "10:00:13"));
    assert_eq!(later, Some(FailureReason::CrashLoop));
    let told = reason(verdict("Deployment", &crashed, &[back_off_event()], "10:00:00", "10:00:11"));
    assert_eq!(told, Some(FailureReason::CrashLoop));
}

#[test]
fn a_container_that_ended_twice_fails_even_between_two_back_offs() {
    let ended = json!({"name": "web", "restartCount": 1, "state": {"terminated": {"exitCode": 1, "reason": "Error",
        "finishedAt": "2026-11-21T10:00:10Z"}}});
    // The kubelet is given a moment to say that it backs off.
    let soon = verdict("Deployment", &pod(ended.clone()), &[], "10:00:00", "10:00:11");
    assert_eq!(soon, PodVerdict::Suspect(Duration::from_secs(1)));
    let found = reason(verdict("Deployment", &pod(ended), &[], "10:00:00", "10:00:12"));
    assert_eq!(found, Some(FailureReason::CrashLoop));
    let running = json!({"name": "web", "restartCount": 1, "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-21T10:00:10Z"}}});
    assert_eq!(reason(verdict("Deployment", &pod(running), &[], "10:00:00", "10:00:11")), None);
}

#[test]
fn memory_is_told_from_other_crashes() {
    let found =
        reason(verdict("Deployment", &pod(crashed(1, "OOMKilled", 137)), &[], "10:00:00", "10:00:11"));
    assert_eq!(found, Some(FailureReason::OutOfMemory));
}

#[test]
fn what_happened_before_our_change_proves_nothing() {
    // The pod is older than the change: it is of the same template, and a ConfigMap may have just mended it.
    let old_crash = verdict("Deployment", &pod(crashed(4, "Error", 1)), &[], "10:00:30", "10:00:31");
    assert_eq!(reason(old_crash), None);
    let again = verdict("Deployment", &pod(crashed(5, "Error", 1)), &[], "10:00:05", "10:00:31");
    assert_eq!(reason(again), Some(FailureReason::CrashLoop));
    let old_pull =
        verdict("Deployment", &pod(waiting("ImagePullBackOff")), &[failed_event(3)], "10:00:30", "10:00:31");
    assert_eq!(reason(old_pull), None);
    let new_pull =
        verdict("Deployment", &pod(waiting("ImagePullBackOff")), &[failed_event(3)], "10:00:04", "10:00:31");
    assert_eq!(reason(new_pull), Some(FailureReason::ImagePull));
}

#[test]
fn a_job_counts_the_ends_of_its_containers_itself() {
    assert_eq!(reason(verdict("Job", &pod(crashed(3, "Error", 1)), &[], "10:00:00", "10:00:11")), None);
    let pull = reason(verdict("Job", &pod(waiting("ImagePullBackOff")), &[], "10:00:00", "10:00:11"));
    assert_eq!(pull, Some(FailureReason::ImagePull));
}

#[test]
fn a_pod_without_a_node_fails_after_the_grace_time() {
    let pod = json!({"metadata": {"name": "web-1"}, "status": {"conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
        "lastTransitionTime": "2026-11-21T10:00:00Z"}]}});
    let early = verdict("Deployment", &pod, &[], "10:00:00", "10:00:20");
    assert_eq!(early, PodVerdict::Suspect(Duration::from_secs(40)));
    let late = verdict("Deployment", &pod, &[], "10:00:00", "10:01:00");
    assert_eq!(reason(late), Some(FailureReason::Unschedulable));
}

#[test]
fn only_pods_of_the_newest_replica_set_count() {
    let mut workload = workload("Deployment");
    let live = json!({"metadata": {"uid": "d", "annotations": {"deployment.kubernetes.io/revision": "2"}}});
    for (uid, revision) in [("old", "1"), ("new", "2")] {
        let set = json!({"metadata": {"uid": uid, "ownerReferences": [{"uid": "d"}],
            "annotations": {"deployment.kubernetes.io/revision": revision}}});
        workload.revisions.insert(uid.into(), set);
        let pod = json!({"metadata": {"uid": format!("pod-{uid}"), "ownerReferences": [{"uid": uid}]}});
        workload.pods.insert(format!("pod-{uid}"), pod);
    }
    let going =
        json!({"metadata": {"uid": "g", "ownerReferences": [{"uid": "new"}], "deletionTimestamp": "x"}});
    workload.pods.insert("g".into(), going);
    let pods = of_new_version(&workload, &live);
    assert_eq!(pods.iter().map(|pod| object::uid(pod)).collect::<Vec<_>>(), ["pod-new"]);
}

#[test]
fn a_daemon_set_has_its_newest_pods_by_hash() {
    let mut workload = workload("DaemonSet");
    let owner = json!([{"uid": "d"}]);
    for (hash, number) in [("a", 1), ("b", 2)] {
        let labels = json!({"controller-revision-hash": hash});
        let revision = json!({"metadata": {"ownerReferences": owner, "labels": labels}, "revision": number});
        workload.revisions.insert(hash.into(), revision);
        workload.pods.insert(
            hash.into(),
            json!({"metadata": {"uid": hash, "ownerReferences": owner, "labels": labels}}),
        );
    }
    let pods = of_new_version(&workload, &json!({"metadata": {"uid": "d"}}));
    assert_eq!(pods.iter().map(|pod| object::uid(pod)).collect::<Vec<_>>(), ["b"]);
}
