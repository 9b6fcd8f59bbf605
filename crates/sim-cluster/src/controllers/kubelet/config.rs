//! What a pod takes from ConfigMaps and Secrets.

use serde_json::Value;

use crate::{json, store::Tx};

/// A reference to a ConfigMap or Secret.
struct Reference<'a> {
    resource: &'static str,
    name: &'a str,
    /// The key, where one is asked for.
    key: &'a str,
    optional: bool,
}

fn reference<'a>(source: &'a Value, resource: &'static str, name_field: &str) -> Reference<'a> {
    Reference {
        resource,
        name: json::text(source, name_field),
        key: json::text(source, "/key"),
        optional: json::flag(source, "/optional"),
    }
}

/// The references of a container's environment.
fn of_environment(container: &Value) -> Vec<Reference<'_>> {
    let mut all = Vec::new();
    for source in json::items(container, "/envFrom") {
        for (field, resource) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
            if let Some(source) = source.get(field) {
                all.push(reference(source, resource, "/name"));
            }
        }
    }
    for variable in json::items(container, "/env") {
        for (field, resource) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
            if let Some(source) = variable.pointer(&format!("/valueFrom/{field}")) {
                all.push(reference(source, resource, "/name"));
            }
        }
    }
    all
}

/// The references of a volume.
fn of_volume(volume: &Value) -> Vec<Reference<'_>> {
    let mut all = Vec::new();
    if let Some(source) = volume.get("configMap") {
        all.push(reference(source, "configmaps", "/name"));
    }
    if let Some(source) = volume.get("secret") {
        all.push(reference(source, "secrets", "/secretName"));
    }
    for source in json::items(volume, "/projected/sources") {
        for (field, resource) in [("configMap", "configmaps"), ("secret", "secrets")] {
            if let Some(source) = source.get(field) {
                all.push(reference(source, resource, "/name"));
            }
        }
    }
    all
}

/// Whether the pod refers to this ConfigMap or Secret.
pub(crate) fn refers_to(pod: &Value, resource: &str, name: &str) -> bool {
    let containers = ["/spec/containers", "/spec/initContainers"].iter().flat_map(|l| json::items(pod, l));
    let mut all: Vec<_> = containers.flat_map(of_environment).collect();
    all.extend(json::items(pod, "/spec/volumes").iter().flat_map(of_volume));
    all.iter().any(|r| r.resource == resource && r.name == name)
}

/// What the node says when a reference cannot be resolved.
fn problem(tx: &Tx<'_>, ns: &str, reference: &Reference<'_>) -> Option<String> {
    if reference.optional {
        return None;
    }
    let (kind, title) =
        if reference.resource == "secrets" { ("secret", "Secret") } else { ("configmap", "ConfigMap") };
    let Some(object) = tx.get(reference.resource, ns, reference.name) else {
        return Some(format!("{kind} {:?} not found", reference.name));
    };
    let has_key = ["data", "binaryData"].iter().any(|m| object[*m].get(reference.key).is_some());
    if reference.key.is_empty() || has_key {
        return None;
    }
    Some(format!("couldn't find key {} in {title} {ns}/{}", reference.key, reference.name))
}

/// Why the container's environment cannot be made.
pub(super) fn missing_environment(tx: &Tx<'_>, pod: &Value, container: &Value) -> Option<String> {
    of_environment(container).iter().find_map(|r| problem(tx, json::namespace(pod), r))
}

/// Why a volume of the pod cannot be mounted.
pub(super) fn missing_volume(tx: &Tx<'_>, pod: &Value) -> Option<String> {
    for volume in json::items(pod, "/spec/volumes") {
        if let Some(problem) = of_volume(volume).iter().find_map(|r| problem(tx, json::namespace(pod), r)) {
            return Some(format!(
                "MountVolume.SetUp failed for volume {:?} : {problem}",
                json::text(volume, "/name")
            ));
        }
    }
    None
}
