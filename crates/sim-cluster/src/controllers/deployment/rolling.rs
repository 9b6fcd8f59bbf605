//! The rolling update: up by the surge, down by what may be unavailable.

use std::sync::Arc;

use serde_json::Value;

use super::{Plan, Sets, resize};
use crate::{json, store::Tx};

fn size(set: &Value) -> i64 {
    json::count(set, "/spec/replicas")
}

fn available(set: &Value) -> i64 {
    json::count(set, "/status/availableReplicas")
}

/// How large a new set of the current template is to be, with the others as they are.
fn target(plan: &Plan, current: i64, others: i64) -> i64 {
    let room = plan.replicas + plan.max_surge - current - others;
    if room <= 0 {
        return current;
    }
    current + room.min(plan.replicas - current)
}

/// The size with which a new set is made.
pub(super) fn initial(plan: &Plan, sets: &Sets) -> i64 {
    target(plan, 0, sets.old.iter().map(|s| size(s)).sum())
}

/// One step: the new set up if there is room, else the old ones down if enough pods are available.
pub(super) fn step(tx: &mut Tx<'_>, deployment: &Value, plan: &Plan, sets: &Sets) {
    let Some(new) = &sets.new else { return };
    let old_total: i64 = sets.old.iter().map(|s| size(s)).sum();
    let current = size(new);
    let wanted = if current > plan.replicas { plan.replicas } else { target(plan, current, old_total) };
    if wanted != current {
        resize(tx, deployment, new, wanted);
        return;
    }
    if old_total > 0 {
        shrink_old(tx, deployment, plan, sets, new);
    }
}

fn shrink_old(tx: &mut Tx<'_>, deployment: &Value, plan: &Plan, sets: &Sets, new: &Arc<Value>) {
    let total: i64 = sets.all().map(|s| size(s)).sum();
    let new_unavailable = size(new) - available(new);
    let may_go = total - plan.min_available() - new_unavailable;
    if may_go <= 0 {
        return;
    }
    let mut sizes: Vec<i64> = sets.old.iter().map(|s| size(s)).collect();
    // Pods of old sets that are not available serve nobody: they go first.
    let mut gone = 0;
    for (set, size) in sets.old.iter().zip(&mut sizes) {
        let unhealthy = (*size - available(set)).clamp(0, may_go - gone);
        *size -= unhealthy;
        gone += unhealthy;
    }
    let available_total: i64 = sets.all().map(|s| available(s)).sum();
    let mut surplus = available_total - plan.min_available();
    for size in &mut sizes {
        let less = surplus.clamp(0, *size);
        *size -= less;
        surplus -= less;
    }
    for (set, wanted) in sets.old.iter().zip(sizes) {
        if wanted != size(set) {
            resize(tx, deployment, set, wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_set_takes_the_room_that_the_surge_leaves() {
        let plan = Plan { replicas: 4, max_surge: 1, max_unavailable: 1 };
        assert_eq!(target(&plan, 0, 4), 1);
        assert_eq!(target(&plan, 1, 3), 2);
        assert_eq!(target(&plan, 1, 4), 1);
        assert_eq!(target(&plan, 0, 0), 4, "never more than asked for");
    }
}
