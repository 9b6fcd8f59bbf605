//! What Pilothouse writes on the objects it applies, to find its way back from a cluster to a release.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Label key and value that every applied object gets.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pilothouse");
/// Prefix of the annotations that every applied object gets.
pub const ANNOTATION_PREFIX: &str = "pilothouse.dev/";

/// Which stage of which attempt applied an object. Written to the object itself, never to its pod template: a new
/// attempt alone must not restart pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Id of the release.
    pub release: String,
    /// Id of the deployment attempt.
    pub attempt: String,
    /// Name of the stage.
    pub stage: String,
}

impl Marks {
    pub(crate) fn write(&self, object: &mut Value) {
        let metadata = &mut object["metadata"];
        for part in ["labels", "annotations"] {
            if !metadata[part].is_object() {
                metadata[part] = json!({});
            }
        }
        metadata["labels"][MANAGED_BY.0] = Value::from(MANAGED_BY.1);
        for (key, value) in [("release", &self.release), ("attempt", &self.attempt), ("stage", &self.stage)] {
            if !value.is_empty() {
                metadata["annotations"][format!("{ANNOTATION_PREFIX}{key}")] = Value::from(value.as_str());
            }
        }
    }
}

/// Whether two states of an object differ in anything but marks and what the server writes itself.
pub(crate) fn differ(before: &Value, after: &Value) -> bool {
    unmarked(before) != unmarked(after)
}

fn unmarked(object: &Value) -> Value {
    let mut object = crate::object::clean(object.clone());
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|key, _| !key.starts_with(ANNOTATION_PREFIX));
        if annotations.is_empty()
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.shift_remove("annotations");
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_attempt_alone_is_no_change() {
        let plain = json!({"metadata": {"name": "a"}, "data": {"a": "1"}});
        let mut first = plain.clone();
        Marks { release: "rel_1".into(), attempt: "dep_1".into(), stage: "deploy".into() }.write(&mut first);
        let mut second = plain;
        Marks { release: "rel_1".into(), attempt: "dep_2".into(), stage: "deploy".into() }.write(&mut second);
        assert_eq!(first["metadata"]["annotations"]["pilothouse.dev/attempt"], "dep_1");
        assert!(!differ(&first, &second));
        second["data"]["a"] = json!("2");
        assert!(differ(&first, &second));
    }
}
