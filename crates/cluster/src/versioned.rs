//! ConfigMaps and Secrets by version: named by their content, so that each version of a workload keeps the one it was
//! written for (T53; Spinnaker calls them versioned artifacts).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::manifest::Manifest;
use crate::marks::ANNOTATION_PREFIX;
use crate::object::{self, ObjectRef};
use crate::pod_spec;
use crate::references::{self, Referred};

/// One ConfigMap or Secret that was given the name of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionedConfig {
    /// Its name in the manifests.
    pub base: String,
    /// Itself, by its new name.
    pub object: ObjectRef,
}

/// A version that one set of objects holds and others may refer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provided {
    /// The version.
    #[serde(flatten)]
    pub config: VersionedConfig,
    /// The label of the objects that were deployed with it.
    pub set: String,
}

impl VersionedConfig {
    /// Whether both are versions of one name.
    #[must_use]
    pub fn stands_for(&self, other: &Self) -> bool {
        self.is_version(&other.object) && self.base == other.base
    }

    /// Whether the object has the name of a version of this, whatever it holds: the same name and place, and a hash.
    #[must_use]
    pub fn is_version(&self, object: &ObjectRef) -> bool {
        let ObjectRef { api_version, kind, namespace, .. } = &self.object;
        let alike = (api_version, kind, namespace) == (&object.api_version, &object.kind, &object.namespace);
        let rest = object.name.strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('-'));
        let hash = |rest: &str| {
            rest.len() == 2 * HASH_BYTES && rest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        };
        alike && rest.is_some_and(hash)
    }
}

/// How much of a content's hash is in its name, in bytes: twice as many hex digits.
const HASH_BYTES: usize = 5;
/// Label of what refers to a version of another set: `pilothouse.dev/uses-SET`.
const USES: &str = "uses-";
/// Label that says of which name an object is a version.
const VERSION_OF: &str = "version-of";
/// Annotations that say of one object whether it is versioned, whatever the stage says: ours, and Spinnaker's.
const ANNOTATIONS: [&str; 2] = ["pilothouse.dev/versioned", "strategy.spinnaker.io/versioned"];
/// The longest value of a label.
const LONGEST_LABEL: usize = 63;

/// Names the ConfigMaps and Secrets of the manifests by their content, `settings` as `settings-4f2a9c01d3`, and changes
/// every reference to them among the manifests: variables, environments, volumes, secrets for pulling images (of pods and
/// of service accounts), and certificates of an Ingress.
///
/// With `all`, those that a workload among the manifests refers to; the annotation `pilothouse.dev/versioned: "true"` or
/// `"false"` (or Spinnaker's `strategy.spinnaker.io/versioned`) decides for one object. Made twice of the same manifests,
/// the names are the same.
pub fn version_configs(manifests: &mut [Manifest], all: bool) -> Vec<VersionedConfig> {
    let referred = referred(manifests);
    let mut renamed: BTreeMap<ObjectRef, String> = BTreeMap::new();
    let mut versioned = Vec::new();
    for manifest in manifests.iter_mut() {
        let object = &manifest.object;
        let config = object.group().is_empty() && matches!(object.kind.as_str(), "ConfigMap" | "Secret");
        let wanted = asked(&manifest.content).unwrap_or(all && referred.contains(object));
        if !config || !wanted {
            continue;
        }
        let base = object.name.clone();
        let name = format!("{base}-{}", content_hash(&manifest.content));
        renamed.insert(object.clone(), name.clone());
        manifest.content["metadata"]["name"] = Value::from(name.as_str());
        label(&mut manifest.content, VERSION_OF, &label_value(&base));
        manifest.object.name = name;
        versioned.push(VersionedConfig { base, object: manifest.object.clone() });
    }
    for manifest in manifests.iter_mut() {
        rename(manifest, &mut |object| renamed.get(object).cloned());
    }
    versioned
}

/// Lets what refers to a ConfigMap or Secret mean the version of it that others have deployed, and labels it: so that they know that it
/// is needed. A name that is among the manifests is theirs.
pub fn refer_to(manifests: &mut [Manifest], provided: &[Provided]) {
    let own: BTreeSet<ObjectRef> = manifests.iter().map(|manifest| manifest.object.clone()).collect();
    for manifest in manifests.iter_mut() {
        let mut sets = BTreeSet::new();
        rename(manifest, &mut |object| {
            let means = |p: &&Provided| {
                *object == ObjectRef { name: p.config.base.clone(), ..p.config.object.clone() }
            };
            let found = provided.iter().find(means).filter(|_| !own.contains(object))?;
            sets.insert(found.set.as_str());
            Some(found.config.object.name.clone())
        });
        for set in sets {
            label(&mut manifest.content, &format!("{USES}{set}"), "true");
        }
    }
}

/// Whether anything among the manifests names this ConfigMap or Secret.
#[must_use]
pub fn refers_to(manifests: &[Manifest], object: &ObjectRef) -> bool {
    referred(manifests).contains(object)
}

/// Gives every ConfigMap and Secret that the manifest names the name that it is to have.
fn rename(manifest: &mut Manifest, new_name: &mut dyn FnMut(&ObjectRef) -> Option<String>) {
    let namespace = manifest.object.namespace.clone();
    each_reference(&mut manifest.content, &mut |referred, name| {
        let object = ObjectRef {
            api_version: "v1".into(),
            kind: referred.kind().into(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        if let Some(new) = new_name(&object) {
            *name = new;
        }
    });
}

/// Gives an object a label of ours: `pilothouse.dev/KEY: VALUE`.
pub fn label(content: &mut Value, key: &str, value: &str) {
    let metadata = &mut content["metadata"];
    if !metadata["labels"].is_object() {
        metadata["labels"] = json!({});
    }
    metadata["labels"][format!("{ANNOTATION_PREFIX}{key}")] = Value::from(value);
}

/// The selector of all versions of a name within a set of objects.
pub(crate) fn selector(base: &str, set: &str) -> String {
    format!("{ANNOTATION_PREFIX}{VERSION_OF}={},{}", label_value(base), set_selector(set))
}

/// The selector of all objects of a set.
pub(crate) fn set_selector(set: &str) -> String {
    format!("{ANNOTATION_PREFIX}set={set}")
}

/// The selector of all objects that refer to a version of a set and are of another.
pub(crate) fn uses_selector(set: &str) -> String {
    format!("{ANNOTATION_PREFIX}{USES}{set}=true")
}

/// The ConfigMaps and Secrets that anything among the manifests names.
fn referred(manifests: &[Manifest]) -> BTreeSet<ObjectRef> {
    let mut found = BTreeSet::new();
    for manifest in manifests {
        let mut content = manifest.content.clone();
        each_reference(&mut content, &mut |referred, name| {
            let namespace = manifest.object.namespace.clone().unwrap_or_default();
            found.insert(ObjectRef::namespaced("v1", referred.kind(), namespace, name.clone()));
        });
    }
    found
}

fn each_reference(content: &mut Value, see: &mut dyn FnMut(Referred, &mut String)) {
    if let Some(spec) = pod_spec::of_mut(content) {
        references::visit(spec, see);
        return;
    }
    let lists = match content["kind"].as_str() {
        Some("ServiceAccount") => vec![("/imagePullSecrets", "name"), ("/secrets", "name")],
        Some("Ingress") => vec![("/spec/tls", "secretName")],
        _ => Vec::new(),
    };
    for (list, key) in lists {
        let items = content.pointer_mut(list).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            if let Some(Value::String(name)) = item.get_mut(key) {
                see(Referred::Secret, name);
            }
        }
    }
}

/// What the object itself says.
fn asked(content: &Value) -> Option<bool> {
    let annotations = content["metadata"]["annotations"].as_object()?;
    let said = ANNOTATIONS.iter().find_map(|key| annotations.get(*key))?;
    match said {
        Value::Bool(said) => Some(*said),
        said => said.as_str()?.parse().ok(),
    }
}

/// Ten hex digits of the SHA-256 of what the object holds, whatever the order of its keys.
fn content_hash(content: &Value) -> String {
    let held: Map<String, Value> = ["kind", "type", "immutable", "data", "binaryData", "stringData"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), content.get(key).map(sorted)?)))
        .collect();
    hex::encode(&Sha256::digest(Value::Object(held).to_string().as_bytes())[..HASH_BYTES])
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map.iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        other => other.clone(),
    }
}

/// A name as a label's value: as it is, or, when it is too long, its beginning and a hash.
fn label_value(name: &str) -> String {
    if name.len() <= LONGEST_LABEL {
        return name.to_owned();
    }
    let hash = hex::encode(&Sha256::digest(name.as_bytes())[..5]);
    let start: String = name.chars().take(LONGEST_LABEL - hash.len() - 1).collect();
    format!("{start}-{hash}")
}

/// The name and age of a version, newest first; the same age by name, so that the order is always the same.
pub(crate) fn newest_first(versions: &mut [Value]) {
    versions.sort_by(|a, b| {
        let age = |v: &Value| v["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        age(b).cmp(&age(a)).then_with(|| object::name(a).cmp(object::name(b)))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse_manifests;

    const APP: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {A: "1", B: "2"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: alone}
data: {A: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
data: {tls.crt: eA==}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {tls: [{secretName: tls}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - {name: web, image: shop/web, envFrom: [{configMapRef: {name: settings}}, {configMapRef: {name: others}}]}
      volumes: [{name: v, projected: {sources: [{configMap: {name: settings}}]}}]
"#;

    fn versioned(text: &str, all: bool) -> (Vec<Manifest>, Vec<String>) {
        let mut manifests = parse_manifests(text, "dev").unwrap();
        let versioned = version_configs(&mut manifests, all);
        (manifests, versioned.into_iter().map(|v| v.object.name).collect())
    }

    #[test]
    fn what_is_referred_to_is_named_by_its_content_everywhere() {
        let (manifests, names) = versioned(APP, true);
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].starts_with("settings-") && names[1].starts_with("tls-"), "{names:?}");
        let spec = &manifests[4].content["spec"]["template"]["spec"];
        assert_eq!(spec["containers"][0]["envFrom"][0]["configMapRef"]["name"], names[0]);
        assert_eq!(spec["containers"][0]["envFrom"][1]["configMapRef"]["name"], "others");
        assert_eq!(spec["volumes"][0]["projected"]["sources"][0]["configMap"]["name"], names[0]);
        assert_eq!(manifests[3].content["spec"]["tls"][0]["secretName"], names[1]);
        assert_eq!(manifests[1].object.name, "alone", "nothing names it, so it keeps its name");
        assert_eq!(manifests[0].content["metadata"]["labels"]["pilothouse.dev/version-of"], "settings");
        assert_eq!(versioned(APP, false).1, Vec::<String>::new());
    }

    #[test]
    fn the_name_follows_the_content_and_not_the_order_of_its_keys() {
        let again = APP.replace(r#"{A: "1", B: "2"}"#, r#"{B: "2", A: "1"}"#);
        assert_eq!(versioned(APP, true).1, versioned(&again, true).1);
        let other = APP.replace(r#"B: "2""#, r#"B: "3""#);
        assert_ne!(versioned(APP, true).1[0], versioned(&other, true).1[0]);
    }

    #[test]
    fn an_annotation_decides_for_one_object() {
        let off = APP.replace(
            "metadata: {name: settings}",
            "metadata: {name: settings, annotations: {strategy.spinnaker.io/versioned: 'false'}}",
        );
        assert_eq!(versioned(&off, true).1.len(), 1);
        let on = APP.replace(
            "metadata: {name: alone}",
            "metadata: {name: alone, annotations: {pilothouse.dev/versioned: 'true'}}",
        );
        assert!(versioned(&on, false).1[0].starts_with("alone-"));
    }

    #[test]
    fn a_version_is_known_by_its_name_and_place() {
        let of = |namespace: &str, name: &str| ObjectRef::namespaced("v1", "ConfigMap", namespace, name);
        let config = VersionedConfig { base: "settings".into(), object: of("dev", "settings-4f2a9c01d3") };
        assert!(config.is_version(&of("dev", "settings-0000000000")));
        for other in [
            "settings",
            "settings-extra",
            "settings-4f2a9c01d",
            "settings-4F2A9C01D3",
            "settings-a-0000000000",
        ] {
            assert!(!config.is_version(&of("dev", other)), "{other}");
        }
        assert!(!config.is_version(&of("prod", "settings-0000000000")));
        assert!(!config.is_version(&ObjectRef::namespaced("v1", "Secret", "dev", "settings-0000000000")));
    }

    #[test]
    fn a_version_of_others_is_meant_where_the_manifests_have_none_of_their_own() {
        let provided = |name: &str| Provided {
            config: VersionedConfig {
                base: name.to_owned(),
                object: ObjectRef::namespaced("v1", "ConfigMap", "dev", format!("{name}-0000000000")),
            },
            set: "5e7".to_owned(),
        };
        let mut manifests = parse_manifests(APP, "dev").unwrap();
        refer_to(&mut manifests, &[provided("settings"), provided("others")]);
        let web = &manifests[4];
        let from = &web.content["spec"]["template"]["spec"]["containers"][0]["envFrom"];
        assert_eq!(from[0]["configMapRef"]["name"], "settings", "it is among the manifests");
        assert_eq!(from[1]["configMapRef"]["name"], "others-0000000000");
        assert_eq!(web.content["metadata"]["labels"]["pilothouse.dev/uses-5e7"], "true");
        assert!(refers_to(&manifests, &provided("others").config.object));
        let mut elsewhere = parse_manifests(APP, "prod").unwrap();
        refer_to(&mut elsewhere, &[provided("others")]);
        assert!(!refers_to(&elsewhere, &provided("others").config.object), "another namespace has its own");
    }

    #[test]
    fn a_name_that_is_too_long_for_a_label_is_shortened_to_one_of_its_own() {
        let (a, b) = ("a".repeat(80), format!("{}b", "a".repeat(79)));
        assert_eq!(label_value(&a).len(), LONGEST_LABEL);
        assert_ne!(label_value(&a), label_value(&b));
    }
}
