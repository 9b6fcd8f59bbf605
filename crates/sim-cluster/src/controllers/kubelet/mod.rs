//! The scheduler and the one node: pods are placed, their images pulled, their containers started, watched and stopped.

mod config;
mod container;
mod node;
mod status;

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Again, Context, events, pods, sooner};
use crate::{
    json,
    store::{Key, Tx},
    write::Options,
};
pub(super) use config::refers_to;
pub(super) use node::{register as register_nodes, want_node, wanted_node};

pub(super) const COMPONENT: &str = "kubelet";

/// Seconds that a container takes to stop when asked to.
const STOP: f64 = 1.0;

/// What the node knows about its pods beyond their status.
#[derive(Debug, Default)]
pub(super) struct Memory {
    containers: HashMap<(String, String), container::Runtime>,
    stopping: HashMap<String, Instant>,
}

impl Memory {
    pub(super) fn forget(&mut self, uid: &str) {
        self.containers.retain(|(pod, _), _| pod != uid);
        self.stopping.remove(uid);
    }
}

/// The writer of what the node reports.
fn kubelet() -> Options {
    Options::by(COMPONENT).on("status")
}

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let pod = tx.get_key(key)?;
    let ended = matches!(json::text(&pod, "/status/phase"), "Succeeded" | "Failed");
    if json::is_deleting(&pod) {
        return stop(tx, context, key, &pod);
    }
    if ended {
        return None;
    }
    if json::text(&pod, "/spec/nodeName").is_empty() {
        node::schedule(tx, key, &pod);
        return None;
    }
    // Somebody may have bound it to a node that there is not.
    tx.get("nodes", "", json::text(&pod, "/spec/nodeName"))?;
    run(tx, context, key, &pod)
}

/// Brings the containers forward and writes the status that follows.
fn run(tx: &mut Tx<'_>, context: &mut Context, key: &Key, pod: &Value) -> Again {
    let mut status = pod["status"].clone();
    status::prepare(pod, &mut status, &tx.stamp());
    if json::text(&status, "/podIP").is_empty() {
        if let Some(problem) = config::missing_volume(tx, pod) {
            events::record(tx, pod, events::Event::warning("FailedMount", problem, COMPONENT));
            status::conclude(pod, &mut status, &tx.stamp());
            tx.modify(key, &kubelet(), |p| json::set(p, "/status", status));
            return None;
        }
        let ip = tx.allocate_pod_ip();
        json::set(&mut status, "/podIPs", json!([{ "ip": ip }]));
        json::set(&mut status, "/podIP", ip);
    }
    let mut again = None;
    let mut initialized = true;
    for (index, spec) in json::items(pod, "/spec/initContainers").iter().enumerate() {
        if !initialized {
            break;
        }
        let slot = format!("/initContainerStatuses/{index}");
        again = sooner(again, container::step(tx, context, pod, spec, true, &mut status, &slot));
        let state = status.pointer(&slot).unwrap_or(&Value::Null);
        initialized = json::int(state, "/state/terminated/exitCode") == Some(0);
    }
    if initialized {
        for (index, spec) in json::items(pod, "/spec/containers").iter().enumerate() {
            let slot = format!("/containerStatuses/{index}");
            again = sooner(again, container::step(tx, context, pod, spec, false, &mut status, &slot));
        }
    }
    status::conclude(pod, &mut status, &tx.stamp());
    tx.modify(key, &kubelet(), |p| json::set(p, "/status", status));
    again
}

/// Ends a pod that is being deleted: Killing first, then it is gone.
fn stop(tx: &mut Tx<'_>, context: &mut Context, key: &Key, pod: &Value) -> Again {
    let uid = json::uid(pod).to_owned();
    let grace = json::count(pod, "/metadata/deletionGracePeriodSeconds");
    let running: Vec<_> = json::items(pod, "/status/containerStatuses")
        .iter()
        .filter(|c| c.pointer("/state/running").is_some())
        .map(|c| json::text(c, "/name").to_owned())
        .collect();
    let at = match context.node.stopping.get(&uid) {
        Some(at) => *at,
        None => {
            for name in &running {
                let message = format!("Stopping container {name}");
                let event = events::Event::normal("Killing", message, COMPONENT)
                    .at(format!("spec.containers{{{name}}}"));
                events::record(tx, pod, event);
            }
            #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
            let seconds = if running.is_empty() { 0.0 } else { STOP.min(grace as f64) };
            let at = context.later(context.now, seconds);
            context.node.stopping.insert(uid, at);
            at
        }
    };
    if at > context.now {
        return Some(at);
    }
    // Finalizers of others keep the object, not the containers.
    if json::items(pod, "/metadata/finalizers").is_empty() {
        tx.remove(key);
    } else if pods::is_ready(pod) {
        let now = tx.stamp();
        tx.modify(key, &kubelet(), |p| status::stopped(p, &now));
    }
    None
}
