//! What a pod that is not ready waits for, in few words.

use serde_json::Value;

use super::seen::Workload;
use super::start;
use crate::container::{self, ContainerRole};
use crate::evidence::{Evidence, PodEvent};
use crate::object;

/// What the pod waits for; `None` when it is ready. `events` are the warnings about it, the most recent last.
pub(super) fn waiting_for(pod: &Value, workload: &Workload, events: &[&Value]) -> Option<Evidence> {
    if object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True") {
        return None;
    }
    let of = |reason: &str, message: &str| Evidence::of_pod(&workload.watched.object, pod, reason, message);
    if pod["status"]["phase"] == "Failed" {
        let text = |key: &str| pod["status"][key].as_str().unwrap_or_default();
        return Some(of(if text("reason").is_empty() { "Failed" } else { text("reason") }, text("message")));
    }
    for container in container::of(pod) {
        let status = container.status;
        if container.role == ContainerRole::Init && !status["state"]["running"].is_null() {
            return Some(of("PodInitializing", "its init container runs").of_container(&container));
        }
        let reason = container.waits_for();
        if reason.is_empty() {
            continue;
        }
        let message = status["state"]["waiting"]["message"].as_str().unwrap_or_default();
        let told = last(events, &[start::VOLUME.as_slice(), &start::SANDBOX].concat());
        let evidence = match told.filter(|_| reason == "ContainerCreating" || reason == "PodInitializing") {
            Some(event) => of(&event.reason, &event.message),
            None => of(reason, message),
        };
        return Some(evidence.of_container(&container));
    }
    if let Some(event) = last(events, &["Unhealthy"]) {
        return Some(of("not ready", &event.message));
    }
    let scheduled = object::condition(pod, "PodScheduled").filter(|c| c["status"] == "False");
    if let Some(condition) = scheduled {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        return Some(of(text("reason"), text("message")));
    }
    Some(of(if pod["status"]["phase"] == "Running" { "not ready" } else { "starting" }, ""))
}

fn last(events: &[&Value], reasons: &[&str]) -> Option<PodEvent> {
    let fits = |event: &&&Value| event["reason"].as_str().is_some_and(|reason| reasons.contains(&reason));
    events.iter().rev().find(fits).map(|event| PodEvent::of(event))
}
