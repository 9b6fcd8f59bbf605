//! What objects were like before something changes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::FIELD_MANAGER;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::owned_fields;
use crate::seal::{SealError, SealedCopy, SealingKeys};

/// The state of several objects at one moment: what a rollback goes back to (X4).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// One entry for each object asked for, in that order.
    pub taken: Vec<SnapshotObject>,
    /// What those refer to, and what refers to them: ConfigMaps, Secrets, Services, routes, autoscalers, disruption budgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<SnapshotObject>,
    /// What around them could not be looked at, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<String>,
}

/// The state of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotObject {
    /// Which one.
    pub object: ObjectRef,
    /// What it was.
    #[serde(flatten)]
    pub state: SnapshotState,
}

/// What an object was like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
#[non_exhaustive]
pub enum SnapshotState {
    /// It did not exist.
    Absent,
    /// It existed.
    Present {
        /// The whole object without `status` and `managedFields`; names, labels, annotations and specification as they were.
        before: Value,
        /// The fields that [`FIELD_MANAGER`] owned, as `FieldsV1`.
        owned: Value,
        /// Whether it was a Job or a Pod that had run to its end: made anew, it would run once more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ended: bool,
    },
    /// A Secret that existed. Its values are in no record but as a sealed copy.
    Sealed {
        /// The metadata: name, namespace, labels, and annotations that carry no values.
        metadata: Value,
        /// SHA-256, in hex, of the object's uid, its type and its data.
        digest: String,
        /// What `Present` has, sealed; absent where the installation had no key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<SealedCopy>,
    },
}

/// What a sealed copy holds.
#[derive(Serialize, Deserialize)]
struct Contents {
    before: Value,
    owned: Value,
}

impl SnapshotObject {
    /// The object as it was and the fields that were ours; `None` for what did not exist.
    ///
    /// # Errors
    /// Why a Secret's values cannot be had, in words.
    pub(crate) fn contents(&self, keys: Option<&SealingKeys>) -> Result<Option<(Value, Value)>, String> {
        match &self.state {
            SnapshotState::Absent => Ok(None),
            SnapshotState::Present { before, owned, .. } => Ok(Some((before.clone(), owned.clone()))),
            SnapshotState::Sealed { metadata, copy: Some(copy), .. } => {
                let keys = keys.ok_or("this installation has no sealing key to open its copy with")?;
                let plain = keys.open(&about(&self.object, metadata), copy).map_err(|e| e.to_string())?;
                let Contents { before, owned } =
                    serde_json::from_slice(&plain).map_err(|_| SealError::Spoilt.to_string())?;
                Ok(Some((before, owned)))
            }
            SnapshotState::Sealed { copy: None, .. } => {
                Err("the snapshot holds no values, because the installation had no sealing key".to_owned())
            }
        }
    }
}

/// What a sealed copy is bound to.
fn about(object: &ObjectRef, metadata: &Value) -> String {
    format!("{object} {}", metadata["uid"].as_str().unwrap_or_default())
}

/// Annotation in which `kubectl apply` keeps the whole object, the values of a Secret included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Cluster {
    /// Reads the objects as they are now, and what stands around them, for [`Cluster::restore`]. Take it, and store it,
    /// before changing any of them.
    ///
    /// A kind that the cluster does not know (its definition may come with the same release) counts as absent. Secrets
    /// are sealed with the keys of [`Cluster::sealing_with`].
    ///
    /// # Errors
    /// [`ClusterError`] when any of them cannot be read: a snapshot is whole or there is none. What stands around them
    /// and may not be read is told in `missed`.
    pub async fn snapshot(&self, objects: &[ObjectRef]) -> Result<Snapshot, ClusterError> {
        let mut taken = Vec::with_capacity(objects.len());
        let mut there = Vec::new();
        for object in objects {
            let (object, live) = self.read_for_snapshot(object).await?;
            taken.push(self.entry(object, live.as_ref())?);
            there.extend(live);
        }
        let around = self.surroundings(&there.iter().collect::<Vec<_>>()).await?;
        let mut snapshot = Snapshot { taken, context: Vec::new(), missed: around.missed };
        for (object, live) in around.naming {
            if !snapshot.has(&object) {
                snapshot.context.push(self.entry(object, Some(&live))?);
            }
        }
        for object in around.named {
            if snapshot.has(&object) {
                continue;
            }
            match self.read_for_snapshot(&object).await {
                // What is named and not there was not there before either: nothing to go back to.
                Ok((_, None)) => {}
                Ok((object, Some(live))) => snapshot.context.push(self.entry(object, Some(&live))?),
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => snapshot.missed.push(format!("{object}: {error}")),
            }
        }
        Ok(snapshot)
    }

    /// The object as it is, and its address as the cluster sees it.
    async fn read_for_snapshot(
        &self,
        object: &ObjectRef,
    ) -> Result<(ObjectRef, Option<Value>), ClusterError> {
        let operation = format!("take a snapshot of {object}");
        let mut object = object.clone();
        let live = match self.served(&operation, &object).await {
            Ok(served) => {
                if !served.namespaced {
                    object.namespace = None;
                }
                self.read(&operation, &served, &object).await?
            }
            Err(ClusterError::UnknownKind { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok((object, live))
    }

    fn entry(&self, object: ObjectRef, live: Option<&Value>) -> Result<SnapshotObject, ClusterError> {
        let state = match live {
            None => SnapshotState::Absent,
            Some(live) if object.is_secret() => {
                sealed(&object, live, self.keys.as_deref()).map_err(|error| ClusterError::Protocol {
                    operation: format!("take a snapshot of {object}"),
                    message: format!("it cannot be sealed: {error}"),
                })?
            }
            Some(live) => {
                let (before, owned) = halves(live);
                SnapshotState::Present { before, owned, ended: has_ended(&object, live) }
            }
        };
        Ok(SnapshotObject { object, state })
    }
}

impl Snapshot {
    /// Whether there is an entry for the object, among those asked for or around them.
    fn has(&self, object: &ObjectRef) -> bool {
        self.taken.iter().chain(&self.context).any(|entry| same(&entry.object, object))
    }
}

/// Whether two addresses are of one object, by whatever version of its kind.
pub(crate) fn same(a: &ObjectRef, b: &ObjectRef) -> bool {
    (a.group(), &a.kind, &a.namespace, &a.name) == (b.group(), &b.kind, &b.namespace, &b.name)
}

/// The object as it is applied again, and the fields of it that are ours.
fn halves(live: &Value) -> (Value, Value) {
    (slim(live.clone()), owned_fields::owned_by(live, FIELD_MANAGER))
}

/// Whether it is a Job or a Pod that ran to its end, well or not.
fn has_ended(object: &ObjectRef, live: &Value) -> bool {
    let over = |kind| object::condition(live, kind).is_some_and(|condition| condition["status"] == "True");
    match (object.group(), object.kind.as_str()) {
        ("batch", "Job") => over("Complete") || over("Failed"),
        ("", "Pod") => matches!(live["status"]["phase"].as_str(), Some("Succeeded" | "Failed")),
        _ => false,
    }
}

/// Without what changes by itself, but with the uid, which tells whether it is still the same object.
fn slim(live: Value) -> Value {
    let uid = live["metadata"]["uid"].clone();
    let mut slim = object::clean(live);
    if !uid.is_null() {
        slim["metadata"]["uid"] = uid;
    }
    slim
}

fn sealed(object: &ObjectRef, live: &Value, keys: Option<&SealingKeys>) -> Result<SnapshotState, SealError> {
    let metadata = &live["metadata"];
    let mut kept = Map::new();
    for key in ["name", "namespace", "uid", "labels"] {
        if !metadata[key].is_null() {
            kept.insert(key.to_owned(), metadata[key].clone());
        }
    }
    if let Some(annotations) = metadata["annotations"].as_object() {
        let harmless: Map<String, Value> = annotations
            .iter()
            .filter(|(key, _)| key.as_str() != LAST_APPLIED)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        kept.insert("annotations".into(), Value::Object(harmless));
    }
    let metadata = Value::Object(kept);
    let copy = match keys {
        None => None,
        Some(keys) => {
            let (before, owned) = halves(live);
            let plain = json!({ "before": before, "owned": owned }).to_string();
            Some(keys.seal(&about(object, &metadata), plain.as_bytes())?)
        }
    };
    Ok(SnapshotState::Sealed { metadata, digest: secret_digest(live), copy })
}

/// Tells two contents of a Secret apart without keeping either. The uid in it makes equal values of different Secrets
/// look different.
pub(crate) fn secret_digest(live: &Value) -> String {
    let mut data: Vec<(&str, &str)> = live["data"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
        .collect();
    data.sort_unstable();
    let content = json!([object::uid(live), live["type"], data]);
    hex::encode(Sha256::digest(content.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(password: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "db", "namespace": "dev", "uid": "u1", "labels": {"app": "db"}, "annotations": {
                LAST_APPLIED: format!("{{\"data\":{{\"password\":\"{password}\"}}}}"), "owner": "shop"
            }},
            "data": {"password": password}
        })
    }

    fn db() -> ObjectRef {
        ObjectRef::namespaced("v1", "Secret", "dev", "db")
    }

    fn keys() -> SealingKeys {
        SealingKeys::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    #[test]
    fn no_value_of_a_secret_is_in_its_snapshot() {
        for keys in [None, Some(keys())] {
            let state = sealed(&db(), &secret("aHVudGVyMg=="), keys.as_ref()).unwrap();
            let record = serde_json::to_string(&state).unwrap();
            assert!(!record.contains("aHVudGVyMg"), "{record}");
            assert!(record.contains("\"owner\":\"shop\""), "{record}");
        }
    }

    #[test]
    fn the_values_of_a_secret_are_had_back_with_the_key_alone() {
        let state = sealed(&db(), &secret("aHVudGVyMg=="), Some(&keys())).unwrap();
        let entry = SnapshotObject { object: db(), state };
        let (before, _) = entry.contents(Some(&keys())).unwrap().unwrap();
        assert_eq!(before["data"]["password"], "aHVudGVyMg==");
        assert!(entry.contents(None).unwrap_err().contains("no sealing key"));
        let unsealed = SnapshotObject { object: db(), state: sealed(&db(), &secret("x"), None).unwrap() };
        assert!(unsealed.contents(Some(&keys())).unwrap_err().contains("holds no values"));
    }

    #[test]
    fn a_snapshot_of_the_first_version_is_still_read() {
        let record = json!({"taken": [
            {"object": {"apiVersion": "v1", "kind": "Secret", "namespace": "dev", "name": "db"},
                "state": "sealed", "metadata": {"name": "db"}, "digest": "00"},
            {"object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "dev", "name": "a"},
                "state": "present", "before": {"data": {}}, "owned": {}}]});
        let read: Snapshot = serde_json::from_value(record.clone()).unwrap();
        assert_eq!((read.context.len(), read.taken.len()), (0, 2));
        assert_eq!(serde_json::to_value(&read).unwrap(), record);
    }

    #[test]
    fn a_job_that_ran_to_its_end_is_told_from_one_that_runs() {
        let job = ObjectRef::namespaced("batch/v1", "Job", "dev", "migrate");
        let live = |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True"}]}});
        assert!(has_ended(&job, &live("Complete")) && has_ended(&job, &live("Failed")));
        assert!(!has_ended(&job, &live("Suspended")));
    }

    #[test]
    fn the_seal_tells_whether_the_values_changed() {
        assert_eq!(secret_digest(&secret("YQ==")), secret_digest(&secret("YQ==")));
        assert_ne!(secret_digest(&secret("YQ==")), secret_digest(&secret("Yg==")));
    }

    #[test]
    fn a_snapshot_survives_its_record() {
        let web = ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
        let state = SnapshotState::Present {
            before: json!({"spec": {}}),
            owned: json!({"f:spec": {}}),
            ended: false,
        };
        let snapshot = Snapshot {
            taken: vec![
                SnapshotObject { object: web.clone(), state },
                SnapshotObject { object: web, state: SnapshotState::Absent },
            ],
            ..Snapshot::default()
        };
        let record = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(record["taken"][1]["state"], "absent");
        assert_eq!(serde_json::from_value::<Snapshot>(record).unwrap(), snapshot);
    }
}
