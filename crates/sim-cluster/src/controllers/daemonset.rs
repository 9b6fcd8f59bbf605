//! DaemonSets: a pod on every node.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Again, Context, deployment, kubelet, pods, revisions, sooner};
use crate::{
    json,
    store::{Key, Tx},
};

const COMPONENT: &str = "daemonset-controller";
const REVISION: &str = "controller-revision-hash";

/// The pods of one node.
struct OnNode {
    name: String,
    /// Of the current template, and of former ones; those that have ended are in neither.
    new: Vec<Arc<Value>>,
    old: Vec<Arc<Value>>,
}

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let set = tx.get_key(key)?;
    let revision = revisions::sync(tx, &set, REVISION)?;
    let hash = json::text(&revision, "/metadata/labels/controller-revision-hash").to_owned();
    let mut again = None;
    if !json::is_deleting(&set) {
        // A pod that has ended is replaced; one that is ending is waited for.
        for pod in tx.controlled("pods", json::uid(&set)) {
            if !pods::is_active(&pod) && !json::is_deleting(&pod) {
                pods::delete(tx, &set, &pod, COMPONENT);
            }
        }
        again = sooner(fill(tx, context, &set, &hash), roll(tx, context, &set, &hash));
    }
    let again = sooner(again, write_status(tx, context, &set, &hash));
    let pods = tx.controlled("pods", json::uid(&set));
    let mut live: Vec<String> = pods.iter().map(|p| format!("{}-{}", json::name(&set), hash_of(p))).collect();
    live.push(json::name(&revision).to_owned());
    revisions::truncate(tx, &set, &live);
    again
}

fn hash_of(pod: &Value) -> &str {
    pod["metadata"]["labels"][REVISION].as_str().unwrap_or_default()
}

/// The node that a pod is on, or is to be on.
fn node_of(pod: &Value) -> &str {
    match json::text(pod, "/spec/nodeName") {
        "" => kubelet::wanted_node(pod),
        node => node,
    }
}

/// The nodes that are to have a pod, with those that they have.
fn survey(tx: &Tx<'_>, set: &Value, hash: &str) -> Vec<OnNode> {
    let all = tx.controlled("pods", json::uid(set));
    let wanted = json::map(set, "/spec/template/spec/nodeSelector");
    let fits = |node: &Value| {
        wanted.into_iter().flatten().all(|(k, v)| node["metadata"]["labels"].get(k) == Some(v))
    };
    let nodes = tx.list("nodes", "").into_iter().filter(|n| fits(n));
    nodes
        .map(|node| {
            let name = json::name(&node).to_owned();
            let here = all.iter().filter(|p| {
                node_of(p) == name && !matches!(json::text(p, "/status/phase"), "Succeeded" | "Failed")
            });
            let (new, old) = here.cloned().partition(|p| hash_of(p) == hash);
            OnNode { name, new, old }
        })
        .collect()
}

/// Makes the pods that nodes lack.
fn fill(tx: &mut Tx<'_>, context: &mut Context, set: &Value, hash: &str) -> Again {
    let mut failed = false;
    for node in survey(tx, set, hash) {
        if node.new.is_empty() && node.old.is_empty() {
            failed |= !create(tx, set, hash, &node.name);
        }
    }
    pods::retry(context, set, failed)
}

fn create(tx: &mut Tx<'_>, set: &Value, hash: &str, node: &str) -> bool {
    let mut pod = pods::from_template(set, &format!("{}-", json::name(set)));
    let labels = json::map_mut(&mut pod, "/metadata/labels");
    labels.insert(REVISION.to_owned(), hash.into());
    let generation = json::count(set, "/metadata/generation");
    labels.insert("pod-template-generation".to_owned(), generation.to_string().into());
    kubelet::want_node(&mut pod, node);
    pods::create(tx, set, pod, COMPONENT).is_ok()
}

/// A step of the rolling update: as many nodes without a pod at once as `maxUnavailable` says, or with two as `maxSurge` says.
fn roll(tx: &mut Tx<'_>, context: &mut Context, set: &Value, hash: &str) -> Again {
    if json::text(set, "/spec/updateStrategy/type") != "RollingUpdate" {
        return None;
    }
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let nodes = survey(tx, set, hash);
    let total = i64::try_from(nodes.len()).unwrap_or(0);
    let amount =
        |name: &str| deployment::resolve(&set["spec"]["updateStrategy"]["rollingUpdate"][name], total, true);
    let (surge, most) = (amount("maxSurge"), amount("maxUnavailable"));
    let (mut again, mut unavailable, mut surging) = (None, 0, 0);
    let mut serving: Vec<(&OnNode, bool, bool)> = Vec::new();
    for node in &nodes {
        let mut serves = |all: &[Arc<Value>]| {
            all.iter().any(|p| {
                let (available, when) = pods::is_available(tx, context, p, min_ready);
                again = sooner(again, when);
                available && !json::is_deleting(p)
            })
        };
        let (new, old) = (serves(&node.new), serves(&node.old));
        unavailable += i64::from(!new && !old);
        surging += i64::from(!node.new.is_empty() && !node.old.is_empty());
        serving.push((node, new, old));
    }
    for (node, new_serves, old_serves) in serving {
        let stays = node.old.iter().filter(|p| !json::is_deleting(p));
        let gone = if surge > 0 {
            // The former pod goes when the new one serves, or when it serves nobody itself.
            if old_serves && node.new.is_empty() && surging < surge {
                surging += i64::from(create(tx, set, hash, &node.name));
            }
            new_serves || !old_serves
        } else {
            let may_go = !old_serves || unavailable < most;
            unavailable += i64::from(old_serves && may_go);
            may_go
        };
        if gone {
            stays.for_each(|p| pods::delete(tx, set, p, COMPONENT));
        }
    }
    again
}

fn write_status(tx: &mut Tx<'_>, context: &mut Context, set: &Value, hash: &str) -> Again {
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let nodes = survey(tx, set, hash);
    let mut again = None;
    let (mut scheduled, mut ready, mut available, mut updated) = (0, 0, 0, 0);
    for node in &nodes {
        let all: Vec<_> = node.new.iter().chain(&node.old).filter(|p| pods::is_active(p)).collect();
        let (count, when) = pods::count(tx, context, all.iter().map(|p| &***p), min_ready);
        again = sooner(again, when);
        scheduled += usize::from(count.all > 0);
        ready += usize::from(count.ready > 0);
        available += usize::from(count.available > 0);
        updated += usize::from(node.new.iter().any(|p| pods::is_active(p)));
    }
    let mut status = json!({
        "observedGeneration": json::count(set, "/metadata/generation"), "desiredNumberScheduled": nodes.len(),
        "currentNumberScheduled": scheduled, "numberMisscheduled": 0, "numberReady": ready,
    });
    for (field, value) in [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", nodes.len() - available),
    ] {
        // As everywhere in the API, a count of 0 is left out.
        if value > 0 {
            status[field] = value.into();
        }
    }
    pods::write_status(tx, set, status);
    again
}
