//! Reads Kubernetes manifests: several YAML documents, or JSON; lists taken apart; each object with its place in the text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use serde_saphyr::{Location, Spanned};
use thiserror::Error;

use crate::object::{self, ObjectRef};

/// One object to apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The address, as far as the text says it: an unknown kind that turns out to live in no namespace loses the
    /// namespace when it is applied.
    pub object: ObjectRef,
    /// The whole object, as it is applied: without `status` and without what only the server writes.
    pub content: Value,
    /// Which document of the text it comes from, from 1.
    pub document: usize,
    /// The line on which that document begins, from 1; 0 when unknown.
    pub line: u64,
}

/// What is wrong with manifests, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ManifestError {
    /// Which document, from 1; 0 when it concerns all of them.
    pub document: usize,
    /// Line in the text, from 1; 0 when unknown.
    pub line: u64,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("manifests: ")?;
        if self.document > 0 {
            write!(f, "document {}, ", self.document)?;
        }
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.problem)
    }
}

/// Kinds that live in no namespace, of the groups that every cluster has.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["Namespace", "Node", "PersistentVolume", "ComponentStatus"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    (
        "storage.k8s.io",
        &["StorageClass", "CSIDriver", "CSINode", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("networking.k8s.io", &["IngressClass", "IPAddress", "ServiceCIDR"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
    ),
];

/// Reads manifests. YAML as `kubectl` reads it (`0644` is octal, `yes` is true, duplicate keys are refused), or JSON.
///
/// Empty documents are passed over, `List` kinds are taken apart, and objects that live in namespaces and name none are
/// put into `default_namespace`.
///
/// # Errors
/// Malformed or over-sized text (aliases that multiply included), an object without `apiVersion`, `kind` or
/// `metadata.name`, one named twice, or nothing at all; with document and line.
pub fn parse_manifests(text: &str, default_namespace: &str) -> Result<Vec<Manifest>, ManifestError> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            ManifestError { document: document_at(text, line), line, problem: error.to_string() }
        })?;
    let mut manifests = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let place = Place { document: index + 1, line: line_of(document.referenced) };
        collect(document.value, place, default_namespace, &mut manifests)?;
    }
    if manifests.is_empty() {
        return Err(ManifestError { document: 0, line: 0, problem: "there is no object in it".into() });
    }
    refuse_twice(&manifests)?;
    Ok(manifests)
}

#[derive(Clone, Copy)]
struct Place {
    document: usize,
    line: u64,
}

impl Place {
    fn error(self, problem: impl Into<String>) -> ManifestError {
        ManifestError { document: self.document, line: self.line, problem: problem.into() }
    }
}

fn line_of(location: Location) -> u64 {
    if location == Location::UNKNOWN { 0 } else { location.line() }
}

/// The document that a line belongs to, counted by the `---` lines before it.
fn document_at(text: &str, line: u64) -> usize {
    let before = text.lines().take(usize::try_from(line).unwrap_or(usize::MAX));
    let mut documents = 1;
    let mut content = false;
    for line in before {
        if line.starts_with("---") {
            documents += usize::from(content);
            content = false;
        } else {
            content |= !line.trim().is_empty() && !line.starts_with('#');
        }
    }
    documents
}

fn collect(
    value: Value,
    place: Place,
    namespace: &str,
    into: &mut Vec<Manifest>,
) -> Result<(), ManifestError> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items.into_iter().try_for_each(|item| collect(item, place, namespace, into)),
        Value::Object(mut object) if is_list(&object) => match object.shift_remove("items") {
            Some(Value::Array(items)) => {
                items.into_iter().try_for_each(|item| collect(item, place, namespace, into))
            }
            _ => Err(place.error("`items` of the list is not a sequence")),
        },
        Value::Object(object) => {
            into.push(manifest(Value::Object(object), place, namespace)?);
            Ok(())
        }
        other => Err(place.error(format!("expected an object with `apiVersion` and `kind`, found {other}"))),
    }
}

fn is_list(object: &Map<String, Value>) -> bool {
    object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
        && object.contains_key("items")
}

fn manifest(content: Value, place: Place, namespace: &str) -> Result<Manifest, ManifestError> {
    for key in ["apiVersion", "kind"] {
        if content[key].as_str().is_none_or(str::is_empty) {
            return Err(
                place.error(format!("`{key}` is missing: every object says its `apiVersion` and `kind`"))
            );
        }
    }
    let kind = content["kind"].as_str().unwrap_or_default();
    if !content["metadata"].is_object() {
        return Err(place.error(format!("`metadata` of this {kind} is missing")));
    }
    if content["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        let problem = match content["metadata"]["generateName"].is_string() {
            true => {
                format!("this {kind} has `generateName`: server-side apply needs a fixed `metadata.name`")
            }
            false => format!("`metadata.name` of this {kind} is missing"),
        };
        return Err(place.error(problem));
    }
    if !matches!(content["metadata"]["namespace"], Value::Null | Value::String(_)) {
        return Err(place.error(format!("`metadata.namespace` of this {kind} must be text")));
    }
    let mut content = object::clean(content);
    let Some(object) = ObjectRef::of(&content) else {
        return Err(place.error("`apiVersion`, `kind` and `metadata.name` must be text"));
    };
    let object = placed(object, namespace, &mut content);
    if object.is_secret() {
        encode_text(&mut content);
    }
    Ok(Manifest { object, content, document: place.document, line: place.line })
}

/// Writes a Secret's `stringData` as `data`, as the server does when it stores it. Applied as it is, the server would note
/// us as owner of `stringData`, which the stored object does not have: then nothing of it could be removed or taken back.
fn encode_text(secret: &mut Value) {
    let all_text = |map: &Map<String, Value>| map.values().all(Value::is_string);
    if !secret.get("stringData").and_then(Value::as_object).is_some_and(all_text) {
        return;
    }
    let Some(Value::Object(text)) = secret.as_object_mut().and_then(|map| map.shift_remove("stringData"))
    else {
        return;
    };
    if secret.get("data").is_none_or(|data| !data.is_object()) {
        secret["data"] = json!({});
    }
    for (key, value) in text {
        let encoded = BASE64.encode(value.as_str().unwrap_or_default());
        secret["data"][key] = Value::from(encoded);
    }
}

/// Gives the object its namespace, or takes it away where the kind is known to live in none.
fn placed(mut object: ObjectRef, namespace: &str, content: &mut Value) -> ObjectRef {
    if is_cluster_scoped(object.group(), &object.kind) {
        object.namespace = None;
        if let Some(metadata) = content["metadata"].as_object_mut() {
            metadata.shift_remove("namespace");
        }
    } else if object.namespace.as_deref().is_none_or(str::is_empty) {
        content["metadata"]["namespace"] = Value::from(namespace);
        object.namespace = Some(namespace.to_owned());
    }
    object
}

fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    CLUSTER_SCOPED.iter().any(|(g, kinds)| *g == group && kinds.contains(&kind))
}

fn refuse_twice(manifests: &[Manifest]) -> Result<(), ManifestError> {
    for (index, manifest) in manifests.iter().enumerate() {
        let same = |other: &&Manifest| {
            let (a, b) = (&other.object, &manifest.object);
            (a.group(), &a.kind, &a.namespace, &a.name) == (b.group(), &b.kind, &b.namespace, &b.name)
        };
        if let Some(first) = manifests[..index].iter().find(same) {
            let problem =
                format!("{} is already in document {}: keep one of them", manifest.object, first.document);
            return Err(ManifestError { document: manifest.document, line: manifest.line, problem });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
