//! `events.k8s.io/v1`: the events of the core group under their newer names.

use serde_json::{Value, json};

use crate::{json, kinds::Kind};

/// Whether objects of `kind` are stored as events of the core group.
pub(super) fn is_newer(kind: &Kind) -> bool {
    kind.group == "events.k8s.io"
}

/// Old and new names of the fields that have another name.
const NAMES: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn renamed(event: &Value, name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let fields = event.as_object().into_iter().flatten();
    fields
        .map(|(key, value)| (name(key).unwrap_or(key).to_owned(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// An event of the core group under the newer names.
pub(super) fn to_newer(event: &Value) -> Value {
    let mut newer = renamed(event, |key| NAMES.iter().find(|(old, _)| *old == key).map(|(_, new)| *new));
    json::set(&mut newer, "/apiVersion", "events.k8s.io/v1");
    newer
}

/// The other way round.
pub(super) fn to_core(event: &Value) -> Value {
    let mut core = renamed(event, |key| NAMES.iter().find(|(_, new)| *new == key).map(|(old, _)| *old));
    json::set(&mut core, "/apiVersion", "v1");
    json::set_default(&mut core, "/involvedObject", json!({}));
    core
}
