//! The labels by which Services find the pods of a ReplicaSet: given and taken away while the pods run (T41, T42, T54).
//!
//! A ReplicaSet's template may change at any time: pods that run keep what they have, later ones get the new labels. So
//! both are written: first the template, then, once the controller has seen it, the pods. No pod is restarted. A label that
//! the ReplicaSet itself selects by is never among them: taking it away would orphan the pod, and a new one would be started.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::FIELD_MANAGER;
use crate::apply::ApplyOptions;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::selector;
use crate::snapshot::{Snapshot, SnapshotState};
use crate::transport::Call;

/// The annotation of a ReplicaSet that says by which labels it gets traffic: a JSON object.
pub const TRAFFIC_ANNOTATION: &str = "pilothouse.dev/traffic";

const TEMPLATE_LABELS: &str = "/spec/template/metadata/labels";

/// Pods that are patched at once.
const AT_ONCE: usize = 8;

const POD_LABELS: &str = "/metadata/labels";

/// A ReplicaSet as it was at a snapshot, and as it is.
struct Former<'a> {
    set: &'a ObjectRef,
    operation: String,
    before: &'a Value,
    live: Value,
    /// The labels by which it gets or got traffic.
    keys: Vec<String>,
}

/// How many pods shall carry the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Carry {
    /// Every pod.
    All,
    /// So many at most; those that are not ready lose them first.
    AtMost(u32),
}

/// What became of a ReplicaSet's pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labelled {
    /// Pods that carry all of the labels now.
    pub carrying: usize,
    /// Pods whose labels were changed.
    pub changed: usize,
    /// Whether the controller had seen the template before the pods were looked at: then none comes with the former labels.
    pub settled: bool,
}

impl Cluster {
    /// Gives the labels to the pods that a ReplicaSet makes from now on, or takes them from those, whoever wrote them. Pods that
    /// run are not touched. Writes nothing where it is so already.
    ///
    /// # Errors
    /// As for [`Cluster::edit`].
    pub async fn label_template(
        &self,
        set: &ObjectRef,
        options: &ApplyOptions,
        labels: &BTreeMap<String, String>,
        carried: bool,
    ) -> Result<(), ClusterError> {
        let operation = format!("change the labels of the pods of {set}");
        let is_so = |live: &Value| {
            let carries = |(key, value): (&String, &String)| label(live, TEMPLATE_LABELS, key) == Some(value);
            if carried { labels.iter().all(carries) } else { !labels.iter().any(carries) }
        };
        if is_so(&self.existing_set(&operation, set).await?) {
            return Ok(());
        }
        let change = |ours: &mut Value, _: &Value| {
            write_labels(ours, labels, carried);
            Ok(())
        };
        self.edit(set, options, change).await?;
        if is_so(&self.existing_set(&operation, set).await?) {
            return Ok(());
        }
        // Somebody else owns a label as well, and a field is only gone when nobody holds it.
        let gone: Map<String, Value> = labels.keys().map(|key| (key.clone(), Value::Null)).collect();
        let fields = json!({"spec": {"template": {"metadata": {"labels": gone}}}});
        self.merge(&operation, set, fields).await.map(drop)
    }

    /// Gives the labels to the pods of a ReplicaSet that run, or takes them from those that are too many.
    ///
    /// # Errors
    /// [`ClusterError`]; `NotFound` without the ReplicaSet.
    pub async fn label_pods(
        &self,
        set: &ObjectRef,
        labels: &BTreeMap<String, String>,
        carry: Carry,
    ) -> Result<Labelled, ClusterError> {
        let operation = format!("change the labels of the pods of {set}");
        let live = self.existing_set(&operation, set).await?;
        let settled = live["status"]["observedGeneration"].as_i64().unwrap_or(0)
            >= live["metadata"]["generation"].as_i64().unwrap_or(0);
        let mut pods = self.pods_of_set(&operation, set, &live).await?;
        // Those first that keep their labels: the ready ones, by name.
        pods.sort_by_key(|pod| (!is_ready(pod), object::name(pod).to_owned()));
        let (wanted, surplus): (Vec<&Value>, Vec<&Value>) = match carry {
            Carry::All => (pods.iter().collect(), Vec::new()),
            Carry::AtMost(most) => {
                let carriers = pods.iter().filter(|pod| carries_all(pod, labels));
                let skip = usize::try_from(most).unwrap_or(usize::MAX);
                let surplus = match skip {
                    // What carries some of the labels may be behind some of the Services.
                    0 => pods.iter().filter(|pod| carries_any(pod, labels)).collect(),
                    _ => carriers.skip(skip).collect(),
                };
                (Vec::new(), surplus)
            }
        };
        let given = wanted.into_iter().filter(|pod| !carries_all(pod, labels)).map(|pod| (pod, true));
        let changes: Vec<(ObjectRef, Value)> = given
            .chain(surplus.into_iter().map(|pod| (pod, false)))
            .map(|(pod, carried)| (address(set, pod), patch(labels, carried)))
            .collect();
        let changed = changes.len();
        self.merge_all(&operation, changes).await?;
        let before = pods.iter().filter(|pod| carries_all(pod, labels)).count();
        let carrying = match carry {
            Carry::All => pods.len(),
            Carry::AtMost(most) => before.min(usize::try_from(most).unwrap_or(usize::MAX)),
        };
        Ok(Labelled { carrying, changed, settled })
    }

    /// Brings the labels by which the pods of a snapshot's ReplicaSets get traffic back to what their templates said at the
    /// snapshot: those that run are no objects of the snapshot, they may be others by now. Gives how many pods it changed.
    ///
    /// # Errors
    /// [`ClusterError`]. Repeating it is harmless.
    pub async fn settle_pods(&self, snapshot: &Snapshot) -> Result<usize, ClusterError> {
        let mut changed = 0;
        for Former { set, operation, before, live, keys } in self.formers(snapshot).await? {
            let pods = self.pods_of_set(&operation, set, &live).await?;
            let change = |pod: &Value| {
                let labels = difference(pod, POD_LABELS, before, &keys)?;
                Some((address(set, pod), json!({"metadata": {"labels": labels}})))
            };
            let changes: Vec<(ObjectRef, Value)> = pods.iter().filter_map(change).collect();
            changed += changes.len();
            self.merge_all(&operation, changes).await?;
        }
        Ok(changed)
    }

    /// The same for the templates, before the snapshot is restored: that puts back what was ours alone, and takes away what says by
    /// which labels a ReplicaSet of somebody else gets traffic.
    ///
    /// # Errors
    /// [`ClusterError`]. Repeating it is harmless.
    pub async fn settle_templates(&self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        for Former { set, operation, before, live, keys } in self.formers(snapshot).await? {
            if let Some(labels) = difference(&live, TEMPLATE_LABELS, before, &keys) {
                let fields = json!({"spec": {"template": {"metadata": {"labels": labels}}}});
                self.merge(&operation, set, fields).await?;
            }
        }
        Ok(())
    }

    /// The ReplicaSets of a snapshot that are still the same and get traffic by labels, with these.
    async fn formers<'a>(&self, snapshot: &'a Snapshot) -> Result<Vec<Former<'a>>, ClusterError> {
        let mut formers = Vec::new();
        for entry in snapshot.taken.iter().filter(|entry| is_set(&entry.object)) {
            let SnapshotState::Present { before, .. } = &entry.state else { continue };
            let set = &entry.object;
            let Some(live) = self.get(set).await? else { continue };
            let keys: Vec<String> = traffic_keys(before).chain(traffic_keys(&live)).collect();
            if !keys.is_empty() && object::uid(before) == object::uid(&live) {
                let operation = format!("restore the labels of the pods of {set}");
                formers.push(Former { set, operation, before, live, keys });
            }
        }
        Ok(formers)
    }

    async fn existing_set(&self, operation: &str, set: &ObjectRef) -> Result<Value, ClusterError> {
        self.get(set).await?.ok_or_else(|| ClusterError::NotFound {
            operation: operation.to_owned(),
            message: format!("{set} does not exist"),
        })
    }

    /// The pods that the ReplicaSet controls and that stay.
    async fn pods_of_set(
        &self,
        operation: &str,
        set: &ObjectRef,
        live: &Value,
    ) -> Result<Vec<Value>, ClusterError> {
        let Some(selector) = selector::of(live) else { return Ok(Vec::new()) };
        let path = self.served_kind(operation, "v1", "Pod").await?.collection(set.namespace.as_deref());
        let mut pods = self.list(operation, &path, &[("labelSelector", selector)]).await?;
        let uid = object::uid(live);
        pods.retain(|pod| object::is_owned_by(pod, uid) && pod["metadata"]["deletionTimestamp"].is_null());
        Ok(pods)
    }

    /// Merges each patch into its object; one that is gone is passed over.
    async fn merge_all(&self, operation: &str, changes: Vec<(ObjectRef, Value)>) -> Result<(), ClusterError> {
        futures::stream::iter(changes)
            .map(|(object, patch)| async move { self.merge(operation, &object, patch).await.map(drop) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn merge(
        &self,
        operation: &str,
        object: &ObjectRef,
        patch: Value,
    ) -> Result<Option<Value>, ClusterError> {
        let served = self.served(operation, object).await?;
        let call = Call::merge(served.path(object), patch).query("fieldManager", FIELD_MANAGER);
        self.transport.call_opt(operation, &call).await
    }
}

fn is_set(object: &ObjectRef) -> bool {
    object.kind == "ReplicaSet" && object.group() == "apps"
}

fn is_ready(pod: &Value) -> bool {
    object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True")
}

fn address(set: &ObjectRef, pod: &Value) -> ObjectRef {
    ObjectRef::namespaced("v1", "Pod", set.namespace.as_deref().unwrap_or_default(), object::name(pod))
}

fn label<'a>(object: &'a Value, pointer: &str, key: &str) -> Option<&'a str> {
    object.pointer(pointer)?.get(key)?.as_str()
}

fn carries_all(pod: &Value, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().all(|(key, value)| label(pod, POD_LABELS, key) == Some(value))
}

fn carries_any(pod: &Value, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().any(|(key, value)| label(pod, POD_LABELS, key) == Some(value))
}

fn patch(labels: &BTreeMap<String, String>, carried: bool) -> Value {
    let value = |value: &String| if carried { Value::from(value.as_str()) } else { Value::Null };
    let labels: Map<String, Value> = labels.iter().map(|(key, text)| (key.clone(), value(text))).collect();
    json!({"metadata": {"labels": labels}})
}

fn write_labels(ours: &mut Value, labels: &BTreeMap<String, String>, carried: bool) {
    if carried {
        let into = &mut ours["spec"]["template"]["metadata"]["labels"];
        if !into.is_object() {
            *into = json!({});
        }
        for (key, value) in labels {
            into[key] = Value::from(value.as_str());
        }
    } else if let Some(from) = ours.pointer_mut(TEMPLATE_LABELS).and_then(Value::as_object_mut) {
        from.retain(|key, _| !labels.contains_key(key));
    }
}

/// The labels by which a ReplicaSet says that it gets traffic, without those that it selects by.
fn traffic_keys(set: &Value) -> impl Iterator<Item = String> {
    let text = set["metadata"]["annotations"][TRAFFIC_ANNOTATION].as_str().unwrap_or_default();
    let labels: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
    let own = set["spec"]["selector"]["matchLabels"].as_object().cloned().unwrap_or_default();
    labels.into_keys().filter(move |key| !own.contains_key(key))
}

/// What has to be changed of an object's labels for it to carry, of these, those of the template.
fn difference(
    object: &Value,
    pointer: &str,
    template_of: &Value,
    keys: &[String],
) -> Option<Map<String, Value>> {
    let mut labels = Map::new();
    for key in keys {
        let wanted = label(template_of, TEMPLATE_LABELS, key);
        if label(object, pointer, key) != wanted {
            labels.insert(key.clone(), wanted.map_or(Value::Null, Value::from));
        }
    }
    (!labels.is_empty()).then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn labels_are_written_beside_those_that_are_there() {
        let mut ours = json!({"spec": {"template": {"metadata": {"labels": {"a": "1"}}}}});
        write_labels(&mut ours, &labels(&[("app", "web")]), true);
        assert_eq!(ours["spec"]["template"]["metadata"]["labels"], json!({"a": "1", "app": "web"}));
        write_labels(&mut ours, &labels(&[("app", "web")]), false);
        assert_eq!(ours["spec"]["template"]["metadata"]["labels"], json!({"a": "1"}));
        let mut nothing = json!({});
        write_labels(&mut nothing, &labels(&[("app", "web")]), false);
        assert_eq!(nothing, json!({}));
    }

    #[test]
    fn a_pod_is_brought_to_its_template_in_the_labels_of_traffic_alone() {
        let set = |template: Value| {
            json!({"metadata": {"annotations": {TRAFFIC_ANNOTATION: r#"{"app":"web","own":"1"}"#}},
                "spec": {"selector": {"matchLabels": {"own": "1"}}, "template": {"metadata": {"labels": template}}}})
        };
        let serving = set(json!({"app": "web", "tier": "front"}));
        let keys: Vec<String> = traffic_keys(&serving).collect();
        assert_eq!(keys, ["app"]);
        let pod = |labels: Value| json!({"metadata": {"labels": labels}});
        let changed = |labels: Value, template_of: &Value| {
            difference(&pod(labels), POD_LABELS, template_of, &keys).map(Value::Object)
        };
        assert_eq!(changed(json!({"tier": "other"}), &serving), Some(json!({"app": "web"})));
        assert_eq!(changed(json!({"app": "web"}), &serving), None);
        assert_eq!(changed(json!({"app": "web"}), &set(json!({}))), Some(json!({"app": null})));
    }
}
