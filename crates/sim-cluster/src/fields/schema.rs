//! How lists and maps merge: the `x-kubernetes-list-type` and `-map-type` of the built-in kinds, by field name.

use serde_json::{Map, Value, json};

use crate::{custom::Shapes, kinds::Kind};

/// How the elements of a field belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A scalar, or an object whose fields are owned one by one.
    Granular,
    /// Owned and replaced as a whole.
    Atomic,
    /// A list of objects told apart by these keys, the first of which is also the key of strategic merge patches.
    Keyed(&'static [&'static str]),
    /// A list of scalars without order.
    Set,
}

/// Objects that are replaced as a whole.
const ATOMIC_MAPS: &[&str] = &[
    "selector",
    "labelSelector",
    "namespaceSelector",
    "podSelector",
    "nodeSelector",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "involvedObject",
    "targetRef",
    "roleRef",
    "nodeAffinity",
];

/// The shape of the list `field` within `parent` (field names; "" at the top).
pub(crate) fn list_shape(parent: &str, field: &str) -> Shape {
    match (parent, field) {
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            Shape::Keyed(&["containerPort", "protocol"])
        }
        // Of a Pod it is a map by name, of a ServiceAccount one whole.
        ("", "imagePullSecrets") => Shape::Atomic,
        // Only Services have ports right below their spec.
        ("spec", "ports") => Shape::Keyed(&["port", "protocol"]),
        (
            _,
            "containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" | "imagePullSecrets",
        )
        | (_, "schedulingGates" | "resourceClaims")
        | ("", "secrets") => Shape::Keyed(&["name"]),
        (_, "volumeMounts") => Shape::Keyed(&["mountPath"]),
        (_, "volumeDevices") => Shape::Keyed(&["devicePath"]),
        (_, "hostAliases" | "podIPs" | "hostIPs") => Shape::Keyed(&["ip"]),
        (_, "conditions") => Shape::Keyed(&["type"]),
        (_, "ownerReferences") => Shape::Keyed(&["uid"]),
        (_, "topologySpreadConstraints") => Shape::Keyed(&["topologyKey", "whenUnsatisfiable"]),
        (_, "finalizers") => Shape::Set,
        _ => Shape::Atomic,
    }
}

/// Whose shapes hold: those of the built-in kinds, or those of a custom resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules(Option<&'static Shapes>);

impl Rules {
    pub(super) fn of(kind: &'static Kind) -> Self {
        Self(kind.custom.as_ref().map(|c| &c.shapes))
    }

    /// The shape of `value`, the field `field` within `parent`.
    pub(super) fn shape(self, parent: &str, field: &str, value: &Value) -> Shape {
        match (self.0, value) {
            (Some(shapes), _) => shapes.shape(parent, field, value),
            (None, Value::Array(_)) => list_shape(parent, field),
            (None, Value::Object(_)) if ATOMIC_MAPS.contains(&field) => Shape::Atomic,
            _ => Shape::Granular,
        }
    }
}

/// The shape of an element of the list `field`: references are replaced as a whole.
pub(super) fn element_shape(field: &str) -> Shape {
    if field == "ownerReferences" { Shape::Atomic } else { Shape::Granular }
}

/// The key of an element: its key fields with their defaults.
pub(super) fn key_of(item: &Value, keys: &[&str]) -> Value {
    let mut key = Map::new();
    for name in keys {
        match item.get(name) {
            Some(value) if !value.is_null() => {
                key.insert((*name).to_owned(), value.clone());
            }
            _ if *name == "protocol" => {
                key.insert((*name).to_owned(), json!("TCP"));
            }
            _ => {}
        }
    }
    Value::Object(key)
}

/// The element of `list` with this key.
pub(super) fn find<'a>(list: &'a [Value], keys: &[&str], key: &Value) -> Option<&'a Value> {
    list.iter().find(|i| key_of(i, keys) == *key)
}
