//! The HorizontalPodAutoscaler of a server group: paused with it, and resumed with it (T41, T42).
//!
//! It has the name of its server group, as `deploy-server-group` gives it. Paused it keeps the number of pods as it is:
//! `behavior.scaleUp` and `scaleDown` with `selectPolicy: Disabled`, which is how the API says "not in this direction". What they were
//! before is kept in an annotation of it.

use pilothouse_cluster::{Cluster, ClusterError, ObjectRef};
use serde_json::{Value, json};

use super::{Group, Halt};
use crate::stages::steps::Step;

/// What its behaviour was before it was paused: JSON with `scaleUp` and `scaleDown`.
const BEFORE: &str = "pilothouse.dev/behavior-before-pause";

/// API version and kind.
pub(in crate::stages) const KIND: (&str, &str) = ("autoscaling/v2", "HorizontalPodAutoscaler");

/// The autoscaler of a server group.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::stages) struct Autoscaler {
    pub(in crate::stages) object: ObjectRef,
    live: Value,
}

impl Autoscaler {
    /// The one of that server group, if it has one.
    pub(in crate::stages) async fn find(cluster: &Cluster, group: &Group) -> Result<Option<Self>, Halt> {
        let (api_version, kind) = KIND;
        let namespace = group.object.namespace.clone().unwrap_or_default();
        let object = ObjectRef::namespaced(api_version, kind, namespace, group.name());
        let live = match cluster.get(&object).await {
            Err(ClusterError::UnknownKind { .. }) => None,
            live => live?,
        };
        Ok(live.filter(|live| scales(live, group)).map(|live| Self { object, live }))
    }

    /// Keeps the number of pods as it is; nothing when it is paused already.
    pub(in crate::stages) fn pause(&self) -> Option<Step> {
        if self.is_paused() {
            return None;
        }
        let behavior = &self.live["spec"]["behavior"];
        let before = json!({"scaleUp": behavior["scaleUp"], "scaleDown": behavior["scaleDown"]}).to_string();
        let fields = json!({
            "metadata": {"annotations": {BEFORE: before}},
            "spec": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}}},
        });
        Some(self.set(fields, "pause"))
    }

    /// Lets it scale as before; nothing when it is not paused by us.
    pub(in crate::stages) fn resume(&self) -> Option<Step> {
        let before = self.live["metadata"]["annotations"][BEFORE].as_str()?;
        let before: Value = serde_json::from_str(before).unwrap_or_default();
        let fields = json!({
            "metadata": {"annotations": {BEFORE: null}},
            "spec": {"behavior": {"scaleUp": before["scaleUp"], "scaleDown": before["scaleDown"]}},
        });
        Some(self.set(fields, "resume"))
    }

    /// Refuses a size that it would change at once.
    pub(in crate::stages) fn allows(&self, replicas: u32) -> Result<(), Halt> {
        let number = |key: &str| self.live["spec"][key].as_u64();
        let (least, most) = (number("minReplicas").unwrap_or(1), number("maxReplicas").unwrap_or(u64::MAX));
        let wanted = u64::from(replicas);
        // At 0 it does nothing, as the API has it.
        if wanted == 0 || (least..=most).contains(&wanted) {
            return Ok(());
        }
        Err(Halt::Refused(format!(
            "{} keeps the size between {least} and {most} and would change {wanted} at once: change its limits first",
            self.object
        )))
    }

    fn is_paused(&self) -> bool {
        let disabled =
            |direction: &str| self.live["spec"]["behavior"][direction]["selectPolicy"] == "Disabled";
        disabled("scaleUp") && disabled("scaleDown")
    }

    fn set(&self, fields: Value, verb: &str) -> Step {
        Step::Set { object: self.object.clone(), fields, what: format!("{verb} {}", self.object) }
    }
}

fn scales(live: &Value, group: &Group) -> bool {
    let target = &live["spec"]["scaleTargetRef"];
    target["kind"] == "ReplicaSet" && target["name"] == group.name()
}

#[cfg(test)]
mod tests {
    use super::super::tests::group;
    use super::*;

    fn autoscaler(live: Value) -> Autoscaler {
        let (api_version, kind) = KIND;
        Autoscaler { object: ObjectRef::namespaced(api_version, kind, "dev", "shop-v001"), live }
    }

    fn fields(step: Option<Step>) -> Value {
        match step {
            Some(Step::Set { fields, .. }) => fields,
            other => panic!("it sets nothing: {other:?}"),
        }
    }

    #[test]
    fn a_pause_keeps_what_was_and_a_resumption_puts_it_back() {
        let paused =
            fields(autoscaler(json!({"spec": {"behavior": {"scaleUp": {"selectPolicy": "Min"}}}})).pause());
        assert_eq!(paused["spec"]["behavior"]["scaleDown"]["selectPolicy"], "Disabled");
        let live = autoscaler(paused);
        assert_eq!(live.pause(), None);
        let resumed = fields(live.resume());
        assert_eq!(
            resumed["spec"]["behavior"],
            json!({"scaleUp": {"selectPolicy": "Min"}, "scaleDown": null})
        );
        assert_eq!(resumed["metadata"]["annotations"][BEFORE], Value::Null);
        assert_eq!(autoscaler(json!({})).resume(), None);
    }

    #[test]
    fn a_size_outside_its_limits_is_refused() {
        let limits = autoscaler(json!({"spec": {"minReplicas": 2, "maxReplicas": 4}}));
        assert!(limits.allows(0).is_ok() && limits.allows(2).is_ok() && limits.allows(4).is_ok());
        let Err(Halt::Refused(reason)) = limits.allows(5) else { panic!("it was allowed") };
        assert!(reason.contains("keeps the size between 2 and 4"), "{reason}");
    }

    #[test]
    fn it_is_the_one_that_scales_this_server_group() {
        let group = group(1, 0, 2, &json!({}));
        let of = |kind: &str, name: &str| json!({"spec": {"scaleTargetRef": {"kind": kind, "name": name}}});
        assert!(scales(&of("ReplicaSet", "shop-v001"), &group));
        assert!(!scales(&of("Deployment", "shop-v001"), &group));
        assert!(!scales(&of("ReplicaSet", "shop-v002"), &group));
    }
}
