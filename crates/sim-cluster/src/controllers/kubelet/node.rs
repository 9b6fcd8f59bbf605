//! The node, and which pods fit on it.

use serde_json::{Value, json};

use super::super::{
    conditions::{self, Condition},
    events,
};
use crate::{
    json, kinds,
    store::{Key, Tx},
    strategy::parse_quantity,
    write::Options,
};

/// The one node.
pub(crate) const NODE: &str = "sim-node-1";
const ADDRESS: &str = "192.168.49.2";
const SCHEDULER: &str = "default-scheduler";

/// Creates the node unless it is there.
pub(crate) fn register(tx: &mut Tx<'_>) {
    let kind = kinds::of("nodes");
    if tx.get("nodes", "", NODE).is_some() {
        return;
    }
    let labels = json!({
        "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64",
    });
    let now = tx.stamp();
    let capacity = json!({ "cpu": "64", "memory": "256Gi", "pods": "10000", "ephemeral-storage": "1Ti" });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now, "lastTransitionTime": now });
    let node = json!({
        "metadata": { "name": NODE, "labels": labels },
        "spec": { "podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"] },
        "status": {
            "capacity": capacity, "allocatable": capacity,
            "addresses": [{ "type": "InternalIP", "address": ADDRESS }, { "type": "Hostname", "address": NODE }],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "containerd://sim", "kernelVersion": "sim",
                "kubeProxyVersion": "v1.32.4", "kubeletVersion": "v1.32.4", "machineID": "", "operatingSystem": "linux",
                "osImage": "simulated", "systemUUID": "",
            },
        },
    });
    // Its name is valid and not taken.
    let _ = tx.create(kind, "", node, &Options::by("kubelet"));
}

/// Binds the pod to the node, or says why it does not fit.
pub(super) fn schedule(tx: &mut Tx<'_>, key: &Key, pod: &Value) {
    if !json::items(pod, "/spec/schedulingGates").is_empty() {
        return;
    }
    let scheduler = Options::by("kube-scheduler");
    let now = tx.stamp();
    if let Some(reason) = misfit(tx, pod) {
        let message = format!(
            "0/1 nodes are available: {reason}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        );
        let condition =
            Condition { kind: "PodScheduled", status: "False", reason: "Unschedulable", message: &message };
        let mut status = pod["status"].clone();
        conditions::set(&mut status, condition, &now, false);
        if status != pod["status"] {
            tx.modify(key, &scheduler.on("status"), |p| json::set(p, "/status", status));
            events::record(tx, pod, events::Event::warning("FailedScheduling", message, SCHEDULER));
        }
        return;
    }
    tx.modify(key, &scheduler, |p| json::set(p, "/spec/nodeName", NODE));
    let message = format!("Successfully assigned {}/{} to {NODE}", json::namespace(pod), json::name(pod));
    events::record(tx, pod, events::Event::normal("Scheduled", message, SCHEDULER));
    tx.modify(key, &scheduler.on("status"), |p| {
        let mut status = p["status"].clone();
        let condition = Condition { kind: "PodScheduled", status: "True", reason: "", message: "" };
        conditions::set(&mut status, condition, &now, false);
        json::set(&mut status, "/hostIP", ADDRESS);
        json::set(&mut status, "/hostIPs", json!([{ "ip": ADDRESS }]));
        json::set(&mut status, "/startTime", now.as_str());
        json::set(p, "/status", status);
    });
}

/// Why the pod cannot run on the node. What the other pods take is not counted: the node is never full.
fn misfit(tx: &Tx<'_>, pod: &Value) -> Option<String> {
    let node = tx.get("nodes", "", NODE)?;
    for volume in json::items(pod, "/spec/volumes") {
        let claim = json::text(volume, "/persistentVolumeClaim/claimName");
        if !claim.is_empty() && tx.get("persistentvolumeclaims", json::namespace(pod), claim).is_none() {
            return Some(format!("persistentvolumeclaim {claim:?} not found"));
        }
    }
    let labels = &node["metadata"]["labels"];
    let wanted = json::map(pod, "/spec/nodeSelector").into_iter().flatten();
    if wanted.into_iter().any(|(k, v)| labels.get(k) != Some(v)) {
        return Some("1 node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    if json::flag(&node, "/spec/unschedulable") {
        return Some("1 node(s) were unschedulable".to_owned());
    }
    ["cpu", "memory"].into_iter().find_map(|resource| {
        let amount = |o: &Value, p: &str| parse_quantity(json::text(o, p)).unwrap_or(0.0);
        let pointer = |part: &str| format!("/resources/{part}/{resource}");
        let asked: f64 = json::items(pod, "/spec/containers")
            .iter()
            .map(|c| {
                let requests = amount(c, &pointer("requests"));
                if requests > 0.0 { requests } else { amount(c, &pointer("limits")) }
            })
            .sum();
        (asked > amount(&node, &format!("/status/allocatable/{resource}")))
            .then(|| format!("1 Insufficient {resource}"))
    })
}
