//! ReplicaSets: as many pods as asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Again, Context, conditions, pods, sooner};
use crate::{
    json,
    selector::Labels,
    store::{Key, Tx},
    write::{CONTROLLER, Options, drop_owner},
};

const COMPONENT: &str = "replicaset-controller";

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let set = tx.get_key(key)?;
    let owned = claim(tx, &set);
    let active: Vec<_> = owned.into_iter().filter(|p| pods::is_active(p)).collect();
    let mut failure = None;
    if !json::is_deleting(&set) {
        let wanted = usize::try_from(json::count(&set, "/spec/replicas")).unwrap_or(0);
        for _ in active.len()..wanted {
            let pod = pods::from_template(&set, &format!("{}-", json::name(&set)));
            if let Err(error) = pods::create(tx, &set, pod, COMPONENT) {
                failure = Some(error.message);
                break;
            }
        }
        if active.len() > wanted {
            let mut ranked = active.clone();
            ranked.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| json::name(a).cmp(json::name(b))));
            for pod in ranked.iter().take(active.len() - wanted) {
                pods::delete(tx, &set, pod, COMPONENT);
            }
        }
    }
    let left: Vec<_> =
        tx.controlled("pods", json::uid(&set)).into_iter().filter(|p| pods::is_active(p)).collect();
    let again = pods::retry(context, &set, failure.is_some());
    sooner(again, write_status(tx, context, &set, &left, failure.as_deref()))
}

/// Adopts pods that nobody controls, and lets go of those whose labels do not fit any more; returns the pods that are controlled.
fn claim(tx: &mut Tx<'_>, set: &Value) -> Vec<Arc<Value>> {
    let selector = Labels::from_object(&set["spec"]["selector"]);
    let options = Options::by(CONTROLLER);
    for pod in tx.controlled("pods", json::uid(set)) {
        if !selector.select(&pod) {
            tx.modify(&Key::of("pods", &pod), &options, |p| drop_owner(p, json::uid(set)));
        }
    }
    // Looking through a namespace for orphans is worth it only when the set is new.
    if json::int(set, "/status/observedGeneration").is_none() && !json::is_deleting(set) {
        for pod in tx.list("pods", json::namespace(set)) {
            if json::controller_of(&pod).is_none() && pods::is_active(&pod) && selector.select(&pod) {
                let mut owners = json::items(&pod, "/metadata/ownerReferences").to_vec();
                owners.push(pods::owner_reference(set));
                tx.modify(&Key::of("pods", &pod), &options, |p| {
                    json::set(p, "/metadata/ownerReferences", owners);
                });
            }
        }
    }
    tx.controlled("pods", json::uid(set))
}

/// The lowest goes first: without node, pending, not ready, younger.
fn rank(pod: &Value) -> (bool, bool, bool, std::cmp::Reverse<String>) {
    (
        !json::text(pod, "/spec/nodeName").is_empty(),
        json::text(pod, "/status/phase") != "Pending",
        pods::is_ready(pod),
        std::cmp::Reverse(json::text(pod, "/metadata/creationTimestamp").to_owned()),
    )
}

fn write_status(
    tx: &mut Tx<'_>,
    context: &mut Context,
    set: &Value,
    active: &[Arc<Value>],
    failure: Option<&str>,
) -> Again {
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let (count, again) = pods::count(tx, context, active.iter().map(|p| &**p), min_ready);
    let template_labels = Labels::from_map(&set["spec"]["template"]["metadata"]["labels"]);
    let labeled = active.iter().filter(|p| template_labels.select(p)).count();
    let mut status =
        json!({ "replicas": count.all, "observedGeneration": json::count(set, "/metadata/generation") });
    for (field, value) in [
        ("fullyLabeledReplicas", labeled),
        ("readyReplicas", count.ready),
        ("availableReplicas", count.available),
    ] {
        // As everywhere in the API, a count of 0 is left out.
        if value > 0 {
            status[field] = value.into();
        }
    }
    if let Some(message) = failure {
        let condition =
            conditions::Condition { kind: "ReplicaFailure", status: "True", reason: "FailedCreate", message };
        status["conditions"] = set["status"]["conditions"].clone();
        // The message names a pod that is another each time: it stays as it was at first.
        if conditions::get(set, condition.kind).is_none() {
            conditions::set(&mut status, condition, &tx.stamp(), false);
        }
    }
    pods::write_status(tx, set, status);
    again
}
