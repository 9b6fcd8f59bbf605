//! Where the containers of an object are.

use serde_json::Value;

/// Lists of containers in a pod's specification that carry images.
pub(crate) const CONTAINER_LISTS: [&str; 2] = ["initContainers", "containers"];

/// The path from an object of that kind to its pod specification; `None` for kinds without pods.
pub(crate) fn path(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&["spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some(&["spec", "template", "spec"])
        }
        _ => None,
    }
}

/// The pod specification inside an object, if it has one.
pub(crate) fn of(object: &Value) -> Option<&Value> {
    let path = path(object["kind"].as_str()?)?;
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// As [`of`], to change it.
pub(crate) fn of_mut(object: &mut Value) -> Option<&mut Value> {
    let path = path(object["kind"].as_str()?)?;
    path.iter().try_fold(object, |value, key| value.get_mut(key))
}
