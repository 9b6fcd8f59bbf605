//! Server-side apply.

use serde_json::{Value, json};

use super::{
    compare::{Difference, compare, fields_of},
    managed::{Entry, Manager, entries, store, strip_system},
    schema::{Rules, Shape, element_shape, find, key_of},
    set::{self, FieldSet},
};
use crate::{
    json,
    kinds::Kind,
    status::{ApiError, ApiResult},
};

/// Merges the configuration `config` of `who` into `live` (Null: no object yet), removes what `who` applied before and nobody owns any more,
/// and returns the object with its new managed fields.
///
/// # Errors
/// 409 when a field has another value that somebody else owns, unless `force`.
pub(crate) fn apply(
    kind: &'static Kind,
    live: &Value,
    config: &Value,
    who: &Manager,
    force: bool,
    now: &str,
) -> ApiResult<Value> {
    let rules = Rules::of(kind);
    let mut entries = entries(live);
    let mut wanted = fields_of(rules, config);
    strip_system(&mut wanted);
    let mut merged = merge(rules, live, config, "", "");

    let mut owned = wanted.clone();
    for entry in entries.iter().filter(|e| !e.is(who, true)) {
        owned.union(&entry.fields);
    }
    if let Some(last) = entries.iter().find(|e| e.is(who, true)) {
        let mut gone = last.fields.clone();
        gone.subtract(&owned);
        remove_fields(rules, &mut merged, "", "", &gone, &owned);
    }
    json::drop_nulls(&mut merged);

    let Difference { mut written, mut removed } = compare(rules, live, &merged);
    strip_system(&mut written);
    strip_system(&mut removed);
    let conflicts: Vec<(&Entry, FieldSet)> = entries
        .iter()
        .filter(|e| !e.is(who, true))
        .map(|e| (e, e.fields.intersection(&written)))
        .filter(|(_, both)| !both.is_empty())
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflict(&conflicts));
    }
    for entry in entries.iter_mut().filter(|e| !e.is(who, true)) {
        entry.fields.subtract(&written);
    }
    let changes = !written.is_empty() || !removed.is_empty();
    set_mine(kind, &mut entries, who, wanted, now, changes);
    store(&mut merged, &entries);
    Ok(merged)
}

/// The entry's time is that of the last apply that came to anything: to another value, or to other owners.
fn set_mine(
    kind: &'static Kind,
    entries: &mut Vec<Entry>,
    who: &Manager,
    wanted: FieldSet,
    now: &str,
    changes: bool,
) {
    if let Some(mine) = entries.iter_mut().find(|e| e.is(who, true)) {
        if changes || mine.fields != wanted {
            now.clone_into(&mut mine.time);
        }
        mine.api_version = kind.api_version();
        mine.fields = wanted;
    } else {
        let entry = Entry { fields: wanted, ..Entry::new(kind, who, true, now) };
        entries.push(entry);
    }
}

/// `config` over `live`, the field `name` within `parent`.
fn merge(rules: Rules, live: &Value, config: &Value, parent: &str, name: &str) -> Value {
    match (rules.shape(parent, name, config), live, config) {
        (Shape::Granular, Value::Object(before), Value::Object(wanted)) => {
            let mut out = before.clone();
            for (key, value) in wanted {
                let old = before.get(key).unwrap_or(&Value::Null);
                out.insert(key.clone(), merge(rules, old, value, name, key));
            }
            Value::Object(out)
        }
        (Shape::Keyed(keys), Value::Array(before), Value::Array(wanted)) => {
            merge_keyed(rules, before, wanted, keys, name)
        }
        (Shape::Set, Value::Array(before), Value::Array(wanted)) => {
            let mut out = before.clone();
            out.extend(wanted.iter().filter(|v| !before.contains(v)).cloned());
            Value::Array(out)
        }
        _ => config.clone(),
    }
}

fn merge_keyed(rules: Rules, before: &[Value], wanted: &[Value], keys: &[&str], name: &str) -> Value {
    let merged = |item: &Value| -> Value {
        match find(before, keys, &key_of(item, keys)) {
            Some(old) if element_shape(name) == Shape::Granular => merge(rules, old, item, "", name),
            _ => item.clone(),
        }
    };
    // The configuration's order holds among its own elements; the others keep their places.
    let mut next = wanted.iter().filter(|w| find(before, keys, &key_of(w, keys)).is_some());
    let mut out: Vec<Value> = before
        .iter()
        .map(|old| {
            let is_wanted = find(wanted, keys, &key_of(old, keys)).is_some();
            if is_wanted { next.next().map_or_else(|| old.clone(), merged) } else { old.clone() }
        })
        .collect();
    out.extend(wanted.iter().filter(|w| find(before, keys, &key_of(w, keys)).is_none()).cloned());
    Value::Array(out)
}

/// Removes the fields in `gone` from `value`; an element with something owned in it stays. Maps and lists that become empty go as well.
fn remove_fields(
    rules: Rules,
    value: &mut Value,
    parent: &str,
    name: &str,
    gone: &FieldSet,
    owned: &FieldSet,
) {
    let nothing = FieldSet::default();
    match (rules.shape(parent, name, value), value) {
        (_, Value::Object(map)) => map.retain(|key, child| {
            let element = set::field(key);
            let Some(gone) = gone.children.get(&element) else { return true };
            let owned = owned.children.get(&element).unwrap_or(&nothing);
            if gone.member && owned.is_empty() {
                return false;
            }
            remove_fields(rules, child, name, key, gone, owned);
            owned.member || !is_hollow(child)
        }),
        (Shape::Keyed(keys), Value::Array(list)) => list.retain_mut(|item| {
            let element = set::key(&key_of(item, keys));
            let Some(gone) = gone.children.get(&element) else { return true };
            let owned = owned.children.get(&element).unwrap_or(&nothing);
            if gone.member && owned.is_empty() {
                return false;
            }
            remove_fields(rules, item, "", name, gone, owned);
            true
        }),
        (Shape::Set, Value::Array(list)) => {
            list.retain(|item| !gone.children.contains_key(&set::value(item)));
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn conflict(conflicts: &[(&Entry, FieldSet)]) -> ApiError {
    let mut all: Vec<(String, String)> = Vec::new();
    for (entry, fields) in conflicts {
        let who = shown(entry);
        all.extend(fields.paths().into_iter().map(|p| (who.clone(), p)));
    }
    let causes: Vec<_> = all
        .iter()
        .map(|(who, path)| json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path }))
        .collect();
    let message = if let [(who, path)] = all.as_slice() {
        format!("Apply failed with 1 conflict: conflict with {who}: {path}")
    } else {
        let mut who: Vec<_> = all.iter().map(|(w, _)| w).collect();
        who.sort();
        who.dedup();
        let mut lines = Vec::new();
        for one in who {
            lines.push(format!("conflicts with {one}:"));
            lines.extend(all.iter().filter(|(w, _)| w == one).map(|(_, p)| format!("- {p}")));
        }
        format!("Apply failed with {} conflicts: {}", all.len(), lines.join("\n"))
    };
    ApiError { details: json!({ "causes": causes }), ..ApiError::new(409, "Conflict", message) }
}

fn shown(entry: &Entry) -> String {
    let mut who = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        who = format!("{who} with subresource {:?}", entry.subresource);
    }
    if entry.apply { who } else { format!("{who} using {}", entry.api_version) }
}

#[cfg(test)]
mod tests;
