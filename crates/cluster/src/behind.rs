//! Which workload a pod belongs to: by its controllers, not by labels, which two versions of a workload may share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::endpoints::Endpoints;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::selector;

/// Kinds whose pods are their own. Those of a Deployment, or of a custom kind that does as it does, are its ReplicaSets'.
const OWN_PODS: [&str; 5] = ["StatefulSet", "DaemonSet", "ReplicaSet", "Job", "ReplicationController"];

impl Cluster {
    /// The workloads whose pods a Service selects, each as it is, those with the most ready pods first; pods that are on
    /// their way out do not count. A workload is what controls a pod in the end: the Deployment, not its ReplicaSet.
    ///
    /// # Errors
    /// `NotFound` without the Service; else [`ClusterError`].
    pub async fn workloads_behind(
        &self,
        namespace: &str,
        service: &str,
    ) -> Result<Vec<(Value, Endpoints)>, ClusterError> {
        let service = ObjectRef::namespaced("v1", "Service", namespace, service);
        let live = self.get(&service).await?.ok_or_else(|| ClusterError::NotFound {
            operation: format!("find the workload behind {service}"),
            message: format!("{service} does not exist"),
        })?;
        let Some(selector) = selector::of(&live) else { return Ok(Vec::new()) };
        let mut found: BTreeMap<ObjectRef, (Value, Endpoints)> = BTreeMap::new();
        let mut owners: BTreeMap<ObjectRef, Option<Value>> = BTreeMap::new();
        for pod in self.list_pods(namespace, &selector).await?.iter().filter(|pod| stays(pod)) {
            let Some(owner) = controller(pod) else { continue };
            if !owners.contains_key(&owner) {
                let top = self.top(owner.clone()).await?;
                owners.insert(owner.clone(), top);
            }
            let Some(workload) = owners.get(&owner).cloned().flatten() else { continue };
            let Some(reference) = ObjectRef::of(&workload) else { continue };
            let (_, pods) = found.entry(reference).or_insert_with(|| (workload, Endpoints::default()));
            let into = if is_ready(pod) { &mut pods.ready } else { &mut pods.not_ready };
            into.insert(object::name(pod).to_owned());
        }
        let mut all: Vec<(Value, Endpoints)> = found.into_values().collect();
        all.sort_by_key(|(_, pods)| std::cmp::Reverse(pods.ready.len()));
        Ok(all)
    }

    /// What controls the controller of a pod: for a ReplicaSet its Deployment, if it has one. `None` for what is gone, and for
    /// what this account may not read, which it cannot act on either: the Node of a static pod, an Argo Rollout.
    async fn top(&self, owner: ObjectRef) -> Result<Option<Value>, ClusterError> {
        let Some(live) = self.if_readable(&owner).await? else { return Ok(None) };
        match controller(&live) {
            Some(above) if owner.kind == "ReplicaSet" => self.if_readable(&above).await,
            _ => Ok(Some(live)),
        }
    }

    async fn if_readable(&self, object: &ObjectRef) -> Result<Option<Value>, ClusterError> {
        match self.get(object).await {
            Err(ClusterError::Denied { .. } | ClusterError::UnknownKind { .. }) => Ok(None),
            read => read,
        }
    }

    /// The pods that a workload controls and that stay: what its selector finds, without the pods of others that carry the
    /// same labels.
    pub(crate) async fn own_pods(
        &self,
        workload: &ObjectRef,
        live: &Value,
    ) -> Result<Endpoints, ClusterError> {
        let mut found = Endpoints::default();
        for pod in self.controlled(workload, live).await? {
            let into = if is_ready(&pod) { &mut found.ready } else { &mut found.not_ready };
            into.insert(object::name(&pod).to_owned());
        }
        Ok(found)
    }

    async fn controlled(&self, workload: &ObjectRef, live: &Value) -> Result<Vec<Value>, ClusterError> {
        let Some(selector) = selector::of(live) else { return Ok(Vec::new()) };
        let namespace = workload.namespace.as_deref().unwrap_or_default();
        let owners = self.pod_owners(workload, live, &selector).await?;
        let mut pods = self.list_pods(namespace, &selector).await?;
        pods.retain(|pod| stays(pod) && is_owned_by_any(pod, &owners));
        Ok(pods)
    }

    /// The uids of what owns the workload's pods: itself, or its ReplicaSets. Others may have pods that its selector finds too.
    pub(crate) async fn pod_owners(
        &self,
        workload: &ObjectRef,
        live: &Value,
        selector: &str,
    ) -> Result<BTreeSet<String>, ClusterError> {
        let mut owners = BTreeSet::from([object::uid(live).to_owned()]);
        if OWN_PODS.contains(&workload.kind.as_str()) {
            return Ok(owners);
        }
        let operation = format!("list the ReplicaSets of {workload}");
        let path = self
            .served_kind(&operation, "apps/v1", "ReplicaSet")
            .await?
            .collection(workload.namespace.as_deref());
        let sets = self.list(&operation, &path, &[("labelSelector", selector.to_owned())]).await?;
        let own = sets.iter().filter(|set| object::is_owned_by(set, object::uid(live)));
        owners.extend(own.map(|set| object::uid(set).to_owned()));
        Ok(owners)
    }

    /// How many ready pods a Deployment has, by the label `pod-template-hash`: one entry, unless it is in the middle of a
    /// rollout.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn ready_by_template(&self, workload: &Value) -> Result<BTreeMap<String, usize>, ClusterError> {
        let mut counts = BTreeMap::new();
        let Some(object) = ObjectRef::of(workload) else { return Ok(counts) };
        for pod in self.controlled(&object, workload).await? {
            if let Some(hash) = pod["metadata"]["labels"]["pod-template-hash"].as_str() {
                *counts.entry(hash.to_owned()).or_default() += usize::from(is_ready(&pod));
            }
        }
        Ok(counts)
    }
}

/// The object that controls this one, in its own namespace.
fn controller(object: &Value) -> Option<ObjectRef> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some(ObjectRef {
        api_version: owner["apiVersion"].as_str()?.to_owned(),
        kind: owner["kind"].as_str()?.to_owned(),
        namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
        name: owner["name"].as_str()?.to_owned(),
    })
}

/// Whether one of these uids is the object's owner.
pub(crate) fn is_owned_by_any(object: &Value, owners: &BTreeSet<String>) -> bool {
    owners.iter().any(|owner| object::is_owned_by(object, owner))
}

fn stays(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn is_ready(pod: &Value) -> bool {
    object::condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True")
}
