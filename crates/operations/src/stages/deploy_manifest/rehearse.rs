//! Asks the server before anything is changed.

use std::collections::BTreeSet;

use pilothouse_cluster::{ApplyOptions, Cluster, ClusterError, Manifest, Rehearsal};
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

/// Asks the server about every object before any is changed: admission, validation, owners of fields. Gives all refusals, and keeps
/// what the writes would come to in `asked`.
pub(super) async fn rehearse(
    cluster: &Cluster,
    manifests: &[Manifest],
    apply: &ApplyOptions,
    asked: &Rehearsal,
) -> Result<Vec<ClusterError>, ClusterError> {
    let cluster = cluster.rehearsing(asked);
    let created = Created::by(manifests);
    let mut refusals = Vec::new();
    for manifest in manifests {
        match cluster.apply(std::slice::from_ref(manifest), apply).await {
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) if created.explains(&error, manifest) => {}
            Err(error) => refusals.push(error),
        }
    }
    Ok(refusals)
}

/// What the same manifests create that others of them need: while nothing is applied yet, the server cannot know it.
pub(super) struct Created<'a> {
    namespaces: BTreeSet<&'a str>,
    kinds: BTreeSet<(&'a str, &'a str)>,
    /// Kind, namespace and name of everything.
    objects: BTreeSet<Named<'a>>,
}

/// Kind, namespace and name.
type Named<'a> = (&'a str, Option<&'a str>, &'a str);

impl<'a> Created<'a> {
    pub(super) fn by(manifests: &'a [Manifest]) -> Self {
        let namespaces =
            manifests.iter().filter(|m| m.object.api_version == "v1" && m.object.kind == "Namespace");
        let kinds =
            manifests.iter().filter(|m| m.object.kind == "CustomResourceDefinition").filter_map(|m| {
                let spec = &m.content["spec"];
                Some((spec["group"].as_str()?, spec["names"]["kind"].as_str()?))
            });
        let objects = manifests.iter().map(|m| &m.object);
        Self {
            namespaces: namespaces.map(|m| m.object.name.as_str()).collect(),
            kinds: kinds.collect(),
            objects: objects.map(|o| (o.kind.as_str(), o.namespace.as_deref(), o.name.as_str())).collect(),
        }
    }

    /// Whether it is an error for no other reason than that what the object needs is only among the manifests.
    pub(super) fn explains(&self, error: &ClusterError, manifest: &Manifest) -> bool {
        let object = &manifest.object;
        let in_new_namespace =
            || object.namespace.as_deref().is_some_and(|namespace| self.namespaces.contains(namespace));
        match error {
            ClusterError::NotFound { message, .. } => in_new_namespace() || self.provides(manifest, message),
            ClusterError::Denied { message, .. } => self.provides(manifest, message),
            ClusterError::UnknownKind { .. } => self.kinds.contains(&(object.group(), object.kind.as_str())),
            _ => false,
        }
    }

    /// Whether the server misses by name what the object refers to and what is among the manifests. Only the kinds whose references are
    /// looked up when they are created: a pod before its service account, a binding before its role (where the binder is no admin).
    fn provides(&self, manifest: &Manifest, message: &str) -> bool {
        let namespace = manifest.object.namespace.as_deref();
        let text = |at: &str| manifest.content.pointer(at).and_then(Value::as_str);
        let needs: Vec<(&str, Option<&str>, &str)> = match manifest.object.kind.as_str() {
            "Pod" => vec![
                ("ServiceAccount", namespace, "/spec/serviceAccountName"),
                ("PriorityClass", None, "/spec/priorityClassName"),
                ("RuntimeClass", None, "/spec/runtimeClassName"),
            ],
            "RoleBinding" | "ClusterRoleBinding" => {
                let role = text("/roleRef/kind").unwrap_or_default();
                vec![(role, if role == "Role" { namespace } else { None }, "/roleRef/name")]
            }
            _ => Vec::new(),
        };
        needs.into_iter().any(|(kind, namespace, at)| {
            let misses = |name: &str| {
                let words = message.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':' | ','));
                let whose = message.to_lowercase().contains(&kind.to_lowercase());
                whose && words.into_iter().any(|word| word == name)
            };
            text(at).is_some_and(|name| misses(name) && self.has(kind, namespace, name))
        })
    }

    /// Among the manifests, what lives in no namespace may have been given one all the same.
    fn has(&self, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        self.objects
            .iter()
            .any(|(k, n, own)| *k == kind && *own == name && (namespace.is_none() || *n == namespace))
    }
}
