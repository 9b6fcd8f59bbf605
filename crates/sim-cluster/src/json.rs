//! Short ways to read and write JSON objects by pointer (`/metadata/name`).

use serde_json::{Map, Value};

static EMPTY: Vec<Value> = Vec::new();

/// The string at `pointer`, or "" when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The integer at `pointer`.
pub(crate) fn int(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The integer at `pointer`, or 0.
pub(crate) fn count(value: &Value, pointer: &str) -> i64 {
    int(value, pointer).unwrap_or(0)
}

/// Whether `true` stands at `pointer`.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// The array at `pointer`, or none of its elements.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or(&EMPTY)
}

/// The object at `pointer`.
pub(crate) fn map<'a>(value: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    value.pointer(pointer).and_then(Value::as_object)
}

/// The object at `pointer`, made where it is absent. A value of another type on the way is replaced.
pub(crate) fn map_mut<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    let mut current = value;
    for part in pointer.split('/').skip(1) {
        current = as_map(current).entry(part).or_insert(Value::Null);
    }
    as_map(current)
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// Writes `new` at `pointer`, making the objects on the way.
pub(crate) fn set(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    map_mut(value, parent).insert(key.to_owned(), new.into());
}

/// Writes `new` at `pointer` unless something (not null) is there.
pub(crate) fn set_default(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    if value.pointer(pointer).is_none_or(Value::is_null) {
        set(value, pointer, new);
    }
}

/// Removes and returns what is at `pointer`.
pub(crate) fn remove(value: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let parent = if parent.is_empty() { Some(value) } else { value.pointer_mut(parent) };
    parent?.as_object_mut()?.shift_remove(key)
}

/// The elements of the array at `pointer`, to change; none when it is no array.
pub(crate) fn items_mut<'a>(value: &'a mut Value, pointer: &str) -> &'a mut [Value] {
    value.pointer_mut(pointer).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// JSON with the keys of every object sorted: equal values give equal text.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(k, _)| *k);
            let parts: Vec<_> = entries
                .into_iter()
                .map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), canonical(v)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

/// Drops nulls from objects, at every depth: a typed API server never stores them.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// The owner reference with `controller: true`.
pub(crate) fn controller_of(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences").iter().find(|o| flag(o, "/controller"))
}

/// Whether the object with `uid` controls `object`.
pub(crate) fn is_controlled_by(object: &Value, uid: &str) -> bool {
    controller_of(object).is_some_and(|o| text(o, "/uid") == uid)
}
