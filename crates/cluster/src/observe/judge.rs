//! The verdict over all that has been seen.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ObserveOptions;
use super::pods::{self, Ground, PodVerdict};
use super::progress::{self, Progress};
use super::refused;
use super::seen::{Seen, Workload};
use super::start;
use super::waiting::waiting_for;
use crate::container;
use crate::evidence::{Evidence, FailureReason, PodEvent, time};
use crate::object;

/// How things stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Ready {
        summary: String,
    },
    Progressing {
        summary: String,
        waiting: Option<Box<Evidence>>,
        /// Judge again after this time, even if nothing changes.
        again: Option<Duration>,
    },
    Failed {
        reason: FailureReason,
        evidence: Box<Evidence>,
    },
}

/// Workloads that a summary tells of one by one.
const NAMED: usize = 3;

/// Judges all workloads: one failure is the failure of all.
pub(super) fn judge(seen: &Seen, options: &ObserveOptions, now: Timestamp) -> Judged {
    let mut ready = Vec::new();
    let mut open = Vec::new();
    let mut first_waiting = None;
    let mut soonest: Option<Duration> = None;
    for workload in &seen.workloads {
        match judge_one(seen, workload, options, now) {
            failed @ Judged::Failed { .. } => return failed,
            Judged::Ready { summary } => ready.push(format!("{}: {summary}", workload.watched.object)),
            Judged::Progressing { summary, waiting, again } => {
                open.push(format!("{}: {summary}", workload.watched.object));
                first_waiting = first_waiting.or(waiting);
                soonest = [soonest, again].into_iter().flatten().min();
            }
        }
    }
    match open.is_empty() {
        true if ready.is_empty() => Judged::Ready { summary: "nothing to wait for".into() },
        true => Judged::Ready { summary: joined(&ready) },
        false => Judged::Progressing { summary: joined(&open), waiting: first_waiting, again: soonest },
    }
}

fn joined(lines: &[String]) -> String {
    let named = lines.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
    match lines.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{named}; and {more} more"),
        None => named,
    }
}

fn judge_one(seen: &Seen, workload: &Workload, options: &ObserveOptions, now: Timestamp) -> Judged {
    let watched = &workload.watched;
    let Some(live) = &workload.live else {
        let message = "it was deleted while its rollout was watched";
        let evidence = Evidence::of_workload(&watched.object, "NotFound", message);
        return Judged::Failed { reason: FailureReason::Missing, evidence: Box::new(evidence) };
    };
    let progress = progress::of(&watched.object.kind, live, watched.generation, Some(now));
    let summary = match &progress {
        Progress::Unobserved => {
            let summary = "waiting for its controller to see the change".to_owned();
            return Judged::Progressing { summary, waiting: None, again: None };
        }
        Progress::Ready(summary) => return Judged::Ready { summary: summary.clone() },
        Progress::Waiting(summary) => summary.clone(),
        Progress::Failed { .. } => String::new(),
    };
    let namespace = watched.object.namespace.as_deref();
    let ground = Ground { workload, began: progress::last_applied(live), now, options };
    let mut again = match watched.object.kind.as_str() {
        "Deployment" => progress::deadline_exceeded(live, Some(now)).and_then(|(_, left)| left),
        _ => None,
    };
    let mut waiting = None;
    let pods = if watched.object.kind == "Pod" { vec![live] } else { pods::of_new_version(workload, live) };
    if let PodVerdict::Failed(reason, evidence) = start::evicted(&pods, &ground.with(&[])) {
        let pod = pods.iter().find(|pod| evidence.pod.as_deref() == Some(object::name(pod)));
        return failed(
            reason,
            evidence,
            &pod.map(|p| seen.events(namespace, object::uid(p))).unwrap_or_default(),
        );
    }
    for pod in pods {
        let events = seen.events(namespace, object::uid(pod));
        match pods::judge(pod, &ground.with(&events)) {
            PodVerdict::Failed(reason, evidence) => return failed(reason, evidence, &events),
            PodVerdict::Suspect(left) => again = Some(again.map_or(left, |a| a.min(left))),
            PodVerdict::Fine => {}
        }
        if waiting.is_none() {
            waiting = waiting_for(pod, workload, &events).map(|found| (found, events));
        }
    }
    let about = workload_events(seen, workload, live);
    match refused::judge(live, &ground.with(&about)) {
        PodVerdict::Failed(reason, evidence) => return failed(reason, evidence, &about),
        PodVerdict::Suspect(left) => again = Some(again.map_or(left, |a| a.min(left))),
        PodVerdict::Fine => {}
    }
    if let Progress::Failed { reason, message } = progress {
        return gave_up(workload, &reason, &message, waiting, &about);
    }
    let waiting = waiting.map(|(evidence, _)| Box::new(evidence));
    let summary = match waiting.as_ref().and_then(|w| Some((w.pod.as_ref()?, &w.reason))) {
        Some((pod, reason)) => format!("{summary}, waiting for {pod}: {reason}"),
        None => summary,
    };
    Judged::Progressing { summary, waiting, again }
}

/// Events about the workload itself, and about the newest ReplicaSet of a Deployment, which makes its pods.
fn workload_events<'a>(seen: &'a Seen, workload: &Workload, live: &Value) -> Vec<&'a Value> {
    let namespace = workload.watched.object.namespace.as_deref();
    let mut events = seen.events(namespace, object::uid(live));
    if let Some(set) = pods::newest_replica_set(workload, live) {
        events.extend(seen.events(namespace, object::uid(set)));
    }
    events
}

/// The workload says itself that it failed; a pod that is not ready shows why.
fn gave_up(
    workload: &Workload,
    reason: &str,
    message: &str,
    waiting: Option<(Evidence, Vec<&Value>)>,
    about: &[&Value],
) -> Judged {
    let object = &workload.watched.object;
    let failure = match object.kind.as_str() {
        "Deployment" => FailureReason::ProgressDeadlineExceeded,
        "Job" => FailureReason::JobFailed,
        "Pod" if reason == "Evicted" => FailureReason::Evicted,
        _ => FailureReason::PodCreation,
    };
    if let Some(evidence) = last_end(workload, reason, message) {
        return failed(failure, Box::new(evidence), about);
    }
    let Some((shown, events)) = waiting else {
        return failed(failure, Box::new(Evidence::of_workload(object, reason, message)), about);
    };
    let detail = if shown.message.is_empty() { &shown.reason } else { &shown.message };
    let message = if message.is_empty() { detail.clone() } else { format!("{message} ({detail})") };
    let evidence = Evidence { reason: reason.to_owned(), message, ..shown };
    failed(failure, Box::new(evidence), &events)
}

/// The container of a Job or a Pod whose failure was the last, also in a pod that is on its way out: a Job deletes those that
/// would be started again.
fn last_end(workload: &Workload, reason: &str, message: &str) -> Option<Evidence> {
    let object = &workload.watched.object;
    let itself = workload.live.as_ref().filter(|_| object.kind == "Pod");
    let pods = match object.kind.as_str() {
        "Job" => workload.pods.values().chain(None),
        "Pod" => workload.pods.values().chain(itself),
        _ => return None,
    };
    let ends = pods.flat_map(|pod| container::of(pod).map(move |container| (pod, container)));
    let failed = ends.filter(|(_, c)| c.ended()["exitCode"].as_i64().is_some_and(|code| code != 0));
    let (pod, container) = failed.max_by_key(|(_, c)| time(&c.ended()["finishedAt"]))?;
    let ended = container.ended();
    let text = |key: &str| ended[key].as_str().map(str::trim).unwrap_or_default();
    let why =
        [text("reason"), text("message")].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
    let message = match (message, why.join(": ")) {
        (message, why) if why.is_empty() => message.to_owned(),
        ("", why) => why,
        (message, why) => format!("{message} ({why})"),
    };
    Some(Evidence::of_pod(object, pod, reason, &message).of_container(&container))
}

fn failed(reason: FailureReason, mut evidence: Box<Evidence>, events: &[&Value]) -> Judged {
    evidence.event = telling(reason, events);
    Judged::Failed { reason, evidence }
}

/// The event that proves a failure of that kind: of those with a fitting reason, the one that says most.
fn telling(reason: FailureReason, events: &[&Value]) -> Option<PodEvent> {
    let fitting: &[&str] = match reason {
        FailureReason::ImagePull | FailureReason::ContainerConfig => &["Failed"],
        FailureReason::InvalidImage => &["InspectFailed", "Failed"],
        FailureReason::CrashLoop | FailureReason::OutOfMemory => &["BackOff"],
        FailureReason::RunContainer => &["Failed", "BackOff", "FailedPostStartHook"],
        FailureReason::Unschedulable => &["FailedScheduling"],
        FailureReason::VolumeMount => &["FailedMount", "FailedAttachVolume"],
        FailureReason::PodSandbox => &["FailedCreatePodSandBox"],
        FailureReason::Evicted => &["Evicted"],
        FailureReason::QuotaExceeded
        | FailureReason::AdmissionDenied
        | FailureReason::Forbidden
        | FailureReason::PodCreation => &["FailedCreate"],
        FailureReason::ProgressDeadlineExceeded => {
            &["Unhealthy", "BackOff", "Failed", "FailedMount", "FailedScheduling"]
        }
        FailureReason::JobFailed => &["BackoffLimitExceeded", "DeadlineExceeded", "BackOff", "Failed"],
        FailureReason::Missing => &[],
    };
    events
        .iter()
        .filter(|event| event["reason"].as_str().is_some_and(|reason| fitting.contains(&reason)))
        .map(|event| PodEvent::of(event))
        .max_by_key(|event| event.message.len())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
