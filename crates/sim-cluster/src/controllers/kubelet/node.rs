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

const SCHEDULER: &str = "default-scheduler";

fn node_name(number: usize) -> String {
    format!("sim-node-{number}")
}

fn address(node: &str) -> String {
    let number: u32 = node.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(1);
    format!("192.168.{}.{}", 49 + number / 250, 1 + number % 250)
}

/// Creates the nodes that are not there yet.
pub(crate) fn register(tx: &mut Tx<'_>, count: usize) {
    for number in 1..=count {
        let name = node_name(number);
        if tx.get("nodes", "", &name).is_none() {
            create(tx, &name);
        }
    }
}

fn create(tx: &mut Tx<'_>, name: &str) {
    let kind = kinds::of("nodes");
    let labels = json!({
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64",
    });
    let now = tx.stamp();
    let capacity = json!({ "cpu": "64", "memory": "256Gi", "pods": "10000", "ephemeral-storage": "1Ti" });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now, "lastTransitionTime": now });
    let node = json!({
        "metadata": { "name": name, "labels": labels },
        "spec": { "podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"] },
        "status": {
            "capacity": capacity, "allocatable": capacity,
            "addresses": [{ "type": "InternalIP", "address": address(name) }, { "type": "Hostname", "address": name }],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "containerd://sim", "kernelVersion": "sim",
                "kubeProxyVersion": "v1.36.1", "kubeletVersion": "v1.36.1", "machineID": "", "operatingSystem": "linux",
                "osImage": "simulated", "systemUUID": "",
            },
        },
    });
    // Its name is valid and not taken.
    let _ = tx.create(kind, "", node, &Options::by("kubelet"));
}

/// Makes a pod ask for one node, as the pods of DaemonSets do.
pub(crate) fn want_node(pod: &mut Value, node: &str) {
    let term = json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] });
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    json::set(
        pod,
        &format!("/spec/affinity/nodeAffinity/{required}"),
        json!({ "nodeSelectorTerms": [term] }),
    );
}

/// The node that the pod asks for; "" if any will do.
pub(crate) fn wanted_node(pod: &Value) -> &str {
    json::text(
        pod,
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0",
    )
}

/// Binds the pod to a node, or says why it fits on none.
pub(super) fn schedule(tx: &mut Tx<'_>, key: &Key, pod: &Value) {
    if !json::items(pod, "/spec/schedulingGates").is_empty() {
        return;
    }
    let scheduler = Options::by("kube-scheduler");
    let now = tx.stamp();
    let node = match choose(tx, pod) {
        Ok(node) => node,
        Err((count, reason)) => {
            let message = format!(
                "0/{count} nodes are available: {reason}. preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
            );
            let condition = Condition {
                kind: "PodScheduled",
                status: "False",
                reason: "Unschedulable",
                message: &message,
            };
            let mut status = pod["status"].clone();
            conditions::set(&mut status, condition, &now, false);
            if status != pod["status"] {
                tx.modify(key, &scheduler.on("status"), |p| json::set(p, "/status", status));
                events::record(tx, pod, events::Event::warning("FailedScheduling", message, SCHEDULER));
            }
            return;
        }
    };
    tx.modify(key, &scheduler, |p| json::set(p, "/spec/nodeName", node.as_str()));
    let message = format!("Successfully assigned {}/{} to {node}", json::namespace(pod), json::name(pod));
    events::record(tx, pod, events::Event::normal("Scheduled", message, SCHEDULER));
    let address = address(&node);
    tx.modify(key, &scheduler.on("status"), |p| {
        let mut status = p["status"].clone();
        let condition = Condition { kind: "PodScheduled", status: "True", reason: "", message: "" };
        conditions::set(&mut status, condition, &now, false);
        json::set(&mut status, "/hostIP", address.as_str());
        json::set(&mut status, "/hostIPs", json!([{ "ip": address }]));
        json::set(&mut status, "/startTime", now.as_str());
        json::set(p, "/status", status);
    });
}

/// The node with the fewest pods of those that the pod fits on, or how many there are and why it fits on none. What the other pods take is not
/// counted: a node is never full.
fn choose(tx: &Tx<'_>, pod: &Value) -> Result<String, (usize, String)> {
    let nodes = tx.list("nodes", "");
    for volume in json::items(pod, "/spec/volumes") {
        let claim = json::text(volume, "/persistentVolumeClaim/claimName");
        if !claim.is_empty() && tx.get("persistentvolumeclaims", json::namespace(pod), claim).is_none() {
            return Err((nodes.len(), format!("persistentvolumeclaim {claim:?} not found")));
        }
    }
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let mut fitting: Vec<&str> = Vec::new();
    for node in &nodes {
        match misfit(node, pod) {
            None => fitting.push(json::name(node)),
            Some(why) => match reasons.iter_mut().find(|(r, _)| *r == why) {
                Some((_, count)) => *count += 1,
                None => reasons.push((why, 1)),
            },
        }
    }
    if let [only] = fitting.as_slice() {
        return Ok((*only).to_owned());
    }
    let pods = if fitting.is_empty() { Vec::new() } else { tx.list("pods", "") };
    let load = |node: &str| pods.iter().filter(|p| json::text(p, "/spec/nodeName") == node).count();
    let reasons: Vec<_> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
    fitting.into_iter().min_by_key(|n| load(n)).map(str::to_owned).ok_or_else(|| {
        (
            nodes.len(),
            if reasons.is_empty() {
                "no nodes available to schedule pods".to_owned()
            } else {
                reasons.join(", ")
            },
        )
    })
}

/// Why the pod cannot run on the node.
fn misfit(node: &Value, pod: &Value) -> Option<String> {
    let labels = &node["metadata"]["labels"];
    let selected = json::map(pod, "/spec/nodeSelector").into_iter().flatten();
    let asked = wanted_node(pod);
    if selected.into_iter().any(|(k, v)| labels.get(k) != Some(v))
        || (!asked.is_empty() && asked != json::name(node))
    {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    // The pods of DaemonSets tolerate it.
    if json::flag(node, "/spec/unschedulable") && asked.is_empty() {
        return Some("node(s) were unschedulable".to_owned());
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
        (asked > amount(node, &format!("/status/allocatable/{resource}")))
            .then(|| format!("Insufficient {resource}"))
    })
}
