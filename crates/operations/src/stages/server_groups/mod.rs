//! Server groups on Kubernetes: versioned ReplicaSets `app-stack-detail-vNNN` (T5, T7, T39-T44, T54).
//!
//! A server group is deployed once and never changed but for its size and its traffic. It selects its pods by its own name and
//! number; the labels by which Services select are no part of that. So a group is disabled by taking those labels from its
//! pods, which keep running, and enabled by giving them back ([`crate::stages::steps::Step::Relabel`]). A Deployment cannot be
//! one: another label in its template replaces its pods.

pub mod amount;
pub(super) mod autoscaler;
pub(super) mod manifest;
pub(super) mod moves;
pub mod object;
pub(super) mod services;
pub mod strategy;
pub(super) mod switch;
pub mod target;

use std::collections::BTreeMap;

use pilothouse_cluster::{CLUSTER_LABEL, Cluster, ClusterError, ObjectRef, SEQUENCE_LABEL};
use serde_json::Value;

use super::StageContext;
use super::steps::{Plan, Planned};
use crate::OperationError;

pub(super) use services::Services;

/// The annotation with the Services of a server group: a JSON list of names.
pub(super) const SERVICES_ANNOTATION: &str = "pilothouse.dev/services";

/// API version and kind of a server group.
pub(super) const KIND: (&str, &str) = ("apps/v1", "ReplicaSet");

/// Why there is no plan.
#[derive(Debug)]
pub(super) enum Halt {
    /// It cannot be done, for this reason; the stage fails.
    Refused(String),
    /// The machinery failed.
    Failed(OperationError),
}

impl From<OperationError> for Halt {
    fn from(error: OperationError) -> Self {
        Self::Failed(error)
    }
}

impl From<ClusterError> for Halt {
    fn from(error: ClusterError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<String> for Halt {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// What became of planning, as the executor takes it.
pub(super) fn planned(plan: Result<Plan, Halt>) -> Result<Planned, OperationError> {
    match plan {
        Ok(plan) => Ok(Planned::Steps(plan)),
        Err(Halt::Refused(reason)) => Ok(Planned::refused(reason)),
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// The namespace that a stage means.
pub(super) fn namespace<'a>(stage: &'a StageContext<'_>, named: Option<&'a str>) -> &'a str {
    named.unwrap_or(&stage.environment.namespace)
}

/// A server group as it is in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) object: ObjectRef,
    pub(super) uid: String,
    /// When it was created, as the API writes it: the order of the text is that of time.
    created: String,
    /// Its number; groups of one second are told apart by it.
    sequence: u16,
    /// The cluster that it is a version of, as its label says.
    pub(super) cluster: Option<String>,
    pub(super) replicas: u32,
    pub(super) ready: u32,
    /// The Services that it was deployed for.
    pub(super) services: Vec<String>,
    /// The labels that it selects its pods by.
    selector: BTreeMap<String, String>,
    /// The labels of its pods to come.
    template: BTreeMap<String, String>,
    /// Whom it belongs to: a Deployment's ReplicaSet is no server group.
    owner: Option<String>,
}

impl Group {
    /// Reads a ReplicaSet; `None` for one that is being deleted.
    pub(super) fn of(live: &Value) -> Option<Self> {
        let metadata = &live["metadata"];
        if !metadata["deletionTimestamp"].is_null() {
            return None;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let count = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        let services = metadata["annotations"][SERVICES_ANNOTATION].as_str().unwrap_or_default();
        let owners = metadata["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        let owner = owners.iter().find(|owner| owner["controller"] == true);
        let (api_version, kind) = KIND;
        Some(Self {
            object: ObjectRef::namespaced(
                api_version,
                kind,
                text(&metadata["namespace"]),
                text(&metadata["name"]),
            ),
            uid: text(&metadata["uid"]),
            created: text(&metadata["creationTimestamp"]),
            sequence: metadata["labels"][SEQUENCE_LABEL].as_str().and_then(|n| n.parse().ok()).unwrap_or(0),
            cluster: metadata["labels"][CLUSTER_LABEL].as_str().map(str::to_owned),
            replicas: count(&live["spec"]["replicas"]).unwrap_or(1),
            ready: count(&live["status"]["readyReplicas"]).unwrap_or(0),
            services: serde_json::from_str(services).unwrap_or_default(),
            selector: labels(&live["spec"]["selector"]["matchLabels"]),
            template: labels(&live["spec"]["template"]["metadata"]["labels"]),
            owner: owner.map(|owner| format!("{} {}", text(&owner["kind"]), text(&owner["name"]))),
        })
    }

    /// `shop-prod-v007`
    pub(super) fn name(&self) -> &str {
        &self.object.name
    }

    /// Whether pods to come carry all of these labels.
    pub(super) fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        !labels.is_empty() && labels.iter().all(|(key, value)| self.template.get(key) == Some(value))
    }

    /// Whether it gets the traffic of any of these Services.
    pub(super) fn is_enabled(&self, services: &Services) -> bool {
        services.each().any(|(_, selector)| self.carries(selector))
    }

    /// The first of these labels that it selects its own pods by: such a one cannot be taken from them.
    pub(super) fn selects_by<'a>(&self, labels: &'a BTreeMap<String, String>) -> Option<&'a str> {
        labels.keys().find(|key| self.selector.contains_key(*key)).map(String::as_str)
    }

    /// Fails for a ReplicaSet that a controller of its own makes and changes.
    pub(super) fn stands_alone(&self) -> Result<(), Halt> {
        match &self.owner {
            None => Ok(()),
            Some(owner) => Err(Halt::Refused(format!(
                "{} belongs to {owner}, which would take the change back: it is no server group",
                self.object
            ))),
        }
    }
}

/// A map of labels.
pub(super) fn labels(map: &Value) -> BTreeMap<String, String> {
    let pairs = map.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The server groups that the selector selects, the newest first.
pub(super) async fn selected(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
) -> Result<Vec<Group>, ClusterError> {
    Ok(groups_in(&cluster.select(KIND, namespace, Some(selector)).await?))
}

/// The server groups among these ReplicaSets, the newest first.
pub(super) fn groups_in(found: &[Value]) -> Vec<Group> {
    let mut groups: Vec<Group> =
        found.iter().filter_map(Group::of).filter(|group| group.owner.is_none()).collect();
    newest_first(&mut groups);
    groups
}

/// What selects the server groups of a cluster.
pub(super) fn selector_of(name: &str) -> String {
    format!("{CLUSTER_LABEL}={name}")
}

/// The server groups of a cluster (`shop-prod`), the newest first.
pub(super) async fn of_cluster(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Vec<Group>, ClusterError> {
    selected(cluster, namespace, &selector_of(name)).await
}

fn newest_first(groups: &mut [Group]) {
    groups.sort_by(|a, b| (&b.created, b.sequence).cmp(&(&a.created, a.sequence)));
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A server group of `shop`, created in that minute.
    pub(in crate::stages) fn group(number: u16, minute: u32, replicas: u32, template: &Value) -> Group {
        Group::of(&json!({
            "metadata": {"name": format!("shop-v{number:03}"), "namespace": "dev", "uid": format!("u{number}"),
                "creationTimestamp": format!("2026-11-21T10:{minute:02}:00Z"), "labels": {SEQUENCE_LABEL: number.to_string()},
                "annotations": {SERVICES_ANNOTATION: "[\"web\"]"}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {SEQUENCE_LABEL: number.to_string()}},
                "template": {"metadata": {"labels": template}}},
            "status": {"readyReplicas": replicas},
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_is_the_one_created_last_whatever_its_number() {
        let mut groups =
            vec![group(999, 1, 1, &json!({})), group(0, 2, 1, &json!({})), group(998, 0, 1, &json!({}))];
        newest_first(&mut groups);
        let names: Vec<&str> = groups.iter().map(Group::name).collect();
        assert_eq!(names, ["shop-v000", "shop-v999", "shop-v998"]);
    }

    #[test]
    fn what_a_deployment_owns_is_no_server_group() {
        let live = json!({"metadata": {"name": "web-abc", "namespace": "dev",
            "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": true}]}});
        let Err(Halt::Refused(reason)) = Group::of(&live).unwrap().stands_alone() else {
            panic!("it is one")
        };
        assert!(reason.starts_with("ReplicaSet dev/web-abc belongs to Deployment web"), "{reason}");
        assert_eq!(Group::of(&json!({"metadata": {"deletionTimestamp": "x"}})), None);
    }
}
