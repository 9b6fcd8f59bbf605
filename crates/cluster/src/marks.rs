//! What Pilothouse writes on the objects it applies, to find its way back from a cluster to a release.

use std::collections::BTreeMap;

use pilothouse_domain::server_group::ServerGroupName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Label key and value that every applied object gets.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pilothouse");
/// Prefix of the annotations that every applied object gets.
pub const ANNOTATION_PREFIX: &str = "pilothouse.dev/";
/// The label that names the application of an object, as the API conventions recommend it.
pub const APP_NAME_LABEL: &str = "app.kubernetes.io/name";
/// The label of the application that an object belongs to: what its views select by (T6).
pub const APPLICATION_LABEL: &str = "pilothouse.dev/application";
/// The label of a server group's stack; absent where it has none (T7).
pub const STACK_LABEL: &str = "pilothouse.dev/stack";
/// The label of a server group's detail; absent where it has none (T7).
pub const DETAIL_LABEL: &str = "pilothouse.dev/detail";
/// The label of a server group's number, without leading zeros: `12` (T7).
pub const SEQUENCE_LABEL: &str = "pilothouse.dev/sequence";
/// The label of the cluster that a server group is a version of: `shop-prod-canary` (T7).
pub const CLUSTER_LABEL: &str = "pilothouse.dev/cluster";

/// The annotation of a pod template that says when its pods were restarted last, as `kubectl rollout restart` has one (N5).
pub const RESTARTED_AT: &str = "pilothouse.dev/restartedAt";
/// The annotation of a workload that was stopped: how many pods it had before (N5).
pub const STOPPED_REPLICAS: &str = "pilothouse.dev/stoppedReplicas";

/// The labels of a server group, for it and for its pods: a cluster's server groups and their pods are found by them.
#[must_use]
pub fn server_group_labels(name: &ServerGroupName) -> BTreeMap<&'static str, String> {
    let cluster = name.cluster();
    let mut labels = BTreeMap::from([
        (APP_NAME_LABEL, cluster.application().to_owned()),
        (APPLICATION_LABEL, cluster.application().to_owned()),
        (CLUSTER_LABEL, cluster.to_string()),
        (SEQUENCE_LABEL, name.sequence().number().to_string()),
    ]);
    labels.extend(cluster.stack().map(|stack| (STACK_LABEL, stack.to_owned())));
    labels.extend(cluster.detail().map(|detail| (DETAIL_LABEL, detail.to_owned())));
    labels
}

/// Which stage of which attempt applied an object. Written to the object itself, never to its pod template: a new
/// attempt alone must not restart pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The application; it becomes a label, so that what belongs to it is found (T6).
    #[serde(default)]
    pub application: String,
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
        if !self.application.is_empty() {
            metadata["labels"][APPLICATION_LABEL] = Value::from(self.application.as_str());
        }
        for (key, value) in [("release", &self.release), ("attempt", &self.attempt), ("stage", &self.stage)] {
            if !value.is_empty() {
                metadata["annotations"][format!("{ANNOTATION_PREFIX}{key}")] = Value::from(value.as_str());
            }
        }
    }
}

/// The release that applied an object last, as its marks say.
pub(crate) fn release(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][format!("{ANNOTATION_PREFIX}release")].as_str()
}

/// Whether two states of an object differ in anything but marks and what the server writes itself.
pub(crate) fn differ(before: &Value, after: &Value) -> bool {
    unmarked(before) != unmarked(after)
}

fn unmarked(object: &Value) -> Value {
    let mut object = crate::object::clean(object.clone());
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        // Written by us alone; what was applied before there was this label is no change for it.
        labels.shift_remove(APPLICATION_LABEL);
    }
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
        let marks = |attempt: &str| Marks {
            application: "shop".into(),
            release: "rel_1".into(),
            attempt: attempt.into(),
            stage: "deploy".into(),
        };
        marks("dep_1").write(&mut first);
        let mut second = plain;
        Marks { application: String::new(), ..marks("dep_2") }.write(&mut second);
        assert_eq!(first["metadata"]["annotations"]["pilothouse.dev/attempt"], "dep_1");
        assert_eq!(first["metadata"]["labels"]["pilothouse.dev/application"], "shop");
        assert!(!differ(&first, &second));
        second["data"]["a"] = json!("2");
        assert!(differ(&first, &second));
    }
    #[test]
    fn a_server_group_is_found_by_its_labels() {
        let labels = server_group_labels(&ServerGroupName::parse("shop--canary-v012").unwrap());
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            shown,
            [
                "app.kubernetes.io/name=shop",
                "pilothouse.dev/application=shop",
                "pilothouse.dev/cluster=shop--canary",
                "pilothouse.dev/detail=canary",
                "pilothouse.dev/sequence=12",
            ]
        );
    }
}
