//! Asks the server before anything is changed.

use std::collections::BTreeSet;

use pilothouse_cluster::{ApplyOptions, Cluster, ClusterError, Manifest, ObjectRef, Rehearsal};
use serde_json::Value;

use crate::OperationError;
use crate::stages::{Begun, StageEnd};

/// What applying would change. What lies in a namespace, or is of a kind, that the same manifests create cannot be asked about:
/// it is taken to be created.
pub(super) async fn rehearsed(
    cluster: &Cluster,
    manifests: &[Manifest],
    apply: &ApplyOptions,
    rehearsal: &Rehearsal,
) -> Result<Begun, OperationError> {
    for manifest in manifests {
        match cluster.apply(std::slice::from_ref(manifest), apply).await {
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(_) => rehearsal.assume(&manifest.content),
        }
    }
    Ok(Begun::Ended(StageEnd::succeeded(Value::Null)))
}

/// Asks the server about every object before any is changed: admission, validation, owners of fields. Gives all refusals.
pub(super) async fn rehearse(
    cluster: &Cluster,
    manifests: &[Manifest],
    apply: &ApplyOptions,
) -> Result<Vec<ClusterError>, ClusterError> {
    let dry = ApplyOptions { dry_run: true, ..apply.clone() };
    let created = Created::by(manifests);
    let mut refusals = Vec::new();
    for manifest in manifests {
        match cluster.apply(std::slice::from_ref(manifest), &dry).await {
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) if created.explains(&error, &manifest.object) => {}
            Err(error) => refusals.push(error),
        }
    }
    Ok(refusals)
}

/// What the same manifests create that others of them need: while nothing is applied yet, the server cannot know it.
pub(super) struct Created<'a> {
    namespaces: BTreeSet<&'a str>,
    kinds: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Created<'a> {
    pub(super) fn by(manifests: &'a [Manifest]) -> Self {
        let namespaces =
            manifests.iter().filter(|m| m.object.api_version == "v1" && m.object.kind == "Namespace");
        let kinds =
            manifests.iter().filter(|m| m.object.kind == "CustomResourceDefinition").filter_map(|m| {
                let spec = &m.content["spec"];
                Some((spec["group"].as_str()?, spec["names"]["kind"].as_str()?))
            });
        Self { namespaces: namespaces.map(|m| m.object.name.as_str()).collect(), kinds: kinds.collect() }
    }

    pub(super) fn explains(&self, error: &ClusterError, object: &ObjectRef) -> bool {
        match error {
            ClusterError::NotFound { .. } => {
                object.namespace.as_deref().is_some_and(|namespace| self.namespaces.contains(namespace))
            }
            ClusterError::UnknownKind { .. } => self.kinds.contains(&(object.group(), object.kind.as_str())),
            _ => false,
        }
    }
}
