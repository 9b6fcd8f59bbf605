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
    json!({"type": "Warning", "reason": "Failed", "message": "Error: ErrImagePull", "count": count, "involvedObject":
        {"kind": "Pod", "uid": "p1"}, "firstTimestamp": "2026-11-21T10:00:05Z", "lastTimestamp": "2026-11-21T10:00:05Z"})
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
        ("ErrImageNeverPull", Some(FailureReason::ImagePull)),
        ("InvalidImageName", Some(FailureReason::InvalidImage)),
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
    let verdict =
        verdict("Deployment", &pod(waiting("ImagePullBackOff")), &[failed_event(2)], "10:00:00", "10:00:06");
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

#[test]
fn what_the_registry_denies_fails_at_the_first_back_off_and_what_may_pass_gets_a_second_try() {
    let pulling = |message: &str| {
        pod(json!({"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}}))
    };
    let at = |message: &str, events: &[Value], now: &str| {
        verdict("Deployment", &pulling(message), events, "10:00:00", now)
    };
    let once = [failed_event(1)];
    for last in [
        "Back-off pulling image \"web:9\": ErrImagePull: failed to resolve reference: registry.local/web:9: not found",
        "ErrImagePull: pull access denied, repository does not exist or may require authorization",
        "ErrImagePull: no match for platform in manifest",
    ] {
        assert_eq!(reason(at(last, &once, "10:00:06")), Some(FailureReason::ImagePull), "{last}");
    }
    let passing = "ErrImagePull: dial tcp: lookup registry.local: i/o timeout";
    assert_eq!(at(passing, &once, "10:00:15"), PodVerdict::Suspect(Duration::from_secs(20)));
    assert_eq!(reason(at(passing, &[failed_event(2)], "10:00:15")), Some(FailureReason::ImagePull));
    assert_eq!(reason(at(passing, &once, "10:00:35")), Some(FailureReason::ImagePull));
    // A cluster need not tell events: then the back-off has to do.
    assert_eq!(reason(at(passing, &[], "10:00:06")), Some(FailureReason::ImagePull));
}

#[test]
fn a_missing_config_map_or_secret_is_waited_for_a_little() {
    let pod = pod(waiting("CreateContainerConfigError"));
    let soon = verdict("Deployment", &pod, &[failed_event(1)], "10:00:00", "10:00:09");
    assert_eq!(soon, PodVerdict::Suspect(Duration::from_secs(6)));
    let late = verdict("Deployment", &pod, &[failed_event(1)], "10:00:00", "10:00:15");
    assert_eq!(reason(late), Some(FailureReason::ContainerConfig));
    let untold = verdict("Deployment", &pod, &[], "10:00:00", "10:00:10");
    assert_eq!(reason(untold), Some(FailureReason::ContainerConfig));
}

/// A warning about the pod, first told at 10:00:05.
fn warning(what: &str, message: &str) -> Value {
    json!({"type": "Warning", "reason": what, "message": message, "count": 1, "involvedObject": {"kind": "Pod", "uid": "p1"},
        "firstTimestamp": "2026-11-21T10:00:05Z", "lastTimestamp": "2026-11-21T10:00:06Z"})
}

#[test]
fn a_volume_that_does_not_come_fails_soon_if_it_is_missing_and_late_if_it_may_come() {
    let at = |event: &Value, now: &str| {
        verdict(
            "Deployment",
            &pod(waiting("ContainerCreating")),
            std::slice::from_ref(event),
            "10:00:00",
            now,
        )
    };
    let missing =
        warning("FailedMount", "MountVolume.SetUp failed for volume \"tls\" : secret \"web-tls\" not found");
    assert_eq!(at(&missing, "10:00:06"), PodVerdict::Suspect(Duration::from_secs(9)));
    let PodVerdict::Failed(reason_, evidence) = at(&missing, "10:00:15") else { panic!() };
    assert_eq!(reason_, FailureReason::VolumeMount);
    assert_eq!(
        evidence.to_string(),
        "Deployment dev/web: pod web-1: FailedMount: MountVolume.SetUp failed for volume \"tls\" : secret \"web-tls\" not found"
    );
    let held = warning(
        "FailedAttachVolume",
        "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) web-0",
    );
    assert_eq!(reason(at(&held, "10:01:00")), None);
    assert_eq!(reason(at(&held, "10:02:05")), Some(FailureReason::VolumeMount));
    // Once a container has run, the volumes are there.
    let running = pod(json!({"name": "web", "state": {"running": {}}}));
    assert_eq!(verdict("Deployment", &running, &[missing], "10:00:00", "10:09:00"), PodVerdict::Fine);
}

#[test]
fn a_pod_without_a_network_fails_after_the_grace_time() {
    let event = [warning(
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: plugin type=\"calico\" failed (add)",
    )];
    let at = |now: &str| verdict("Deployment", &pod(waiting("ContainerCreating")), &event, "10:00:00", now);
    assert_eq!(reason(at("10:00:30")), None);
    assert_eq!(reason(at("10:01:05")), Some(FailureReason::PodSandbox));
}

/// A pod whose first container is `proxy`, an init container of that restart policy, and crashes.
#[expect(
    clippy::needless_pass_by_value,
    reason = "values that are built for one call read better without borrows"
)]
fn starting_with(policy: Value) -> Value {
    let mut crashing = crashed(1, "Error", 2);
    crashing["name"] = json!("proxy");
    let mut pod = pod(json!({"name": "web", "state": {"waiting": {"reason": "PodInitializing"}}}));
    pod["spec"]["initContainers"] =
        json!([{"name": "proxy", "image": "mesh/proxy:1", "restartPolicy": policy}]);
    pod["status"]["initContainerStatuses"] = json!([crashing]);
    pod
}

#[test]
fn init_containers_and_sidecars_fail_under_their_own_names() {
    let told = [back_off_event()];
    for (policy, shown) in [(Value::Null, "init container proxy"), (json!("Always"), "sidecar proxy")] {
        let verdict = verdict("Deployment", &starting_with(policy), &told, "10:00:00", "10:00:11");
        let PodVerdict::Failed(FailureReason::CrashLoop, evidence) = verdict else { panic!("{verdict:?}") };
        assert_eq!(
            evidence.to_string(),
            format!(
                "Deployment dev/web: pod web-1, {shown} (mesh/proxy:1): CrashLoopBackOff, exit code 2, 1 restart: no database"
            )
        );
    }
    // A Job counts the ends of its containers, but not those of a sidecar: nothing would ever end it.
    let job = |policy| reason(verdict("Job", &starting_with(policy), &told, "10:00:00", "10:00:11"));
    assert_eq!((job(Value::Null), job(json!("Always"))), (None, Some(FailureReason::CrashLoop)));
}

#[test]
fn a_container_that_a_probe_killed_says_what_the_probe_said() {
    let mut crashed = crashed(1, "Error", 137);
    crashed["lastState"]["terminated"]["message"] = Value::Null;
    let told = [
        back_off_event(),
        warning("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
    ];
    let verdict = verdict("Deployment", &pod(crashed), &told, "10:00:00", "10:00:11");
    let PodVerdict::Failed(_, evidence) = verdict else { panic!("{verdict:?}") };
    assert_eq!(evidence.message, "Liveness probe failed: HTTP probe failed with statuscode: 500");
}

#[test]
fn a_container_that_cannot_be_started_is_told_from_one_that_crashes() {
    let told = [back_off_event()];
    let found =
        reason(verdict("Deployment", &pod(crashed(1, "StartError", 128)), &told, "10:00:00", "10:00:11"));
    assert_eq!(found, Some(FailureReason::RunContainer));
}

#[test]
fn two_evicted_pods_are_a_failure_and_one_is_not() {
    let out = |name: &str, created: &str| {
        json!({"metadata": {"name": name, "creationTimestamp": format!("2026-11-21T{created}Z")},
        "status": {"phase": "Failed", "reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."}})
    };
    let workload = workload("Deployment");
    let options = ObserveOptions::new(Duration::from_secs(25), at("10:00:30"));
    let ground =
        Ground { workload: &workload, began: Some(at("10:00:00")), now: at("10:00:30"), options: &options };
    let judged = |pods: &[Value]| start::evicted(&pods.iter().collect::<Vec<_>>(), &ground.with(&[]));
    assert_eq!(judged(&[out("a", "10:00:01")]), PodVerdict::Fine);
    assert_eq!(judged(&[out("a", "10:00:01"), out("b", "09:00:00")]), PodVerdict::Fine);
    let PodVerdict::Failed(FailureReason::Evicted, evidence) =
        judged(&[out("a", "10:00:01"), out("b", "10:00:02")])
    else {
        panic!()
    };
    assert!(
        evidence.to_string().starts_with("Deployment dev/web: pod a: Evicted: Pod ephemeral"),
        "{evidence}"
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
fn what_our_change_has_not_mended_after_a_while_fails_although_nothing_new_is_told_of_it() {
    let of = |pod: &Value, events: &[Value], now: &str| verdict("Deployment", pod, events, "10:10:00", now);
    let crash = pod(crashed(8, "Error", 1));
    assert_eq!(of(&crash, &[], "10:10:04"), PodVerdict::Suspect(Duration::from_secs(11)));
    assert_eq!(reason(of(&crash, &[], "10:10:15")), Some(FailureReason::CrashLoop));
    let denied = json!({"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "ErrImagePull: not found"}}});
    let denied = pod(denied);
    assert_eq!(of(&denied, &[failed_event(3)], "10:10:04"), PodVerdict::Suspect(Duration::from_secs(11)));
    assert_eq!(reason(of(&denied, &[failed_event(3)], "10:10:15")), Some(FailureReason::ImagePull));
    let passing = pod(waiting("ImagePullBackOff"));
    assert_eq!(of(&passing, &[failed_event(1)], "10:10:04"), PodVerdict::Suspect(Duration::from_secs(26)));
    assert_eq!(reason(of(&passing, &[failed_event(1)], "10:10:30")), Some(FailureReason::ImagePull));
    let runs = json!({"name": "web", "restartCount": 8, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1,
        "reason": "Error", "finishedAt": "2026-11-21T10:09:00Z"}}});
    assert_eq!(of(&pod(runs), &[], "10:10:31"), PodVerdict::Fine, "it was started again, and runs");
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
