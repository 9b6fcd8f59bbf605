//! The three kinds of patch that are not server-side apply.

mod json_patch;
mod strategic;

use serde_json::Value;

use crate::status::{ApiError, ApiResult};

/// The object after a JSON patch (RFC 6902).
pub(crate) fn json_patch(object: &Value, patch: &Value) -> ApiResult<Value> {
    // A real API server keeps to itself what was wrong.
    json_patch::apply(object, patch).map_err(|message| {
        tracing::debug!(message, "a JSON patch does not apply");
        ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
    })
}

/// The object after a JSON merge patch (RFC 7386).
pub(crate) fn merge_patch(object: &Value, patch: &Value) -> ApiResult<Value> {
    require_object(patch)?;
    let mut out = object.clone();
    merge(&mut out, patch);
    Ok(out)
}

/// The object after a strategic merge patch: lists merge by their keys, `$patch` and its like are obeyed.
pub(crate) fn strategic_merge_patch(object: &Value, patch: &Value) -> ApiResult<Value> {
    require_object(patch)?;
    Ok(strategic::apply(object, patch))
}

fn require_object(patch: &Value) -> ApiResult<()> {
    if patch.is_object() {
        Ok(())
    } else {
        Err(ApiError::bad_request("error decoding patch: the patch must be an object"))
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    let map = crate::json::map_mut(target, "");
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_merges_maps_removes_nulls_and_replaces_lists() {
        let object = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
        let patched =
            merge_patch(&object, &json!({"a": {"b": null, "d": {"e": null, "f": 1}}, "l": [3]})).unwrap();
        assert_eq!(patched, json!({"a": {"c": 2, "d": {"f": 1}}, "l": [3]}));
        assert_eq!(merge_patch(&object, &json!([])).unwrap_err().code, 400);
    }
}
