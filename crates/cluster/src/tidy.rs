//! What an earlier deployment left behind: versions of ConfigMaps that nothing needs, and objects that are in the manifests no
//! more (T53, the prune option).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::FIELD_MANAGER;
use crate::cluster::Cluster;
use crate::delete::DeleteOptions;
use crate::error::ClusterError;
use crate::marks::ANNOTATION_PREFIX;
use crate::object::{self, ObjectRef};
use crate::owned_fields;
use crate::pod_spec;
use crate::references;
use crate::restore::is_going;
use crate::selector;
use crate::versioned::{self, VersionedConfig};

/// Kinds that are deleted when they are in the manifests no more. Nothing whose deletion deletes what others have put
/// there: no Namespace, no CustomResourceDefinition, no volume.
const PRUNED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "ConfigMap",
            "Secret",
            "Service",
            "ServiceAccount",
            "Pod",
            "ReplicationController",
            "LimitRange",
            "ResourceQuota",
        ],
    ),
    ("apps", &["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]),
    ("batch", &["Job", "CronJob"]),
    ("networking.k8s.io", &["Ingress", "NetworkPolicy"]),
    ("gateway.networking.k8s.io", &["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"]),
    ("networking.istio.io", &["VirtualService", "DestinationRule", "ServiceEntry"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    ("policy", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io", &["Role", "RoleBinding"]),
    ("argoproj.io", &["Rollout"]),
];

/// Kinds with a pod template, and their groups: where a reference to a version may be.
const WORKLOADS: [(&str, &str); 7] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "Pod"),
];

impl ObjectRef {
    /// Whether an object of this kind is deleted by a stage with `prune` once it is in the manifests no more.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        PRUNED.iter().any(|(group, kinds)| *group == self.group() && kinds.contains(&self.kind.as_str()))
    }
}

impl Cluster {
    /// The versions of a ConfigMap or Secret beyond the newest `keep`, the one that is deployed now always kept. `set` is the
    /// label of the objects that one stage deploys.
    ///
    /// # Errors
    /// [`ClusterError`] when they cannot be listed.
    pub async fn old_versions(
        &self,
        current: &VersionedConfig,
        set: &str,
        keep: usize,
    ) -> Result<Vec<ObjectRef>, ClusterError> {
        let ObjectRef { api_version, kind, namespace, name } = &current.object;
        let operation = format!("list the versions of {kind} {}", current.base);
        let served = self.served(&operation, &current.object).await?;
        let selector = versioned::selector(&current.base, set);
        let path = served.collection(namespace.as_deref());
        let mut versions = self.list(&operation, &path, &[("labelSelector", selector)]).await?;
        versioned::newest_first(&mut versions);
        let namespace = namespace.as_deref().unwrap_or_default();
        Ok(versions
            .iter()
            .map(object::name)
            .filter(|version| version != name)
            .skip(keep.saturating_sub(1))
            .map(|version| ObjectRef::namespaced(api_version, kind, namespace, version))
            .collect())
    }

    /// The ConfigMaps and Secrets of a namespace that anything still refers to that belongs to the set, or is known to use something of it: its
    /// workloads, the ReplicaSets and ControllerRevisions that they may go back to, their pods, and the Jobs of a CronJob that run. `more`
    /// are workloads of custom kinds.
    ///
    /// # Errors
    /// [`ClusterError`] when any of them cannot be listed: then it is not known what is needed.
    pub async fn needed_configs(
        &self,
        namespace: &str,
        set: &str,
        more: &[ObjectRef],
    ) -> Result<BTreeSet<ObjectRef>, ClusterError> {
        let mut needed = BTreeSet::new();
        let mut workloads = Vec::new();
        for selector in [versioned::set_selector(set), versioned::uses_selector(set)] {
            for (version, kind) in WORKLOADS {
                workloads.extend(self.selected(version, kind, namespace, &selector).await?);
            }
        }
        for object in more.iter().filter(|object| object.namespace.as_deref() == Some(namespace)) {
            workloads.extend(self.get(object).await?);
        }
        for job in workloads.iter().flat_map(|workload| running_jobs(workload, namespace)).collect::<Vec<_>>()
        {
            workloads.extend(self.get(&job).await?);
        }
        for workload in &workloads {
            needed.extend(
                pod_spec::of(workload).into_iter().flat_map(|spec| references::of_pod(spec, namespace)),
            );
            let Some(selector) = selector::of(workload) else { continue };
            for (version, kind) in
                [("apps/v1", "ReplicaSet"), ("apps/v1", "ControllerRevision"), ("v1", "Pod")]
            {
                for object in self.selected(version, kind, namespace, &selector).await? {
                    let spec = match kind {
                        "ControllerRevision" => object.pointer("/data/spec/template/spec"),
                        _ => pod_spec::of(&object),
                    };
                    needed.extend(spec.into_iter().flat_map(|spec| references::of_pod(spec, namespace)));
                }
            }
        }
        Ok(needed)
    }

    async fn selected(
        &self,
        version: &str,
        kind: &str,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let operation = format!("list {kind} objects of namespace {namespace}");
        let served = self.served_kind(&operation, version, kind).await?;
        let path = served.collection(Some(namespace));
        let mut items = self.list(&operation, &path, &[("labelSelector", selector.to_owned())]).await?;
        for item in &mut items {
            item["apiVersion"] = Value::from(version);
            item["kind"] = Value::from(kind);
        }
        Ok(items)
    }

    /// Deletes an object of the set, with what it owns; `false` when there is none, it is not of the set any more, or it is
    /// not ours.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn remove_of_set(&self, object: &ObjectRef, set: &str) -> Result<bool, ClusterError> {
        let live = match self.get(object).await {
            Err(ClusterError::UnknownKind { .. }) => None,
            other => other?,
        };
        let Some(live) = live else { return Ok(false) };
        let is_of_set = live["metadata"]["labels"][format!("{ANNOTATION_PREFIX}set")] == set;
        let is_ours = !owned_fields::is_empty(&owned_fields::owned_by(&live, FIELD_MANAGER));
        if !is_of_set || !is_ours || is_going(&live) {
            return Ok(false);
        }
        let options = DeleteOptions { uid: Some(object::uid(&live).to_owned()), ..DeleteOptions::default() };
        Ok(self.delete(object, &options).await?.is_some())
    }
}

/// The Jobs that a CronJob says are running: they were made of its template of then.
fn running_jobs(workload: &Value, namespace: &str) -> Vec<ObjectRef> {
    let active = workload["status"]["active"].as_array().filter(|_| workload["kind"] == "CronJob");
    let names = active.into_iter().flatten().filter_map(|job| job["name"].as_str());
    names.map(|name| ObjectRef::namespaced("batch/v1", "Job", namespace, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_what_others_have_put_there_is_never_pruned() {
        for (version, kind) in [
            ("v1", "Namespace"),
            ("v1", "PersistentVolumeClaim"),
            ("v1", "PersistentVolume"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
            ("shop.dev/v1", "Service"),
        ] {
            assert!(!ObjectRef::namespaced(version, kind, "dev", "a").is_pruned(), "{kind}");
        }
        assert!(ObjectRef::namespaced("apps/v1", "Deployment", "dev", "a").is_pruned());
    }
}
