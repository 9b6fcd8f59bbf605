//! Pods that do not come to start their containers: no node, no volume, no network.

use std::time::Duration;

use serde_json::Value;

use super::pods::{Context, PodVerdict, remaining};
use crate::container;
use crate::evidence::{Evidence, FailureReason, PodEvent, time};
use crate::object;

/// What the kubelet and the volume controller say when a volume does not come.
pub(super) const VOLUME: [&str; 2] = ["FailedMount", "FailedAttachVolume"];
/// What the kubelet says when a pod gets no network.
pub(super) const SANDBOX: [&str; 1] = ["FailedCreatePodSandBox"];

/// Judges a pod none of whose containers tells anything.
pub(super) fn judge(pod: &Value, context: &Context<'_, '_>) -> PodVerdict {
    let condition = object::condition(pod, "PodScheduled");
    if let Some(condition) = condition.filter(|c| c["status"] == "False" && c["reason"] == "Unschedulable") {
        return unschedulable(pod, condition, context);
    }
    if has_started(pod) {
        return PodVerdict::Fine;
    }
    let volume = context.warnings(&VOLUME).next_back();
    if let Some(event) = volume {
        // What is not there does not come by waiting; a disk may have to leave another node first.
        let missing = event.message.contains("not found");
        let grace = if missing { context.options.config_grace } else { context.options.volume_grace };
        return stuck(pod, FailureReason::VolumeMount, &VOLUME, grace, &event, context);
    }
    match context.warnings(&SANDBOX).next_back() {
        Some(event) => {
            let grace = context.options.unschedulable_grace;
            stuck(pod, FailureReason::PodSandbox, &SANDBOX, grace, &event, context)
        }
        None => PodVerdict::Fine,
    }
}

/// Whether any of its containers has ever run.
fn has_started(pod: &Value) -> bool {
    container::of(pod).any(|c| !c.status["state"]["running"].is_null() || !c.ended().is_null())
}

/// A failure that events tell of, if it lasts.
fn stuck(
    pod: &Value,
    reason: FailureReason,
    reasons: &[&str],
    grace: Duration,
    event: &PodEvent,
    context: &Context<'_, '_>,
) -> PodVerdict {
    match remaining(context.since(reasons), grace, context.now) {
        Some(left) => PodVerdict::Suspect(left),
        None => {
            let object = &context.workload.watched.object;
            let evidence = Evidence::of_pod(object, pod, &event.reason, &event.message);
            PodVerdict::Failed(reason, Box::new(evidence))
        }
    }
}

fn unschedulable(pod: &Value, condition: &Value, context: &Context<'_, '_>) -> PodVerdict {
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

/// A failure when nodes evicted two pods of the new version: one may have met a node in need, two use too much.
pub(super) fn evicted(pods: &[&Value], context: &Context<'_, '_>) -> PodVerdict {
    let since = |pod: &&&Value| {
        context.began.is_none_or(|began| time(&pod["metadata"]["creationTimestamp"]) >= Some(began))
    };
    let mut out = pods.iter().filter(|pod| is_evicted(pod)).filter(since);
    let (Some(pod), Some(_)) = (out.next(), out.next()) else { return PodVerdict::Fine };
    let message = pod["status"]["message"].as_str().unwrap_or_default();
    let evidence = Evidence::of_pod(&context.workload.watched.object, pod, "Evicted", message);
    PodVerdict::Failed(FailureReason::Evicted, Box::new(evidence))
}

pub(super) fn is_evicted(pod: &Value) -> bool {
    pod["status"]["phase"] == "Failed" && pod["status"]["reason"] == "Evicted"
}
