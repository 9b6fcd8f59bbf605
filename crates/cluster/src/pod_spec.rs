//! Where the containers of an object are.

use serde_json::Value;

/// Lists of containers in a pod's specification that carry images. Ephemeral ones are not among them: they are put into a
/// running pod through a subresource, and no template has any.
pub(crate) const CONTAINER_LISTS: [&str; 2] = ["initContainers", "containers"];

const TEMPLATE: &[&str] = &["spec", "template", "spec"];
const JOB_TEMPLATE: &[&str] = &["spec", "jobTemplate", "spec", "template", "spec"];

/// The path from an object of that kind to its pod specification; `None` for kinds that are not known to have pods.
pub(crate) fn path(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&["spec"]),
        "PodTemplate" => Some(&["template", "spec"]),
        "CronJob" => Some(JOB_TEMPLATE),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some(TEMPLATE)
        }
        _ => None,
    }
}

/// The path to the pod specification inside this object: that of its kind, or, for custom kinds such as an Argo Rollout,
/// wherever a template with containers is.
pub(crate) fn path_in(object: &Value) -> Option<&'static [&'static str]> {
    let known = object["kind"].as_str().and_then(path);
    known.or_else(|| {
        [TEMPLATE, JOB_TEMPLATE]
            .into_iter()
            .find(|path| at(object, path).is_some_and(|spec| spec["containers"].is_array()))
    })
}

fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// The pod specification inside an object, if it has one.
pub(crate) fn of(object: &Value) -> Option<&Value> {
    at(object, path_in(object)?)
}

/// As [`of`], to change it.
pub(crate) fn of_mut(object: &mut Value) -> Option<&mut Value> {
    let path = path_in(object)?;
    path.iter().try_fold(object, |value, key| value.get_mut(key))
}

/// The labels of the pods that an object makes; those of the object itself for a Pod.
pub(crate) fn labels(object: &Value) -> Option<&Value> {
    let (_, template) = path_in(object)?.split_last()?;
    at(object, template)?.get("metadata")?.get("labels")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_kind_with_a_pod_template_has_its_containers_found() {
        let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}});
        for object in [
            json!({"kind": "Rollout", "spec": {"template": pod}}),
            json!({"kind": "Backup", "spec": {"jobTemplate": {"spec": {"template": pod}}}}),
            json!({"kind": "PodTemplate", "template": pod}),
            json!({"kind": "Pod", "metadata": pod["metadata"], "spec": pod["spec"]}),
        ] {
            assert_eq!(of(&object).unwrap()["containers"][0]["name"], "web", "{object}");
            assert_eq!(labels(&object).unwrap()["app"], "web", "{object}");
        }
        let route = json!({"kind": "HTTPRoute", "spec": {"template": {"spec": {"rules": []}}}});
        assert_eq!(of(&route), None);
    }
}
