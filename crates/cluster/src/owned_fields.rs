//! Arithmetic on `FieldsV1`, the sets of fields that `metadata.managedFields` says a manager owns.
//!
//! A set is a tree in JSON. Keys are `f:name` (a field), `k:{"name":"web"}` (an item of a list, by its key fields),
//! `v:"x"` (a member of a set), `i:0` (an item by place) and `.` (the item or map itself). `{}` owns all that is below.

use serde_json::{Map, Value, json};

/// The fields that a manager owns by server-side apply (not through a subresource), over all API versions; `{}` if none.
pub(crate) fn owned_by(object: &Value, manager: &str) -> Value {
    let ours = collect(object, |entry| {
        entry["manager"] == manager && entry["operation"] == "Apply" && !has_subresource(entry)
    });
    without_content_of(ours, &owned_by_others(object, manager))
}

/// The version of its kind in which a manager applied an object last. The server keeps one such entry, in that version's names.
pub(crate) fn applied_version<'a>(object: &'a Value, manager: &str) -> Option<&'a str> {
    let ours = |entry: &&Value| {
        entry["manager"] == manager && entry["operation"] == "Apply" && !has_subresource(entry)
    };
    entries(object).iter().find(ours)?["apiVersion"].as_str()
}

/// `{}` may mean the whole of a value, or a map that was applied empty. Where others own fields below, it was the latter:
/// then only the map itself is ours, which `.` says.
fn without_content_of(mut ours: Value, others: &Value) -> Value {
    for (key, below) in ours.as_object_mut().into_iter().flatten() {
        let Some(theirs) = others.get(key) else { continue };
        *below = match below.take() {
            leaf if is_empty(&leaf) && !is_empty(theirs) => json!({".": {}}),
            tree => without_content_of(tree, theirs),
        };
    }
    ours
}

/// The fields that anybody else owns, in any way.
pub(crate) fn owned_by_others(object: &Value, manager: &str) -> Value {
    collect(object, |entry| {
        entry["manager"] != manager || entry["operation"] != "Apply" || has_subresource(entry)
    })
}

/// Who owns the field at that path (keys of the tree), other than `manager`.
pub(crate) fn other_owner(object: &Value, manager: &str, path: &[String]) -> Option<String> {
    entries(object)
        .iter()
        .filter(|entry| entry["manager"] != manager || entry["operation"] != "Apply")
        .find(|entry| path.iter().try_fold(&entry["fieldsV1"], |tree, key| tree.get(key)).is_some())
        .and_then(|entry| entry["manager"].as_str().map(str::to_owned))
}

fn has_subresource(entry: &Value) -> bool {
    entry["subresource"].as_str().is_some_and(|s| !s.is_empty())
}

fn entries(object: &Value) -> &[Value] {
    object["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn collect(object: &Value, keep: impl Fn(&Value) -> bool) -> Value {
    entries(object)
        .iter()
        .filter(|entry| keep(entry))
        .fold(json!({}), |set, entry| union(set, &entry["fieldsV1"]))
}

/// Whether a set owns nothing.
pub(crate) fn is_empty(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

/// The fields in either set. Where one owns the whole and the other a part of it, the finer one is kept: the union is
/// used to read values out of objects, and the parts then name all there is.
pub(crate) fn union(mut a: Value, b: &Value) -> Value {
    let (Some(into), Some(from)) = (a.as_object_mut(), b.as_object()) else { return a };
    for (key, value) in from {
        let merged = match into.get_mut(key) {
            Some(existing) => union(existing.take(), value),
            None => value.clone(),
        };
        into.insert(key.clone(), merged);
    }
    a
}

/// The fields in `a` that are not in `b`.
pub(crate) fn difference(a: &Value, b: &Value) -> Value {
    let (Some(left), Some(right)) = (a.as_object(), b.as_object()) else { return json!({}) };
    let mut rest = Map::new();
    for (key, value) in left {
        match right.get(key) {
            None => {
                rest.insert(key.clone(), value.clone());
            }
            Some(_) if is_empty(value) => {}
            Some(other) => {
                let below = difference(value, other);
                if !is_empty(&below) {
                    rest.insert(key.clone(), below);
                }
            }
        }
    }
    Value::Object(rest)
}

/// The part of `value` that the set names. Items of lists keep their order and always carry their key fields. A map or
/// list of which nothing is named is left out, unless it is owned itself: its content is others'.
pub(crate) fn project(value: &Value, set: &Value) -> Option<Value> {
    let tree = set.as_object()?;
    let is_owned = tree.contains_key(".");
    match value {
        _ if tree.is_empty() => Some(value.clone()),
        Value::Object(map) => {
            let part = project_map(map, tree);
            (is_owned || !part.is_empty() || map.is_empty()).then_some(Value::Object(part))
        }
        Value::Array(items) => {
            let part = project_list(items, tree);
            (is_owned || !part.is_empty() || items.is_empty()).then_some(Value::Array(part))
        }
        scalar => Some(scalar.clone()),
    }
}

fn project_map(map: &Map<String, Value>, tree: &Map<String, Value>) -> Map<String, Value> {
    let mut part = Map::new();
    for (key, below) in tree {
        let Some(field) = key.strip_prefix("f:") else { continue };
        if let Some(value) = map.get(field).and_then(|value| project(value, below)) {
            part.insert(field.to_owned(), value);
        }
    }
    part
}

fn project_list(items: &[Value], tree: &Map<String, Value>) -> Vec<Value> {
    let mut part = Vec::new();
    for (index, item) in items.iter().enumerate() {
        for (key, below) in tree {
            if !selects(key, index, item) {
                continue;
            }
            let Some(mut projected) = project(item, below) else { continue };
            if let (Some(fields), Some(into)) = (key_fields(key), projected.as_object_mut()) {
                fields.into_iter().for_each(|(name, value)| {
                    into.entry(name).or_insert(value);
                });
            }
            part.push(projected);
            break;
        }
    }
    part
}

/// `value` without what the set names. Items of lists that keep anything keep their key fields.
pub(crate) fn subtract(value: &Value, set: &Value) -> Option<Value> {
    let Some(tree) = set.as_object() else { return Some(value.clone()) };
    if tree.is_empty() {
        return None;
    }
    match value {
        Value::Object(map) => {
            let rest: Map<String, Value> = map
                .iter()
                .filter_map(|(field, value)| {
                    let kept = match tree.get(&format!("f:{field}")) {
                        Some(below) => subtract(value, below),
                        None => Some(value.clone()),
                    };
                    kept.map(|kept| (field.clone(), kept))
                })
                .collect();
            (!rest.is_empty()).then_some(Value::Object(rest))
        }
        Value::Array(items) => {
            let rest: Vec<Value> = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| subtract_item(index, item, tree))
                .collect();
            (!rest.is_empty()).then_some(Value::Array(rest))
        }
        _ => None,
    }
}

fn subtract_item(index: usize, item: &Value, tree: &Map<String, Value>) -> Option<Value> {
    let Some((key, below)) = tree.iter().find(|(key, _)| selects(key, index, item)) else {
        return Some(item.clone());
    };
    let mut rest = subtract(item, below)?;
    let fields = key_fields(key)?;
    let map = rest.as_object_mut()?;
    let more_than_keys = map.keys().any(|name| !fields.contains_key(name));
    map.extend(fields);
    more_than_keys.then_some(rest)
}

/// Whether a key of the tree means this item of a list.
pub(crate) fn selects(key: &str, index: usize, item: &Value) -> bool {
    if let Some(fields) = key_fields(key) {
        return fields.iter().all(|(name, value)| item.get(name) == Some(value));
    }
    if let Some(text) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(text).is_ok_and(|value| value == *item);
    }
    key.strip_prefix("i:").and_then(|text| text.parse().ok()) == Some(index)
}

/// The key fields in `k:{"name":"web"}`.
pub(crate) fn key_fields(key: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(key.strip_prefix("k:")?).ok()
}

#[cfg(test)]
#[path = "owned_fields_tests.rs"]
mod tests;
