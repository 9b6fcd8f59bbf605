//! What is wrong with one container of a pod.

use std::time::Duration;

use serde_json::Value;

use super::pods::{Context, remaining};
use super::pull;
use crate::container::{Container, ContainerRole};
use crate::evidence::{FailureReason, time};

/// Something that is wrong with a container.
pub(super) struct Found {
    pub(super) reason: FailureReason,
    /// The state's name, as Kubernetes gives it.
    pub(super) state: String,
    pub(super) message: String,
    /// It is a failure only if it lasts that much longer.
    pub(super) left: Option<Duration>,
}

impl Found {
    pub(super) fn now(reason: FailureReason, state: &str, message: &str) -> Self {
        Self { reason, state: state.to_owned(), message: message.to_owned(), left: None }
    }

    fn unless(self, left: Option<Duration>) -> Self {
        Self { left, ..self }
    }

    /// Not before that has passed either.
    fn not_before(self, left: Option<Duration>) -> Self {
        Self { left: self.left.max(left), ..self }
    }
}

/// How long a container of a pod that is older than our change may stay as it was before: the change may have mended what the
/// pod waits for, but a template that was deployed once more waits in vain, and a back-off tells nothing for up to five minutes.
const STILL: Duration = Duration::from_secs(15);

/// What is wrong with the container, if anything is.
pub(super) fn judge(pod: &Value, container: &Container<'_>, context: &Context<'_, '_>) -> Option<Found> {
    let state = container.waits_for();
    let message = container.status["state"]["waiting"]["message"].as_str().unwrap_or_default();
    let young = context.began.is_none_or(|began| time(&pod["metadata"]["creationTimestamp"]) >= Some(began));
    if matches!(state, "CrashLoopBackOff" | "" | "ContainerCreating" | "PodInitializing") {
        return crash(container, young, context);
    }
    let now = |reason| Some(Found::now(reason, state, message));
    let found = match state {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => pull::judge(state, message, context),
        "ErrImageNeverPull" | "ImageInspectError" | "SignatureValidationFailed" => {
            now(FailureReason::ImagePull)
        }
        "InvalidImageName" => now(FailureReason::InvalidImage),
        // Who makes the ConfigMap or the Secret, or the runtime, may be a little late; the kubelet tries again by itself.
        "CreateContainerConfigError" => {
            Some(patient(pod, FailureReason::ContainerConfig, state, message, context))
        }
        "CreateContainerError" => Some(patient(pod, FailureReason::RunContainer, state, message, context)),
        "RunContainerError" | "StartError" | "PreStartHookError" | "PostStartHookError" => {
            now(FailureReason::RunContainer)
        }
        _ => None,
    };
    let told = young || context.warnings(&["Failed"]).next().is_some();
    found.map(|found| if told { found } else { found.not_before(still(context)) })
}

/// How long it is too early to say that our change has mended nothing.
fn still(context: &Context<'_, '_>) -> Option<Duration> {
    remaining(context.began, STILL, context.now)
}

/// A failure if it lasts.
fn patient(
    pod: &Value,
    reason: FailureReason,
    state: &str,
    message: &str,
    context: &Context<'_, '_>,
) -> Found {
    let created = time(&pod["metadata"]["creationTimestamp"]).max(context.began);
    let since = context.since(&["Failed"]).or(created);
    Found::now(reason, state, message).unless(remaining(since, context.options.config_grace, context.now))
}

/// A container that ended too often. Jobs count the ends of their pods themselves; a sidecar is none of those.
fn crash(container: &Container<'_>, young: bool, context: &Context<'_, '_>) -> Option<Found> {
    let status = container.status;
    if context.workload.watched.object.kind == "Job" && container.role != ContainerRole::Sidecar {
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
    // One that ended before our change and runs again may be mended; one that backs off is not started for now.
    if !failed || !(fresh || backing_off) || ends < context.options.crashes {
        return None;
    }
    let why = ended["reason"].as_str().unwrap_or_default();
    let last_words = ended["message"].as_str().filter(|words| !words.trim().is_empty()).map(str::to_owned);
    let message = last_words
        .or_else(|| killed_by_probe(ended, context))
        .or_else(|| waiting["message"].as_str().map(str::to_owned))
        .unwrap_or_default();
    let reason = match why {
        "OOMKilled" => FailureReason::OutOfMemory,
        "StartError" | "ContainerCannotRun" => FailureReason::RunContainer,
        _ => FailureReason::CrashLoop,
    };
    let state = if backing_off && reason == FailureReason::CrashLoop { "CrashLoopBackOff" } else { why };
    let found = Found::now(reason, state, &message).unless(until_back_off(reason, status, context));
    Some(if fresh { found } else { found.not_before(still(context)) })
}

/// What the probe said for which the kubelet killed the container: it ended by a signal then.
fn killed_by_probe(ended: &Value, context: &Context<'_, '_>) -> Option<String> {
    const SIGNALLED: std::ops::RangeInclusive<i64> = 129..=192;
    ended["exitCode"].as_i64().filter(|code| SIGNALLED.contains(code))?;
    let kills =
        |message: &String| message.starts_with("Liveness probe") || message.starts_with("Startup probe");
    context.warnings(&["Unhealthy"]).map(|event| event.message).rfind(kills)
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
