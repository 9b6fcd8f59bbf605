//! Checks field names and types against the generated types of the Kubernetes API.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Decodes an object as its type and encodes it again. The error is the decoder's.
pub(crate) type Typed = fn(&Value) -> Result<Value, String>;

/// The check for objects of type `T`.
#[expect(clippy::unnecessary_wraps, reason = "the registry's column is optional")]
pub(crate) fn check<T: Serialize + DeserializeOwned>() -> Option<Typed> {
    Some(|value| {
        let typed: T = T::deserialize(value).map_err(|e| e.to_string())?;
        serde_json::to_value(typed).map_err(|e| e.to_string())
    })
}

/// Removes from `value` what its type does not know (as the real decoder does) and returns the paths of what was removed. Nulls go silently.
///
/// # Errors
/// The decoder's message when a field has the wrong type.
pub(crate) fn prune(typed: Typed, value: &mut Value) -> Result<Vec<String>, String> {
    crate::json::drop_nulls(value);
    let known = typed(value)?;
    let mut unknown = Vec::new();
    walk(value, &known, "", &mut unknown);
    Ok(unknown)
}

fn walk(value: &mut Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (value, known) {
        (Value::Object(map), Value::Object(known)) => map.retain(|key, child| {
            let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let Some(known) = known.get(key) else {
                // An empty list of a required field is not written again by the type, but is no unknown field.
                if child.as_array().is_none_or(|a| !a.is_empty()) {
                    unknown.push(here);
                }
                return false;
            };
            walk(child, known, &here, unknown);
            true
        }),
        (Value::Array(list), Value::Array(known)) => {
            for (index, (child, known)) in list.iter_mut().zip(known).enumerate() {
                walk(child, known, &format!("{path}[{index}]"), unknown);
            }
        }
        (value, known) => *value = known.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_removed_and_named() {
        let typed = check::<k8s_openapi::api::core::v1::Pod>().unwrap();
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {}},
            "spec": {"containers": [{"name": "a", "imagee": "x", "resources": {"limits": {"cpu": 1}}, "env": []}]}
        });
        assert_eq!(prune(typed, &mut pod).unwrap(), ["spec.containers[0].imagee"]);
        assert_eq!(pod.pointer("/spec/containers/0/imagee"), None);
        assert_eq!(pod.pointer("/spec/containers/0/resources/limits/cpu"), Some(&json!("1")));
        assert_eq!(pod.pointer("/spec/containers/0/env"), Some(&json!([])));
    }

    #[test]
    fn a_wrong_type_is_refused() {
        let typed = check::<k8s_openapi::api::apps::v1::Deployment>().unwrap();
        let mut deployment =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "three"}});
        assert!(prune(typed, &mut deployment).unwrap_err().contains("three"));
    }
}
