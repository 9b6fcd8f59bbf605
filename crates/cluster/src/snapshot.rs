//! What objects were like before something changes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::FIELD_MANAGER;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::owned_fields;

/// The state of several objects at one moment: what a rollback goes back to (X4).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// One entry for each object asked for, in that order.
    pub taken: Vec<SnapshotObject>,
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
    },
    /// A Secret that existed. Its values are in no record; only what tells whether they changed.
    Sealed {
        /// The metadata: name, namespace, labels, and annotations that carry no values.
        metadata: Value,
        /// SHA-256, in hex, of the object's uid, its type and its data.
        digest: String,
    },
}

/// Annotation in which `kubectl apply` keeps the whole object, the values of a Secret included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Cluster {
    /// Reads the objects as they are now, for [`Cluster::restore`]. Take it, and store it, before changing any of them.
    ///
    /// A kind that the cluster does not know (its definition may come with the same release) counts as absent.
    ///
    /// # Errors
    /// [`ClusterError`] when any of them cannot be read: a snapshot is whole or there is none.
    pub async fn snapshot(&self, objects: &[ObjectRef]) -> Result<Snapshot, ClusterError> {
        let mut taken = Vec::with_capacity(objects.len());
        for object in objects {
            taken.push(self.snapshot_one(object).await?);
        }
        Ok(Snapshot { taken })
    }

    async fn snapshot_one(&self, object: &ObjectRef) -> Result<SnapshotObject, ClusterError> {
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
        let state = match live {
            None => SnapshotState::Absent,
            Some(live) if object.is_secret() => sealed(&live),
            Some(live) => SnapshotState::Present {
                owned: owned_fields::owned_by(&live, FIELD_MANAGER),
                before: slim(live),
            },
        };
        Ok(SnapshotObject { object, state })
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

fn sealed(live: &Value) -> SnapshotState {
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
    SnapshotState::Sealed { metadata: Value::Object(kept), digest: secret_digest(live) }
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

    #[test]
    fn no_value_of_a_secret_is_in_its_snapshot() {
        let record = serde_json::to_string(&sealed(&secret("aHVudGVyMg=="))).unwrap();
        assert!(!record.contains("aHVudGVyMg"), "{record}");
        assert!(record.contains("\"owner\":\"shop\""), "{record}");
    }

    #[test]
    fn the_seal_tells_whether_the_values_changed() {
        assert_eq!(secret_digest(&secret("YQ==")), secret_digest(&secret("YQ==")));
        assert_ne!(secret_digest(&secret("YQ==")), secret_digest(&secret("Yg==")));
    }

    #[test]
    fn a_snapshot_survives_its_record() {
        let web = ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
        let state = SnapshotState::Present { before: json!({"spec": {}}), owned: json!({"f:spec": {}}) };
        let snapshot = Snapshot {
            taken: vec![
                SnapshotObject { object: web.clone(), state },
                SnapshotObject { object: web, state: SnapshotState::Absent },
            ],
        };
        let record = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(record["taken"][1]["state"], "absent");
        assert_eq!(serde_json::from_value::<Snapshot>(record).unwrap(), snapshot);
    }
}
