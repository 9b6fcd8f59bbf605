//! A Deployment's status: counts and the conditions Available and Progressing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Again, Context, Plan, Sets};
use crate::{
    controllers::{
        conditions::{self, Condition},
        pods,
    },
    json,
    store::Tx,
};

/// Whether every pod is of the current template and available.
pub(super) fn is_complete(deployment: &Value) -> bool {
    let wanted = json::count(deployment, "/spec/replicas");
    ["updatedReplicas", "replicas", "availableReplicas"]
        .iter()
        .all(|f| json::count(deployment, &format!("/status/{f}")) == wanted)
        && json::count(deployment, "/status/observedGeneration")
            >= json::count(deployment, "/metadata/generation")
}

pub(super) fn write(tx: &mut Tx<'_>, context: &mut Context, deployment: &Value, sets: &Sets) -> Again {
    let mut status = counts(deployment, sets);
    if let Some(list) = deployment.pointer("/status/conditions") {
        status["conditions"] = list.clone();
    }
    let now = tx.stamp();
    let plan = Plan::of(deployment);
    let enough = json::count(&status, "/availableReplicas") >= plan.min_available();
    let available = if enough {
        Condition {
            kind: "Available",
            status: "True",
            reason: "MinimumReplicasAvailable",
            message: "Deployment has minimum availability.",
        }
    } else {
        Condition {
            kind: "Available",
            status: "False",
            reason: "MinimumReplicasUnavailable",
            message: "Deployment does not have minimum availability.",
        }
    };
    conditions::set(&mut status, available, &now, true);
    replica_failure(&mut status, sets, &now);
    let again = progress(context, deployment, sets, &mut status, &now);
    pods::write_status(tx, deployment, status);
    again
}

fn counts(deployment: &Value, sets: &Sets) -> Value {
    let sum = |field: &str| -> i64 { sets.all().map(|s| json::count(s, field)).sum() };
    let updated = sets.new.as_ref().map_or(0, |s| json::count(s, "/status/replicas"));
    let available = sum("/status/availableReplicas");
    let mut status = json!({ "observedGeneration": json::count(deployment, "/metadata/generation") });
    for (field, value) in [
        ("replicas", sum("/status/replicas")),
        ("updatedReplicas", updated),
        ("readyReplicas", sum("/status/readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (sum("/spec/replicas") - available).max(0)),
    ] {
        // As everywhere in the API, a count of 0 is left out.
        if value > 0 {
            status[field] = value.into();
        }
    }
    status
}

/// What keeps pods from being created stands on their set; the Deployment shows it too.
fn replica_failure(status: &mut Value, sets: &Sets, now: &str) {
    let failed = sets.all().find_map(|s| conditions::get(s, "ReplicaFailure"));
    match failed {
        Some(failed) => {
            let (reason, message) = (json::text(failed, "/reason"), json::text(failed, "/message"));
            conditions::set(
                status,
                Condition { kind: "ReplicaFailure", status: "True", reason, message },
                now,
                true,
            );
        }
        None => conditions::unset(status, "ReplicaFailure"),
    }
}

/// Sets the condition Progressing; returns when the deadline passes.
fn progress(context: &mut Context, deployment: &Value, sets: &Sets, status: &mut Value, now: &str) -> Again {
    let name = sets.new.as_ref().map_or("", |s| json::name(s));
    let old = conditions::get(deployment, "Progressing").cloned().unwrap_or_default();
    let old_reason = json::text(&old, "/reason");
    let set = |status: &mut Value, verdict: &str, reason: &str, message: String| {
        conditions::set(
            status,
            Condition { kind: "Progressing", status: verdict, reason, message: &message },
            now,
            true,
        );
    };
    if json::flag(deployment, "/spec/paused") {
        set(status, "Unknown", "DeploymentPaused", "Deployment is paused".to_owned());
        return None;
    }
    let mut probe = deployment.clone();
    json::set(&mut probe, "/status", status.clone());
    if is_complete(&probe) {
        set(
            status,
            "True",
            "NewReplicaSetAvailable",
            format!("ReplicaSet {name:?} has successfully progressed."),
        );
        context.since(json::uid(deployment), "progress", "complete");
        return None;
    }
    // A finished roll-out stays finished when its pods fall ill later.
    if old_reason == "NewReplicaSetAvailable"
        && json::count(status, "/replicas") == json::count(status, "/updatedReplicas")
    {
        return None;
    }
    let signature = signature(sets, status);
    let key = (json::uid(deployment).to_owned(), "progress");
    let known = context.since.get(&key).map(|(_, s)| s.clone());
    let since = context.since(json::uid(deployment), "progress", &signature);
    // After a restart nothing is known: a deadline that had passed stays passed.
    let has_progressed = known.as_ref().is_some_and(|k| *k != signature);
    let exceeded = old_reason == "ProgressDeadlineExceeded" && !has_progressed;
    let deadline = json::int(deployment, "/spec/progressDeadlineSeconds")?;
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    let seconds = deadline as f64;
    if exceeded || context.elapsed(since) >= seconds {
        set(
            status,
            "False",
            "ProgressDeadlineExceeded",
            format!("ReplicaSet {name:?} has timed out progressing."),
        );
        return None;
    }
    let is_first =
        sets.new.as_ref().is_some_and(|s| json::count(s, "/status/replicas") == 0) && sets.old.is_empty();
    if is_first && matches!(old_reason, "" | "NewReplicaSetCreated") {
        set(status, "True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"));
    } else {
        set(status, "True", "ReplicaSetUpdated", format!("ReplicaSet {name:?} is progressing."));
    }
    Some(context.later(since, seconds))
}

/// What counts as progress: a new ReplicaSet, more new pods, fewer old ones, more ready or available. Another number of pods
/// alone, or a template whose ReplicaSet is there already, is none.
fn signature(sets: &Sets, status: &Value) -> String {
    let old: i64 = sets.old.iter().map(|s| json::count(s, "/status/replicas")).sum();
    let count = |f: &str| json::count(status, f);
    let made =
        |s: &&Arc<Value>| (json::text(s, "/metadata/creationTimestamp").to_owned(), json::name(s).to_owned());
    let youngest = sets.all().max_by_key(made).map_or("", |s| json::uid(s));
    format!(
        "{youngest}/{}/{old}/{}/{}",
        count("/updatedReplicas"),
        count("/readyReplicas"),
        count("/availableReplicas")
    )
}
