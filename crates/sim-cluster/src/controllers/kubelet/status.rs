//! A pod's phase and conditions, from the states of its containers.

use serde_json::{Value, json};

use super::super::conditions::{self, Condition};
use crate::json;

/// Makes an entry for each container that has none yet.
pub(super) fn prepare(pod: &Value, status: &mut Value, now: &str) {
    json::set_default(status, "/startTime", now);
    let has_init = !json::items(pod, "/spec/initContainers").is_empty();
    for (specs, list, init) in [
        ("/spec/initContainers", "/initContainerStatuses", true),
        ("/spec/containers", "/containerStatuses", false),
    ] {
        let specs = json::items(pod, specs);
        if specs.is_empty() || json::items(status, list).len() == specs.len() {
            continue;
        }
        let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
        let entries: Vec<_> = specs
            .iter()
            .map(|c| {
                let mut entry = json!({
                    "name": c["name"], "image": c["image"], "imageID": "", "ready": false, "restartCount": 0, "lastState": {},
                    "state": { "waiting": { "reason": reason } },
                });
                if !init {
                    entry["started"] = false.into();
                }
                entry
            })
            .collect();
        json::set(status, list, entries);
    }
}

fn has_started(container: &Value) -> bool {
    container.pointer("/state/running").is_some()
        || container.pointer("/state/terminated").is_some()
        || container.pointer("/lastState/terminated").is_some()
}

/// Names of the containers in `list` for which `holds` is false, as messages show them.
fn names(status: &Value, list: &str, holds: impl Fn(&Value) -> bool) -> String {
    let all: Vec<_> =
        json::items(status, list).iter().filter(|c| !holds(c)).map(|c| json::text(c, "/name")).collect();
    all.join(" ")
}

/// Sets phase and conditions.
pub(super) fn conclude(pod: &Value, status: &mut Value, now: &str) {
    let containers = json::items(status, "/containerStatuses").to_vec();
    let code = |c: &Value| json::int(c, "/state/terminated/exitCode");
    let policy = json::text(pod, "/spec/restartPolicy");
    let init_failed = policy == "Never"
        && json::items(status, "/initContainerStatuses")
            .iter()
            .any(|c| code(c).is_some_and(|code| code != 0));
    let stays_ended =
        |c: &Value| code(c).is_some_and(|code| policy == "Never" || (policy == "OnFailure" && code == 0));
    let phase = if init_failed {
        "Failed"
    } else if !containers.is_empty() && containers.iter().all(stays_ended) {
        if containers.iter().all(|c| code(c) == Some(0)) { "Succeeded" } else { "Failed" }
    } else if containers.iter().any(has_started) {
        "Running"
    } else {
        "Pending"
    };
    json::set(status, "/phase", phase);
    let sandbox = if json::text(status, "/podIP").is_empty() { "False" } else { "True" };
    let plain = |kind, verdict| Condition { kind, status: verdict, reason: "", message: "" };
    conditions::set(status, plain("PodReadyToStartContainers", sandbox), now, false);
    let waiting = names(status, "/initContainerStatuses", |c| code(c) == Some(0));
    let message = format!("containers with incomplete status: [{waiting}]");
    let initialized = if waiting.is_empty() {
        plain("Initialized", "True")
    } else {
        Condition {
            kind: "Initialized",
            status: "False",
            reason: "ContainersNotInitialized",
            message: &message,
        }
    };
    conditions::set(status, initialized, now, false);
    set_ready(pod, status, phase, now);
}

fn set_ready(pod: &Value, status: &mut Value, phase: &str, now: &str) {
    let unready = names(status, "/containerStatuses", |c| json::flag(c, "/ready"));
    let message = format!("containers with unready status: [{unready}]");
    let (verdict, reason, message) = match phase {
        "Succeeded" => ("False", "PodCompleted", ""),
        "Failed" => ("False", "PodFailed", ""),
        _ if unready.is_empty() => ("True", "", ""),
        _ => ("False", "ContainersNotReady", message.as_str()),
    };
    let containers = Condition { kind: "ContainersReady", status: verdict, reason, message };
    conditions::set(status, containers, now, false);
    let probe = json!({ "status": status });
    let gate = json::items(pod, "/spec/readinessGates")
        .iter()
        .map(|g| json::text(g, "/conditionType"))
        .find(|g| !conditions::is_true(&probe, g));
    let gate_message =
        format!("the status of pod readiness gate {:?} is not \"True\", but False", gate.unwrap_or_default());
    let ready = match gate {
        Some(_) if verdict == "True" => Condition {
            kind: "Ready",
            status: "False",
            reason: "ReadinessGatesNotReady",
            message: &gate_message,
        },
        _ => Condition { kind: "Ready", ..containers },
    };
    conditions::set(status, ready, now, false);
}

/// The pod after its containers were stopped, when something keeps the object.
pub(super) fn stopped(pod: &mut Value, now: &str) {
    let spec = pod.clone();
    let Some(status) = pod.get_mut("status") else { return };
    for container in json::items_mut(status, "/containerStatuses") {
        json::set(container, "/ready", false);
        json::set(container, "/started", false);
        json::set(
            container,
            "/state",
            json!({ "terminated": { "exitCode": 0, "reason": "Completed", "finishedAt": now } }),
        );
    }
    conclude(&spec, status, now);
}
