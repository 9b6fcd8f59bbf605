//! HorizontalPodAutoscalers: they keep their target within its bounds, and at the size that the annotation [`DESIRED`] asks for.

use serde_json::{Value, json};

use super::{
    Again, Context,
    conditions::{self, Condition},
    events, pods,
};
use crate::{
    json,
    store::{Key, Tx},
    write::{CONTROLLER, Options},
};

/// Stands for the metrics: the number of replicas that they ask for. Without it the present number is right.
const DESIRED: &str = "sim-cluster/desired-replicas";

/// How often metrics are looked at.
const PERIOD: f64 = 15.0;

/// The object that an autoscaler scales.
pub(super) fn target_of(tx: &Tx<'_>, scaler: &Value) -> Option<Key> {
    let reference = &scaler["spec"]["scaleTargetRef"];
    let kind = tx.kind_of(reference)?;
    kind.scale.then(|| Key::new(kind, json::namespace(scaler), json::text(reference, "/name")))
}

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let scaler = tx.get_key(key)?;
    if json::is_deleting(&scaler) {
        return None;
    }
    let Some(target) = target_of(tx, &scaler).and_then(|k| tx.get_key(&k)) else {
        let name = json::text(&scaler, "/spec/scaleTargetRef/name");
        let message =
            format!("the HPA controller was unable to get the target's current scale: {name:?} not found");
        write_status(tx, &scaler, None, ("AbleToScale", "False", "FailedGetScale", &message));
        return None;
    };
    let current = json::count(&target, "/spec/replicas");
    let (least, most) =
        (json::int(&scaler, "/spec/minReplicas").unwrap_or(1), json::count(&scaler, "/spec/maxReplicas"));
    if current == 0 && least > 0 {
        let why = (
            "ScalingActive",
            "False",
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        );
        write_status(tx, &scaler, Some((&target, 0)), why);
        return None;
    }
    let asked = scaler["metadata"]["annotations"][DESIRED].as_str().and_then(|d| d.parse::<i64>().ok());
    let desired = asked.unwrap_or(current).clamp(least.min(most), most);
    let active = (
        "ScalingActive",
        "True",
        "ValidMetricFound",
        "the HPA was able to successfully calculate a replica count",
    );
    if desired == current {
        context.since(json::uid(&scaler), "scale", "settled");
        write_status(tx, &scaler, Some((&target, desired)), active);
        return None;
    }
    let since = context.since(json::uid(&scaler), "scale", &format!("{current} to {desired}"));
    let at = context.later(since, PERIOD);
    if at > context.now {
        return Some(at);
    }
    let key = target_of(tx, &scaler)?;
    tx.modify(&key, &Options::by(CONTROLLER).on("scale"), |o| json::set(o, "/spec/replicas", desired));
    let reason = if asked.is_some_and(|a| a == desired) {
        "All metrics below target"
    } else if current < desired {
        "Current number of replicas below Spec.MinReplicas"
    } else {
        "Current number of replicas above Spec.MaxReplicas"
    };
    let message = format!("New size: {desired}; reason: {reason}");
    events::record(
        tx,
        &scaler,
        events::Event::normal("SuccessfulRescale", message, "horizontal-pod-autoscaler"),
    );
    write_status(tx, &scaler, Some((&target, desired)), active);
    None
}

fn write_status(
    tx: &mut Tx<'_>,
    scaler: &Value,
    target: Option<(&Value, i64)>,
    verdict: (&str, &str, &str, &str),
) {
    let mut status = scaler["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    json::set(&mut status, "/observedGeneration", json::count(scaler, "/metadata/generation"));
    let (target_replicas, desired) =
        target.map_or((0, 0), |(t, desired)| (json::count(t, "/status/replicas"), desired));
    json::set(&mut status, "/currentReplicas", target_replicas);
    if desired != json::count(&status, "/desiredReplicas")
        && !json::text(scaler, "/status/conditions/0/type").is_empty()
    {
        json::set(&mut status, "/lastScaleTime", tx.stamp());
    }
    json::set(&mut status, "/desiredReplicas", desired);
    let (kind, state, reason, message) = verdict;
    let now = tx.stamp();
    if kind != "AbleToScale" {
        let able = Condition {
            kind: "AbleToScale",
            status: "True",
            reason: "SucceededGetScale",
            message: "the HPA controller was able to get the target's current scale",
        };
        conditions::set(&mut status, able, &now, false);
    }
    conditions::set(&mut status, Condition { kind, status: state, reason, message }, &now, false);
    pods::write_status(tx, scaler, status);
}
