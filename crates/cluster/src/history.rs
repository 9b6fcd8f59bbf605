//! What a workload's pods were made from before: its revisions, and going back to one of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::apply::{Applied, ApplyOptions, applied};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::pod_spec::CONTAINER_LISTS;
use crate::selector;

/// The annotation that numbers a Deployment's ReplicaSets.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The label by which a Deployment tells its ReplicaSets apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// One template that a workload's pods were made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number, as `kubectl rollout history` shows it: the highest is the present one.
    pub number: i64,
    /// The template.
    pub template: Value,
    /// The images of its containers.
    pub images: Vec<String>,
}

impl Cluster {
    /// The revisions of a Deployment, StatefulSet or DaemonSet, the present one first; of other kinds there are none. `live` is the
    /// workload as it is.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn revisions(&self, workload: &ObjectRef, live: &Value) -> Result<Vec<Revision>, ClusterError> {
        let Some(selector) = selector::of(live) else { return Ok(Vec::new()) };
        let namespace = workload.namespace.as_deref().unwrap_or_default();
        let kind = match workload.kind.as_str() {
            "Deployment" => "ReplicaSet",
            "StatefulSet" | "DaemonSet" => "ControllerRevision",
            _ => return Ok(Vec::new()),
        };
        let all = self.select(("apps/v1", kind), namespace, Some(&selector)).await?;
        let read = |one| if kind == "ReplicaSet" { of_replica_set(one) } else { of_controller_revision(one) };
        let own = all.iter().filter(|one| object::is_owned_by(one, object::uid(live)));
        let mut revisions: Vec<Revision> = own.filter_map(read).collect();
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
        Ok(revisions)
    }

    /// Sets a workload's whole template, by server-side apply with our manager: it becomes ours, and what we had in it beside
    /// is removed. A StatefulSet whose broken pod stands in the way is freed of it.
    ///
    /// # Errors
    /// `Invalid` when others manage something in the present template that the new one does not have: nothing is changed
    /// then. Else as for [`Cluster::edit`].
    pub async fn set_template(
        &self,
        object: &ObjectRef,
        template: &Value,
        options: &ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let operation = format!("set the template of {object}");
        let change = |ours: &mut Value, _: &Value| {
            ours["spec"]["template"] = template.clone();
            Ok(())
        };
        let rehearsal = ApplyOptions { dry_run: true, ..options.clone() };
        let (_, would) = self.edited(&operation, object, &rehearsal, &change).await?;
        let mut stays = Vec::new();
        differences(
            "spec.template",
            &plain(would["spec"]["template"].clone()),
            &plain(template.clone()),
            &mut stays,
        );
        if !stays.is_empty() {
            stays.truncate(5);
            let message = format!(
                "others manage {}, which that template does not have; take it away there, or deploy the manifest of that version",
                stays.join(", ")
            );
            return Err(ClusterError::Invalid { operation, message });
        }
        let (before, after) = self.edited(&operation, object, options, &change).await?;
        if object.kind == "StatefulSet" && !self.only_asks(options.dry_run) {
            self.unblock(&operation, object, &after).await?;
        }
        Ok(applied(object.clone(), Some(&before), &after))
    }
}

fn of_replica_set(set: &Value) -> Option<Revision> {
    let number = set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()?;
    let mut template = plain(set["spec"]["template"].clone());
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(TEMPLATE_HASH);
    }
    Some(Revision { number, images: images(&template), template })
}

/// A ControllerRevision holds a patch that replaces the template.
fn of_controller_revision(revision: &Value) -> Option<Revision> {
    let mut template = plain(revision["data"]["spec"]["template"].clone());
    template.as_object_mut()?.shift_remove("$patch");
    Some(Revision { number: revision["revision"].as_i64()?, images: images(&template), template })
}

/// Without the empty timestamp that templates carry.
fn plain(mut template: Value) -> Value {
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.shift_remove("creationTimestamp");
    }
    template
}

fn images(template: &Value) -> Vec<String> {
    let containers =
        CONTAINER_LISTS.iter().flat_map(|list| template["spec"][*list].as_array().into_iter().flatten());
    containers.filter_map(|container| container["image"].as_str().map(str::to_owned)).collect()
}

/// The paths at which `got` is not as wanted.
fn differences(path: &str, got: &Value, want: &Value, found: &mut Vec<String>) {
    let empty = |value: &Value| value.is_null() || *value == json!({}) || *value == json!([]);
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            for (key, value) in got {
                differences(&format!("{path}.{key}"), value, want.get(key).unwrap_or(&Value::Null), found);
            }
            for key in want.keys().filter(|key| !got.contains_key(*key) && !empty(&want[*key])) {
                found.push(format!("{path}.{key}"));
            }
        }
        (Value::Array(got), Value::Array(want)) if got.len() == want.len() => {
            for (index, (got, want)) in got.iter().zip(want).enumerate() {
                let name = got["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                differences(&format!("{path}[{name}]"), got, want, found);
            }
        }
        (got, want) if got == want || (empty(got) && empty(want)) => {}
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_read_from_replica_sets_and_controller_revisions() {
        let template = |labels: Value| json!({"metadata": {"creationTimestamp": null, "labels": labels}, "spec": {"containers": [{"image": "a:1"}]}});
        let set = json!({"metadata": {"annotations": {REVISION: "3"}}, "spec": {"template": template(json!({"app": "web", TEMPLATE_HASH: "x"}))}});
        let expected =
            json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "a:1"}]}});
        let read = of_replica_set(&set).unwrap();
        assert_eq!((read.number, &read.template, read.images.join(",")), (3, &expected, "a:1".to_owned()));
        let mut patch = template(json!({"app": "web"}));
        patch["$patch"] = json!("replace");
        let revision = json!({"revision": 4, "data": {"spec": {"template": patch}}});
        let read = of_controller_revision(&revision).unwrap();
        assert_eq!((read.number, read.template), (4, expected));
        assert_eq!(of_replica_set(&json!({"spec": {}})), None);
    }

    #[test]
    fn what_others_keep_in_a_template_is_told_by_its_path() {
        let mut found = Vec::new();
        let got = json!({"containers": [{"name": "web", "image": "a:1", "env": [{"name": "A"}]}], "securityContext": {}});
        let want = json!({"containers": [{"name": "web", "image": "a:1"}]});
        differences("spec", &got, &want, &mut found);
        assert_eq!(found, ["spec.containers[web].env"]);
        found.clear();
        differences("spec", &got, &got, &mut found);
        assert!(found.is_empty());
    }
}
