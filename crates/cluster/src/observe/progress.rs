//! How far a workload has come, by its own status: the rules of `kubectl rollout status`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::pods::remaining;
use crate::FIELD_MANAGER;
use crate::evidence::time;
use crate::object::{self, ObjectRef};

/// How far a workload has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its controller has not seen the new specification yet: the status tells of an earlier one.
    Unobserved,
    /// It is on its way.
    Waiting(String),
    /// It runs the new version, and only that.
    Ready(String),
    /// It says itself that it failed.
    Failed { reason: String, message: String },
}

/// Whether the kind has pods whose start can be watched.
pub(crate) fn is_workload(object: &ObjectRef) -> bool {
    match object.group() {
        "apps" => matches!(object.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"),
        "batch" => object.kind == "Job",
        "" => object.kind == "Pod",
        _ => false,
    }
}

/// The kind that tells which pods of a workload are new; the others tell it in their status.
pub(crate) fn revisions(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "Deployment" => Some(("apps/v1", "ReplicaSet")),
        "DaemonSet" => Some(("apps/v1", "ControllerRevision")),
        _ => None,
    }
}

/// How far `live` has come towards the specification number `generation`, or a later one. Without `now`, what its controller
/// said before we applied it last is taken for nothing.
pub(super) fn of(kind: &str, live: &Value, generation: i64, now: Option<Timestamp>) -> Progress {
    let wanted = generation.max(live["metadata"]["generation"].as_i64().unwrap_or(0));
    // Jobs and Pods are never given another specification, and a Job has no observedGeneration.
    let counts = !matches!(kind, "Job" | "Pod");
    if counts && live["status"]["observedGeneration"].as_i64().unwrap_or(0) < wanted {
        return Progress::Unobserved;
    }
    match kind {
        "Deployment" => deployment(live, now),
        "StatefulSet" => stateful_set(live),
        "DaemonSet" => daemon_set(live),
        "ReplicaSet" => replica_set(live),
        "Job" => job(live),
        _ => pod(live),
    }
}

fn number(live: &Value, pointer: &str) -> i64 {
    live.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn replicas(live: &Value) -> i64 {
    live["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn pods(count: i64) -> String {
    if count == 1 { "1 pod".into() } else { format!("{count} pods") }
}

/// When we last applied the object, by the cluster's clock: each attempt at least writes its marks.
pub(super) fn last_applied(live: &Value) -> Option<Timestamp> {
    live["metadata"]["managedFields"]
        .as_array()?
        .iter()
        .filter(|entry| entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply")
        .filter_map(|entry| time(&entry["time"]))
        .max()
}

/// What a Deployment's controller says about its deadline being exceeded, with how long that proves nothing yet.
///
/// The condition outlives the rollout it is about: a change that makes no new ReplicaSet (another number of pods, a template
/// of before) leaves it as it is until a pod more is there, under the new `observedGeneration` too. So it counts if it was
/// written after our change, or if it still stands when the deadline has passed since.
pub(super) fn deadline_exceeded(live: &Value, now: Option<Timestamp>) -> Option<(&Value, Option<Duration>)> {
    let stuck =
        object::condition(live, "Progressing").filter(|c| c["reason"] == "ProgressDeadlineExceeded")?;
    let began = last_applied(live);
    if began.is_none() || time(&stuck["lastUpdateTime"]) > began {
        return Some((stuck, None));
    }
    let deadline = live["spec"]["progressDeadlineSeconds"].as_u64().unwrap_or(600);
    let deadline = Duration::from_secs(deadline);
    let left = now.map_or(Some(deadline), |now| remaining(began, deadline, now));
    Some((stuck, left))
}

fn deployment(live: &Value, now: Option<Timestamp>) -> Progress {
    let wanted = replicas(live);
    let (updated, all) = (number(live, "/status/updatedReplicas"), number(live, "/status/replicas"));
    let available = number(live, "/status/availableReplicas");
    if let Some((stuck, None)) = deadline_exceeded(live, now) {
        let message = stuck["message"].as_str().unwrap_or_default().to_owned();
        return Progress::Failed { reason: "ProgressDeadlineExceeded".into(), message };
    }
    if live["spec"]["paused"] == true && updated < wanted {
        Progress::Waiting("paused; resume it to go on".into())
    } else if updated < wanted {
        Progress::Waiting(format!("{updated} of {} updated", pods(wanted)))
    } else if all > updated {
        Progress::Waiting(format!("{} of the previous version still to end", pods(all - updated)))
    } else if updated > wanted {
        // It was scaled down, and its ReplicaSet has not followed yet.
        Progress::Waiting(format!("{} too many still to end", pods(updated - wanted)))
    } else if available < updated {
        Progress::Waiting(format!("{available} of {} available", pods(updated)))
    } else {
        Progress::Ready(format!("{} ready", pods(wanted)))
    }
}

fn stateful_set(live: &Value) -> Progress {
    let wanted = replicas(live);
    let (ready, updated) = (number(live, "/status/readyReplicas"), number(live, "/status/updatedReplicas"));
    if ready < wanted {
        return Progress::Waiting(format!("{ready} of {} ready, {updated} updated", pods(wanted)));
    }
    let all = number(live, "/status/replicas");
    if all > wanted {
        return Progress::Waiting(format!("{} too many still to end", pods(all - wanted)));
    }
    let strategy = &live["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Progress::Ready(format!(
            "{} ready; each takes the new version when it is deleted",
            pods(wanted)
        ));
    }
    let partition = strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let to_update = (wanted - partition).max(0);
    if partition > 0 && updated >= to_update {
        return Progress::Ready(format!("{} ready, {updated} updated as its partition asks", pods(wanted)));
    }
    let status = &live["status"];
    if partition > 0 || status["updateRevision"] != status["currentRevision"] {
        return Progress::Waiting(format!("{updated} of {} updated", pods(to_update)));
    }
    Progress::Ready(format!("{} ready", pods(wanted)))
}

fn daemon_set(live: &Value) -> Progress {
    let wanted = number(live, "/status/desiredNumberScheduled");
    let updated = number(live, "/status/updatedNumberScheduled");
    let available = number(live, "/status/numberAvailable");
    if live["spec"]["updateStrategy"]["type"] == "OnDelete" {
        Progress::Ready("each pod takes the new version when it is deleted".into())
    } else if updated < wanted {
        Progress::Waiting(format!("{updated} of {} updated", pods(wanted)))
    } else if available < wanted {
        Progress::Waiting(format!("{available} of {} available", pods(wanted)))
    } else {
        Progress::Ready(format!("{} ready", pods(wanted)))
    }
}

fn replica_set(live: &Value) -> Progress {
    let (wanted, all) = (replicas(live), number(live, "/status/replicas"));
    let available = number(live, "/status/availableReplicas");
    if available < wanted {
        Progress::Waiting(format!("{available} of {} available", pods(wanted)))
    } else if all > wanted {
        Progress::Waiting(format!("{} too many still to end", pods(all - wanted)))
    } else {
        Progress::Ready(format!("{} ready", pods(wanted)))
    }
}

fn job(live: &Value) -> Progress {
    let is = |kind: &str| object::condition(live, kind).filter(|c| c["status"] == "True");
    // FailureTarget says it before the last pods have ended.
    if let Some(failed) = is("Failed").or_else(|| is("FailureTarget")) {
        let text = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
        return Progress::Failed { reason: text("reason"), message: text("message") };
    }
    if is("Complete").is_some() {
        return Progress::Ready("completed".into());
    }
    if live["spec"]["suspend"] == true {
        return Progress::Waiting("suspended".into());
    }
    let wanted = live["spec"]["completions"].as_i64().unwrap_or(1);
    Progress::Waiting(format!("{} of {} completed", number(live, "/status/succeeded"), pods(wanted)))
}

fn pod(live: &Value) -> Progress {
    let ready = object::condition(live, "Ready").is_some_and(|c| c["status"] == "True");
    match live["status"]["phase"].as_str().unwrap_or_default() {
        "Succeeded" => Progress::Ready("completed".into()),
        "Failed" => Progress::Failed {
            reason: live["status"]["reason"].as_str().unwrap_or("Failed").to_owned(),
            message: live["status"]["message"].as_str().unwrap_or_default().to_owned(),
        },
        _ if ready => Progress::Ready("ready".into()),
        phase => {
            Progress::Waiting(if phase.is_empty() { "not started".into() } else { phase.to_lowercase() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "values that are built for one call read better without borrows"
    )]
    fn deployment(generation: i64, status: Value) -> Value {
        json!({"metadata": {"generation": generation}, "spec": {"replicas": 3}, "status": status})
    }

    #[test]
    fn a_status_of_an_earlier_generation_decides_nothing() {
        let status =
            json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
        let live = deployment(1, status);
        assert!(matches!(of("Deployment", &live, 1, None), Progress::Ready(_)));
        assert_eq!(of("Deployment", &live, 2, None), Progress::Unobserved);
    }

    #[test]
    fn a_deployment_waits_for_new_pods_old_pods_and_availability() {
        let at = |updated: i64, all: i64, available: i64| {
            let status = json!({
                "observedGeneration": 2, "updatedReplicas": updated, "replicas": all, "availableReplicas": available
            });
            of("Deployment", &deployment(2, status), 2, None)
        };
        assert_eq!(at(2, 4, 3), Progress::Waiting("2 of 3 pods updated".into()));
        assert_eq!(at(3, 4, 3), Progress::Waiting("1 pod of the previous version still to end".into()));
        assert_eq!(at(3, 3, 2), Progress::Waiting("2 of 3 pods available".into()));
        assert_eq!(at(3, 3, 3), Progress::Ready("3 pods ready".into()));
    }

    #[test]
    fn the_deadline_of_a_deployment_is_its_own_failure() {
        let live = deployment(
            2,
            json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}]}),
        );
        let expected =
            Progress::Failed { reason: "ProgressDeadlineExceeded".into(), message: "too slow".into() };
        assert_eq!(of("Deployment", &live, 2, None), expected);
    }

    /// A Deployment that timed out, was mended by a change of ours at 10:00:00 that makes no new ReplicaSet, and is scaled up.
    fn timed_out(at: &str) -> Value {
        let condition = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow",
            "lastUpdateTime": format!("2026-11-21T{at}Z")});
        let mut live = deployment(
            3,
            json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "conditions": [condition]}),
        );
        live["spec"]["progressDeadlineSeconds"] = json!(60);
        live["metadata"]["managedFields"] =
            json!([{"manager": "pilothouse", "operation": "Apply", "time": "2026-11-21T10:00:00Z"}]);
        live
    }

    #[test]
    fn a_deadline_that_was_exceeded_before_our_change_proves_nothing_until_it_has_passed_again() {
        let at = |now: &str| Some(format!("2026-11-21T{now}Z").parse().unwrap());
        let of = |said: &str, now: &str| of("Deployment", &timed_out(said), 3, at(now));
        let waiting = Progress::Waiting("2 of 3 pods updated".into());
        for said in ["09:50:00", "10:00:00"] {
            assert_eq!(of(said, "10:00:59"), waiting, "{said}");
            assert!(matches!(of(said, "10:01:00"), Progress::Failed { .. }), "{said}");
        }
        assert!(matches!(of("10:00:50", "10:00:51"), Progress::Failed { .. }));
        let left = deadline_exceeded(&timed_out("09:50:00"), at("10:00:20")).unwrap().1;
        assert_eq!(left, Some(Duration::from_secs(40)));
    }

    #[test]
    fn a_stateful_set_is_ready_when_all_pods_have_its_newest_revision() {
        let at = |current: &str| {
            let live = json!({"metadata": {"generation": 2}, "spec": {"replicas": 2, "updateStrategy": {"type": "RollingUpdate"}},
                "status": {"observedGeneration": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": current, "updateRevision": "b"}});
            of("StatefulSet", &live, 2, None)
        };
        assert_eq!(at("a"), Progress::Waiting("1 of 2 pods updated".into()));
        assert_eq!(at("b"), Progress::Ready("2 pods ready".into()));
    }

    #[test]
    fn a_job_is_decided_by_its_conditions() {
        let job = |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]}});
        assert_eq!(of("Job", &job("Complete"), 1, None), Progress::Ready("completed".into()));
        let failed = Progress::Failed { reason: "BackoffLimitExceeded".into(), message: "m".into() };
        assert_eq!(of("Job", &job("FailureTarget"), 1, None), failed);
        assert_eq!(of("Job", &json!({}), 1, None), Progress::Waiting("0 of 1 pod completed".into()));
    }
}
