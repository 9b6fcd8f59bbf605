//! Names of objects in a cluster, and small readers of their JSON.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The address of one object: what kind it is, where it lives, what it is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Group and version as manifests write them: `apps/v1`, or `v1` for the core group.
    pub api_version: String,
    /// Kind in PascalCase: `Deployment`.
    pub kind: String,
    /// `None` for objects that live in no namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectRef {
    /// An object in a namespace.
    pub fn namespaced(
        api_version: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    /// Reads the address out of an object's own fields; `None` when kind, apiVersion or name is missing.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        Some(Self {
            api_version: object["apiVersion"].as_str()?.to_owned(),
            kind: object["kind"].as_str()?.to_owned(),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
            name: object["metadata"]["name"].as_str()?.to_owned(),
        })
    }

    /// The API group: `apps` of `apps/v1`, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// A short hash of the address, whatever the version of its kind: 16 hex digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let address = (self.group(), &self.kind, self.namespace.as_deref().unwrap_or_default(), &self.name);
        let text = format!("{}\n{}\n{}\n{}", address.0, address.1, address.2, address.3);
        hex::encode(&Sha256::digest(text.as_bytes())[..8])
    }

    /// Whether it is of a kind whose pods can be watched: a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or Pod.
    #[must_use]
    pub fn is_workload(&self) -> bool {
        crate::observe::is_workload(self)
    }

    /// Whether it is a core Secret, whose data may be in no record.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.kind == "Secret" && self.group().is_empty()
    }
}

impl fmt::Display for ObjectRef {
    /// `Deployment dev/web`, or `Namespace dev` for what lives in no namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Removes what the API server writes itself, so that the rest can be applied again or compared.
pub(crate) fn clean(mut object: Value) -> Value {
    if let Some(root) = object.as_object_mut() {
        root.shift_remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in [
            "managedFields",
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "generation",
            "selfLink",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            metadata.shift_remove(key);
        }
    }
    object
}

/// `metadata.uid`, or the empty text.
pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// `metadata.name`, or the empty text.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Whether `owner` (a uid) is among the object's owner references.
pub(crate) fn is_owned_by(object: &Value, owner: &str) -> bool {
    object["metadata"]["ownerReferences"]
        .as_array()
        .is_some_and(|owners| owners.iter().any(|o| o["uid"].as_str() == Some(owner)))
}

/// The condition of that type in `status.conditions`.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"].as_str() == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_read_from_an_object_and_shown_shortly() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "dev"}});
        let address = ObjectRef::of(&object).unwrap();
        assert_eq!(address.to_string(), "Deployment dev/web");
        assert_eq!(address.group(), "apps");
        assert_eq!(ObjectRef::of(&json!({"kind": "Deployment"})), None);
    }

    #[test]
    fn a_fingerprint_is_of_the_object_and_not_of_the_version_it_is_read_in() {
        let web =
            |version: &str, name: &str| ObjectRef::namespaced(version, "Ingress", "dev", name).fingerprint();
        assert_eq!(web("networking.k8s.io/v1", "a"), web("networking.k8s.io/v1beta1", "a"));
        assert_ne!(web("networking.k8s.io/v1", "a"), web("networking.k8s.io/v1", "b"));
        assert_eq!(web("v1", "a").len(), 16);
    }

    #[test]
    fn cleaning_keeps_what_the_user_wrote() {
        let object = json!({
            "metadata": {"name": "web", "labels": {"a": "b"}, "uid": "1", "resourceVersion": "7", "managedFields": []},
            "spec": {"replicas": 2}, "status": {"replicas": 1}
        });
        assert_eq!(
            clean(object),
            json!({"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {"replicas": 2}})
        );
    }
}
