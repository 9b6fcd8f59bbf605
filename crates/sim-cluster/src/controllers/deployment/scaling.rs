//! Scaling while several sets have pods: each in proportion to its size.

use std::sync::Arc;

use serde_json::Value;

use super::{DESIRED, Plan, Sets, resize};
use crate::{json, store::Tx};

/// Whether the Deployment's size is another than when its sets were sized.
pub(super) fn is_needed(deployment: &Value, sets: &Sets) -> bool {
    let wanted = json::count(deployment, "/spec/replicas").to_string();
    active(sets).iter().any(|s| s["metadata"]["annotations"][DESIRED].as_str().is_some_and(|d| d != wanted))
}

fn active(sets: &Sets) -> Vec<Arc<Value>> {
    sets.all().filter(|s| json::count(s, "/spec/replicas") > 0).cloned().collect()
}

pub(super) fn scale(tx: &mut Tx<'_>, deployment: &Value, plan: &Plan, sets: &Sets) {
    let active = active(sets);
    if active.len() <= 1 {
        // None has pods, or only one: the newest, or that one, gets what is asked for.
        if let Some(set) = active.first().or(sets.new.as_ref()) {
            resize(tx, deployment, set, plan.replicas);
        }
        return;
    }
    let saturated = sets.new.as_ref().is_some_and(|n| {
        json::count(n, "/spec/replicas") == plan.replicas
            && json::count(n, "/status/availableReplicas") == plan.replicas
    });
    if saturated {
        for old in sets.old.iter().filter(|s| json::count(s, "/spec/replicas") > 0) {
            resize(tx, deployment, old, 0);
        }
        return;
    }
    let sizes: Vec<i64> = active.iter().map(|s| json::count(s, "/spec/replicas")).collect();
    let rolling = json::text(deployment, "/spec/strategy/type") != "Recreate";
    let allowed = if plan.replicas == 0 || !rolling { plan.replicas } else { plan.replicas + plan.max_surge };
    for (set, size) in active.iter().zip(share(&sizes, allowed)) {
        resize(tx, deployment, set, size);
    }
}

/// Shares `allowed` among sets of these sizes in proportion; what rounding leaves goes to the largest, the newest (last) first.
fn share(sizes: &[i64], allowed: i64) -> Vec<i64> {
    let total: i64 = sizes.iter().sum();
    let mut shares: Vec<i64> = sizes.iter().map(|s| s * allowed / total.max(1)).collect();
    let mut left = allowed - shares.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(sizes[*i]), std::cmp::Reverse(*i)));
    for index in order.into_iter().cycle().take(sizes.len() * 2) {
        if left > 0 {
            shares[index] += 1;
            left -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn sizes_are_shared_in_proportion_and_add_up() {
        assert_eq!(share(&[3, 2], 10), [6, 4]);
        assert_eq!(share(&[3, 1], 6), [5, 1]);
        assert_eq!(share(&[2, 2], 0), [0, 0]);
    }
}
