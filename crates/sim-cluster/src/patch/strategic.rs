//! Strategic merge patch.

use serde_json::{Map, Value};

use crate::fields::{Shape, list_shape};

pub(super) fn apply(object: &Value, patch: &Value) -> Value {
    let mut out = object.clone();
    merge(&mut out, patch, "");
    out
}

/// Merges `patch` into the object that is the field `field` (or an element of the list of that name).
fn merge(target: &mut Value, patch: &Value, field: &str) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        let mut whole = patch.clone();
        whole.shift_remove("$patch");
        *target = Value::Object(whole);
        return;
    }
    let map = crate::json::map_mut(target, "");
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|k, _| keep.iter().any(|r| r == k));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(have)), Some(gone)) = (map.get_mut(list), value.as_array()) {
                have.retain(|v| !gone.contains(v));
            }
        } else if !key.starts_with('$') {
            merge_field(map, field, key, value);
        }
    }
    for (key, order) in patch {
        if let (Some(list), Some(order)) = (key.strip_prefix("$setElementOrder/"), order.as_array())
            && let Some(Value::Array(have)) = map.get_mut(list)
        {
            reorder(have, order, merge_key(field, list));
        }
    }
}

fn merge_field(map: &mut Map<String, Value>, parent: &str, key: &str, value: &Value) {
    let deleted = value.get("$patch").and_then(Value::as_str) == Some("delete");
    if value.is_null() || deleted {
        map.shift_remove(key);
        return;
    }
    let Value::Array(items) = value else {
        merge(map.entry(key).or_insert(Value::Null), value, key);
        return;
    };
    let slot = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let replace = items.iter().any(|i| i.get("$patch").and_then(Value::as_str) == Some("replace"));
    match (list_shape(parent, key), slot) {
        (Shape::Keyed(keys), Value::Array(have)) if !replace => merge_list(have, items, keys[0], key),
        (Shape::Set, Value::Array(have)) => {
            let new: Vec<_> = items.iter().filter(|v| !have.contains(v)).cloned().collect();
            have.extend(new);
        }
        (_, slot) => {
            *slot = Value::Array(items.iter().filter(|i| i.get("$patch").is_none()).map(plain).collect());
        }
    }
}

fn merge_list(have: &mut Vec<Value>, items: &[Value], merge_key: &str, field: &str) {
    for item in items {
        let wanted = item.get(merge_key);
        let position = have.iter().position(|h| h.get(merge_key) == wanted);
        let delete = item.get("$patch").and_then(Value::as_str) == Some("delete");
        match position {
            Some(index) if delete => {
                have.remove(index);
            }
            Some(index) => merge(&mut have[index], item, field),
            None if delete => {}
            None => have.push(plain(item)),
        }
    }
}

/// A new value without the patch's directives and nulls.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(k, v)| !k.starts_with('$') && !v.is_null());
            Value::Object(kept.map(|(k, v)| (k.clone(), plain(v))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(plain).collect()),
        scalar => scalar.clone(),
    }
}

fn merge_key(parent: &str, list: &str) -> Option<&'static str> {
    match list_shape(parent, list) {
        Shape::Keyed(keys) => Some(keys[0]),
        _ => None,
    }
}

fn reorder(have: &mut [Value], order: &[Value], merge_key: Option<&str>) {
    let position = |item: &Value| {
        order.iter().position(|o| match merge_key {
            Some(key) => o.get(key) == item.get(key),
            None => o == item,
        })
    };
    // Elements that the order does not name stay behind those that it does.
    have.sort_by_key(|item| position(item).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(containers: &Value) -> Value {
        json!({"spec": {"containers": containers}})
    }

    #[test]
    fn containers_and_env_merge_by_name() {
        let live = pod(
            &json!([{"name": "web", "image": "a", "env": [{"name": "A", "value": "1"}]}, {"name": "side", "image": "s"}]),
        );
        let patch = pod(&json!([{"name": "web", "image": "b", "env": [{"name": "B", "value": "2"}]}]));
        assert_eq!(
            apply(&live, &patch),
            pod(
                &json!([{"name": "web", "image": "b", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}, {"name": "side", "image": "s"}])
            )
        );
    }

    #[test]
    fn directives_delete_replace_and_order() {
        let live = pod(&json!([{"name": "a"}, {"name": "b"}, {"name": "c", "args": ["x"]}]));
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [{"name": "b", "$patch": "delete"}, {"name": "c", "args": ["y"]}],
        }});
        assert_eq!(apply(&live, &patch), pod(&json!([{"name": "c", "args": ["y"]}, {"name": "a"}])));
        let strategy =
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        assert_eq!(apply(&strategy, &patch), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    }

    #[test]
    fn plain_lists_are_replaced_and_finalizers_joined() {
        let live = json!({"metadata": {"finalizers": ["a"]}, "spec": {"tolerations": [{"key": "x"}]}});
        let patch = json!({"metadata": {"finalizers": ["b"], "$deleteFromPrimitiveList/finalizers": ["a"]}, "spec": {"tolerations": [{"key": "y"}]}});
        let out = apply(&live, &patch);
        assert_eq!(out, json!({"metadata": {"finalizers": ["b"]}, "spec": {"tolerations": [{"key": "y"}]}}));
    }
}
