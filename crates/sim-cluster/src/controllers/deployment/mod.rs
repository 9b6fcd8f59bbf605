//! Deployments: ReplicaSets of the current and former templates, and the way from one to the next.

mod history;
mod rolling;
mod scaling;
mod status;

use std::sync::Arc;

use serde_json::Value;

use super::{Again, Context, events, pods};
use crate::{
    json,
    store::{Key, Tx},
    write::{CONTROLLER, DeleteOptions, Options},
};

const COMPONENT: &str = "deployment-controller";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";

/// The ReplicaSets of a Deployment.
#[derive(Default)]
struct Sets {
    /// That of the current template.
    new: Option<Arc<Value>>,
    /// The others, oldest first.
    old: Vec<Arc<Value>>,
}

impl Sets {
    fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.new)
    }
}

/// What `spec` says, resolved.
struct Plan {
    replicas: i64,
    max_surge: i64,
    max_unavailable: i64,
}

impl Plan {
    fn of(deployment: &Value) -> Self {
        let replicas = json::count(deployment, "/spec/replicas");
        let amount = |name: &str, up: bool| {
            resolve(&deployment["spec"]["strategy"]["rollingUpdate"][name], replicas, up)
        };
        let (max_surge, mut max_unavailable) = (amount("maxSurge", true), amount("maxUnavailable", false));
        if max_surge == 0 && max_unavailable == 0 {
            max_unavailable = 1;
        }
        if json::text(deployment, "/spec/strategy/type") == "Recreate" {
            return Self { replicas, max_surge: 0, max_unavailable: 0 };
        }
        Self { replicas, max_surge, max_unavailable: max_unavailable.min(replicas) }
    }

    /// The pods that must be available at any time.
    fn min_available(&self) -> i64 {
        self.replicas - self.max_unavailable
    }
}

/// A number, or a percentage of `total` rounded up or down.
pub(super) fn resolve(amount: &Value, total: i64, up: bool) -> i64 {
    match amount {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let scaled = percent * total;
            if up { (scaled + 99) / 100 } else { scaled / 100 }
        }
        number => number.as_i64().unwrap_or(0),
    }
}

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let deployment = tx.get_key(key)?;
    adopt(tx, &deployment);
    if json::is_deleting(&deployment) {
        let sets = find_sets(tx, &deployment);
        return status::write(tx, context, &deployment, &sets);
    }
    let plan = Plan::of(&deployment);
    let mut sets = find_sets(tx, &deployment);
    if json::flag(&deployment, "/spec/paused") || scaling::is_needed(&deployment, &sets) {
        scaling::scale(tx, &deployment, &plan, &sets);
    } else if json::text(&deployment, "/spec/strategy/type") == "Recreate" {
        recreate(tx, &deployment, &plan, &mut sets);
    } else {
        sets.new = history::new_set(tx, &deployment, &sets, rolling::initial(&plan, &sets));
        rolling::step(tx, &deployment, &plan, &sets);
    }
    let deployment = tx.get_key(key)?;
    let sets = find_sets(tx, &deployment);
    let again = status::write(tx, context, &deployment, &sets);
    let is_complete = tx.get_key(key).is_some_and(|d| status::is_complete(&d));
    if is_complete && !json::flag(&deployment, "/spec/paused") {
        history::forget_old(tx, &deployment, &sets);
    }
    again
}

/// Makes ReplicaSets that fit the selector and have no controller those of the Deployment.
fn adopt(tx: &mut Tx<'_>, deployment: &Value) {
    if json::int(deployment, "/status/observedGeneration").is_some() || json::is_deleting(deployment) {
        return;
    }
    let selector = crate::selector::Labels::from_object(&deployment["spec"]["selector"]);
    for set in tx.list("replicasets.apps", json::namespace(deployment)) {
        if json::controller_of(&set).is_none() && selector.select(&set) && !json::is_deleting(&set) {
            let mut owners = json::items(&set, "/metadata/ownerReferences").to_vec();
            owners.push(pods::owner_reference(deployment));
            let key = super::key("replicasets.apps", json::namespace(&set), json::name(&set));
            tx.modify(&key, &Options::by(CONTROLLER), |s| json::set(s, "/metadata/ownerReferences", owners));
        }
    }
}

fn find_sets(tx: &Tx<'_>, deployment: &Value) -> Sets {
    let mut all = tx.controlled("replicasets.apps", json::uid(deployment));
    all.retain(|s| !json::is_deleting(s));
    all.sort_by_key(|s| (json::text(s, "/metadata/creationTimestamp").to_owned(), history::revision(s)));
    let wanted = history::template(deployment);
    let mut sets = Sets::default();
    for set in all {
        // Should two have the same template, the oldest is taken, as the real controller does.
        if sets.new.is_none() && history::template(&set) == wanted {
            sets.new = Some(set);
        } else {
            sets.old.push(set);
        }
    }
    sets
}

/// All old pods first, then the new ones.
fn recreate(tx: &mut Tx<'_>, deployment: &Value, plan: &Plan, sets: &mut Sets) {
    let mut waits = false;
    for old in &sets.old {
        if json::count(old, "/spec/replicas") > 0 {
            resize(tx, deployment, old, 0);
        }
        let running = |p: &Arc<Value>| !matches!(json::text(p, "/status/phase"), "Succeeded" | "Failed");
        waits |= tx.controlled("pods", json::uid(old)).iter().any(running);
    }
    if !waits {
        sets.new = history::new_set(tx, deployment, sets, plan.replicas);
        if let Some(new) = &sets.new {
            resize(tx, deployment, new, plan.replicas);
        }
    }
}

/// Sets a ReplicaSet's size, and tells so by an event.
fn resize(tx: &mut Tx<'_>, deployment: &Value, set: &Value, size: i64) {
    let before = json::count(set, "/spec/replicas");
    let plan = Plan::of(deployment);
    let key = super::key("replicasets.apps", json::namespace(set), json::name(set));
    tx.modify(&key, &Options::by(CONTROLLER), |s| {
        json::set(s, "/spec/replicas", size);
        annotate_size(s, &plan);
    });
    if before == size {
        return;
    }
    let direction = if size > before { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {} from {before} to {size}", json::name(set));
    events::record(tx, deployment, events::Event::normal("ScalingReplicaSet", message, COMPONENT));
}

/// The size that the Deployment had when it sized this set: another one later is a scaling, not a roll-out.
fn annotate_size(set: &mut Value, plan: &Plan) {
    let annotations = json::map_mut(set, "/metadata/annotations");
    annotations.insert(DESIRED.to_owned(), plan.replicas.to_string().into());
    annotations.insert(MAX.to_owned(), (plan.replicas + plan.max_surge).to_string().into());
}

fn delete_set(tx: &mut Tx<'_>, set: &Value) {
    let kind = crate::kinds::of("replicasets.apps");
    // It can only be gone already.
    let _ = tx.delete(kind, json::namespace(set), json::name(set), &DeleteOptions::default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn surge_is_rounded_up_and_unavailable_down() {
        let of = |replicas: i64| {
            Plan::of(
                &json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}}),
            )
        };
        let shown: Vec<_> = [1, 2, 3, 4, 10].map(|n| (of(n).max_surge, of(n).min_available())).into();
        assert_eq!(shown, [(1, 1), (1, 2), (1, 3), (1, 3), (3, 8)]);
    }
}
