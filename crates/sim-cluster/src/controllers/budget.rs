//! PodDisruptionBudgets: how many pods may be evicted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    conditions::{self, Condition},
    deployment, pods,
};
use crate::{
    json,
    selector::Labels,
    store::{Key, Tx},
};

pub(super) fn reconcile(tx: &mut Tx<'_>, key: &Key) {
    let Some(budget) = tx.get_key(key) else { return };
    let selector = Labels::from_object(&budget["spec"]["selector"]);
    // Without a selector it is about no pod; with an empty one, about every pod (policy/v1).
    let is_any = budget["spec"]["selector"].is_object();
    let selected = |p: &Arc<Value>| {
        is_any && selector.select(p) && !matches!(json::text(p, "/status/phase"), "Succeeded" | "Failed")
    };
    let all: Vec<_> = tx.list("pods", &key.ns).into_iter().filter(selected).collect();
    let healthy = all.iter().filter(|p| pods::is_ready(p) && !json::is_deleting(p)).count();
    let healthy = i64::try_from(healthy).unwrap_or(0);
    let (expected, desired) = demand(tx, &budget, &all);
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let mut status = json!({
        "observedGeneration": json::count(&budget, "/metadata/generation"), "currentHealthy": healthy, "desiredHealthy": desired,
        "expectedPods": expected, "disruptionsAllowed": allowed, "conditions": budget["status"]["conditions"],
    });
    let (verdict, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let condition = Condition { kind: "DisruptionAllowed", status: verdict, reason, message: "" };
    conditions::set(&mut status, condition, &tx.stamp(), false);
    pods::write_status(tx, &budget, status);
}

/// How many pods there are to be, and how many of them healthy.
fn demand(tx: &Tx<'_>, budget: &Value, all: &[Arc<Value>]) -> (i64, i64) {
    let count = i64::try_from(all.len()).unwrap_or(0);
    let (least, most) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
    if let Some(least) = least.as_i64() {
        return (count, least);
    }
    let expected = scale_of_owners(tx, all);
    if !most.is_null() {
        return (expected, (expected - deployment::resolve(most, expected, true)).max(0));
    }
    (expected, deployment::resolve(least, expected, true))
}

/// What the owners of the pods ask for: a Deployment's number counts, not that of its ReplicaSets.
fn scale_of_owners(tx: &Tx<'_>, all: &[Arc<Value>]) -> i64 {
    let mut seen: Vec<String> = Vec::new();
    let mut total = 0;
    let owner = |object: &Value| {
        let uid = json::text(json::controller_of(object)?, "/uid").to_owned();
        tx.get_key(tx.by_uid(&uid)?)
    };
    for pod in all {
        let Some(first) = owner(pod) else { continue };
        let top = owner(&first).unwrap_or(first);
        let uid = json::uid(&top).to_owned();
        if !seen.contains(&uid) {
            total += json::count(&top, "/spec/replicas");
            seen.push(uid);
        }
    }
    total
}
