//! Which pods are of the new version, and what is wrong with one.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ObserveOptions;
use super::seen::Workload;
use crate::evidence::{Evidence, FailureReason, time};
use crate::object;

/// What is to be said of one pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PodVerdict {
    /// Nothing against it.
    Fine,
    /// It will be a failure if it lasts that much longer.
    Suspect(Duration),
    /// It will not become ready by itself.
    Failed(FailureReason, Box<Evidence>),
}

/// The pods that the newest specification made, those on their way out left aside.
pub(super) fn of_new_version<'a>(workload: &'a Workload, live: &Value) -> Vec<&'a Value> {
    let owner = object::uid(live);
    let pods = workload.pods.values().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    match workload.watched.object.kind.as_str() {
        "Deployment" => {
            let Some(newest) = newest_replica_set(workload, live) else { return Vec::new() };
            pods.filter(|pod| object::is_owned_by(pod, object::uid(newest))).collect()
        }
        "StatefulSet" => {
            let revision = &live["status"]["updateRevision"];
            pods.filter(|pod| object::is_owned_by(pod, owner) && hash_label(pod) == revision).collect()
        }
        "DaemonSet" => {
            let newest = workload
                .revisions
                .values()
                .filter(|revision| object::is_owned_by(revision, owner))
                .max_by_key(|revision| revision["revision"].as_i64());
            let Some(newest) = newest else { return Vec::new() };
            pods.filter(|pod| object::is_owned_by(pod, owner) && hash_label(pod) == hash_label(newest))
                .collect()
        }
        _ => pods.filter(|pod| object::is_owned_by(pod, owner)).collect(),
    }
}

/// The ReplicaSet of a Deployment's newest revision: the one that carries the same number.
pub(super) fn newest_replica_set<'a>(workload: &'a Workload, live: &Value) -> Option<&'a Value> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let revision = live["metadata"]["annotations"][REVISION].as_str()?;
    workload.revisions.values().find(|set| {
        object::is_owned_by(set, object::uid(live))
            && set["metadata"]["annotations"][REVISION].as_str() == Some(revision)
    })
}

fn hash_label(object: &Value) -> &Value {
    &object["metadata"]["labels"]["controller-revision-hash"]
}

/// What is needed to judge the pods of a workload.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) workload: &'a Workload,
    /// When we last changed the workload, by the cluster's clock; what happened earlier proves nothing.
    pub(super) began: Option<Timestamp>,
    pub(super) now: Timestamp,
    pub(super) options: &'a ObserveOptions,
}

impl<'a> Ground<'a> {
    /// With the warnings about one object, the most recent last.
    pub(super) fn with<'e>(self, events: &'e [&'a Value]) -> Context<'a, 'e> {
        Context { ground: self, events }
    }
}

/// What is needed to judge one object.
pub(super) struct Context<'a, 'e> {
    ground: Ground<'a>,
    pub(super) events: &'e [&'a Value],
}

impl<'a> std::ops::Deref for Context<'a, '_> {
    type Target = Ground<'a>;

    fn deref(&self) -> &Self::Target {
        &self.ground
    }
}

/// Judges one pod.
pub(super) fn judge(pod: &Value, context: &Context<'_, '_>) -> PodVerdict {
    for (specs, statuses) in
        [("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")]
    {
        for status in pod["status"][statuses].as_array().into_iter().flatten() {
            if let Some((reason, state, message)) = container_failure(pod, status, context) {
                if let Some(left) = until_back_off(reason, status, context) {
                    return PodVerdict::Suspect(left);
                }
                let mut evidence = Evidence::of_pod(&context.workload.watched.object, pod, state, message);
                describe_container(&mut evidence, &pod["spec"][specs], status);
                return PodVerdict::Failed(reason, Box::new(evidence));
            }
        }
    }
    unschedulable(pod, context)
}

/// How long the kubelet may still take to say `CrashLoopBackOff` of a container that has just ended: it is the name that
/// people look for, and its event comes with it. The event comes by a watch of its own, so that the state may be seen first.
fn until_back_off(reason: FailureReason, status: &Value, context: &Context<'_, '_>) -> Option<Duration> {
    if reason != FailureReason::CrashLoop {
        return None;
    }
    if let Some(ended) = time(&status["state"]["terminated"]["finishedAt"]) {
        return remaining(Some(ended), Duration::from_secs(2), context.now);
    }
    let ended = time(&status["lastState"]["terminated"]["finishedAt"])?;
    let told = context.events.iter().any(|event| event["reason"] == "BackOff");
    if told { None } else { remaining(Some(ended), Duration::from_secs(3), context.now) }
}

/// Reason, name of the state, and message, if the container's state is a failure.
fn container_failure<'a>(
    pod: &Value,
    status: &'a Value,
    context: &Context<'_, '_>,
) -> Option<(FailureReason, &'a str, &'a str)> {
    let waiting = &status["state"]["waiting"];
    let state = waiting["reason"].as_str().unwrap_or_default();
    let message = waiting["message"].as_str().unwrap_or_default();
    let young = context.began.is_none_or(|began| time(&pod["metadata"]["creationTimestamp"]) >= Some(began));
    let fresh = young || events_since(context) > 0;
    match state {
        "CrashLoopBackOff" | "" | "ContainerCreating" | "PodInitializing" => crash(status, young, context),
        // Once may be a passing trouble of the registry; the kubelet tries again at once.
        "ErrImagePull" | "RegistryUnavailable" if events_since(context) < 2 => None,
        _ if !fresh => None,
        "ImagePullBackOff"
        | "ErrImagePull"
        | "RegistryUnavailable"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "SignatureValidationFailed" => Some((FailureReason::ImagePull, state, message)),
        "InvalidImageName" => Some((FailureReason::InvalidImage, state, message)),
        "CreateContainerConfigError" => Some((FailureReason::ContainerConfig, state, message)),
        "RunContainerError"
        | "CreateContainerError"
        | "StartError"
        | "PreStartHookError"
        | "PostStartHookError" => Some((FailureReason::RunContainer, state, message)),
        _ => None,
    }
}

/// How often the kubelet warned about the pod since we changed the workload.
fn events_since(context: &Context<'_, '_>) -> i64 {
    context
        .events
        .iter()
        .map(|event| crate::evidence::PodEvent::of(event))
        .filter(|event| event.reason == "Failed" && (context.began.is_none() || event.last >= context.began))
        .map(|event| event.count)
        .max()
        .unwrap_or(0)
}

/// A container that ended too often. Jobs count the ends of their pods themselves.
fn crash<'a>(
    status: &'a Value,
    young: bool,
    context: &Context<'_, '_>,
) -> Option<(FailureReason, &'a str, &'a str)> {
    if context.workload.watched.object.kind == "Job" {
        return None;
    }
    let waiting = &status["state"]["waiting"];
    let backing_off = waiting["reason"] == "CrashLoopBackOff";
    let ended = match &status["state"]["terminated"] {
        Value::Null if backing_off => &status["lastState"]["terminated"],
        ended => ended,
    };
    let failed = backing_off || ended["exitCode"].as_i64().is_some_and(|code| code != 0);
    let ends = status["restartCount"].as_i64().unwrap_or(0) + 1;
    let fresh = young || time(&ended["finishedAt"]) >= context.began;
    if !failed || !fresh || ends < context.options.crashes {
        return None;
    }
    let why = ended["reason"].as_str().unwrap_or_default();
    let last_words = ended["message"].as_str().filter(|words| !words.trim().is_empty());
    let message = last_words.or(waiting["message"].as_str()).unwrap_or_default();
    match why {
        "OOMKilled" => Some((FailureReason::OutOfMemory, why, message)),
        "StartError" | "ContainerCannotRun" => Some((FailureReason::RunContainer, why, message)),
        _ if backing_off => Some((FailureReason::CrashLoop, "CrashLoopBackOff", message)),
        _ => Some((FailureReason::CrashLoop, why, message)),
    }
}

fn describe_container(evidence: &mut Evidence, specs: &Value, status: &Value) {
    let name = status["name"].as_str();
    let spec = specs.as_array().into_iter().flatten().find(|spec| spec["name"].as_str() == name);
    evidence.container = name.map(str::to_owned);
    evidence.image =
        spec.and_then(|spec| spec["image"].as_str()).or(status["image"].as_str()).map(str::to_owned);
    evidence.restarts = status["restartCount"].as_i64();
    let code = |state: &str| status[state]["terminated"]["exitCode"].as_i64();
    evidence.exit_code = code("state").or_else(|| code("lastState"));
}

fn unschedulable(pod: &Value, context: &Context<'_, '_>) -> PodVerdict {
    let condition = object::condition(pod, "PodScheduled");
    let Some(condition) = condition.filter(|c| c["status"] == "False" && c["reason"] == "Unschedulable")
    else {
        return PodVerdict::Fine;
    };
    let since =
        time(&condition["lastTransitionTime"]).or_else(|| time(&pod["metadata"]["creationTimestamp"]));
    match remaining(since, context.options.unschedulable_grace, context.now) {
        Some(left) => PodVerdict::Suspect(left),
        None => {
            let message = condition["message"].as_str().unwrap_or_default();
            let evidence = Evidence::of_pod(&context.workload.watched.object, pod, "Unschedulable", message);
            PodVerdict::Failed(FailureReason::Unschedulable, Box::new(evidence))
        }
    }
}

/// What is left of a grace time that began at `since`; `None` when it is over. An unknown begin is now.
pub(super) fn remaining(since: Option<Timestamp>, grace: Duration, now: Timestamp) -> Option<Duration> {
    let passed = since.map_or(Duration::ZERO, |since| {
        // A cluster's clock that is ahead of ours has passed nothing yet.
        Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
    });
    grace.checked_sub(passed).filter(|left| !left.is_zero())
}

/// What a pod that is not ready waits for, in few words; `None` when it is ready.
pub(super) fn waiting_for(pod: &Value, workload: &Workload, events: &[&Value]) -> Option<Evidence> {
    if object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True") {
        return None;
    }
    let of = |reason: &str, message: &str| Evidence::of_pod(&workload.watched.object, pod, reason, message);
    for (specs, statuses) in
        [("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")]
    {
        for status in pod["status"][statuses].as_array().into_iter().flatten() {
            let waiting = &status["state"]["waiting"];
            if let Some(reason) = waiting["reason"].as_str() {
                let mut evidence = of(reason, waiting["message"].as_str().unwrap_or_default());
                describe_container(&mut evidence, &pod["spec"][specs], status);
                return Some(evidence);
            }
        }
    }
    let unhealthy = events.iter().rev().find(|event| event["reason"] == "Unhealthy");
    if let Some(event) = unhealthy {
        return Some(of("not ready", event["message"].as_str().unwrap_or_default()));
    }
    let scheduled = object::condition(pod, "PodScheduled").filter(|c| c["status"] == "False");
    if let Some(condition) = scheduled {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        return Some(of(text("reason"), text("message")));
    }
    Some(of(if pod["status"]["phase"] == "Running" { "not ready" } else { "starting" }, ""))
}

#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;
