//! Reads objects back and compares them with a snapshot.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::field_walk;
use crate::object::ObjectRef;
use crate::plan::Plan;
use crate::restore::{holds_what_others_need, is_as_sealed, is_going};
use crate::seal::SealingKeys;
use crate::snapshot::{Snapshot, SnapshotObject, SnapshotState};

/// A field that is not as the snapshot has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// On which object.
    pub object: ObjectRef,
    /// Which field, such as `.data.port`; empty for the object as a whole.
    pub path: String,
    /// Its value at the snapshot; `None` when there was none.
    pub want: Option<Value>,
    /// Its value now; `None` when there is none.
    pub got: Option<Value>,
}

impl Cluster {
    /// Compares the objects with the snapshot, over the fields that are ours: empty when everything is as it was.
    ///
    /// Fields that others own are not compared. An object that did not exist may be gone, going, or one that a restore
    /// keeps; a Job that had ended may be gone. What the snapshot has around its objects is compared too: leave out of it
    /// what was not restored. Values of Secrets are not in the answer.
    ///
    /// # Errors
    /// [`ClusterError`] when an object cannot be read.
    pub async fn verify(&self, snapshot: &Snapshot) -> Result<Vec<Difference>, ClusterError> {
        let mut differences = Vec::new();
        for entry in snapshot.taken.iter().chain(&snapshot.context) {
            let live = match self.get(&entry.object).await {
                Err(ClusterError::UnknownKind { .. }) => None,
                other => other?,
            };
            differences.extend(compare(entry, live.as_ref(), self.keys.as_deref()));
        }
        Ok(differences)
    }
}

fn compare(entry: &SnapshotObject, live: Option<&Value>, keys: Option<&SealingKeys>) -> Vec<Difference> {
    let whole = |want: Option<&str>, got: Option<&str>| {
        vec![Difference {
            object: entry.object.clone(),
            path: String::new(),
            want: want.map(Value::from),
            got: got.map(Value::from),
        }]
    };
    let live = match (&entry.state, live) {
        (SnapshotState::Absent, None) | (SnapshotState::Present { ended: true, .. }, _) => return Vec::new(),
        (SnapshotState::Absent, Some(live)) if is_going(live) || holds_what_others_need(&entry.object) => {
            return Vec::new();
        }
        (SnapshotState::Absent, Some(_)) => return whole(None, Some("exists")),
        (_, None) => return whole(Some("exists"), None),
        (_, Some(live)) => live,
    };
    match entry.contents(keys) {
        Ok(Some((before, owned))) => fields(&entry.object, (&before, &owned), live),
        _ if is_as_sealed(entry, live) => Vec::new(),
        _ => whole(Some("the values of the snapshot"), Some("other values")),
    }
}

/// The fields of ours that are not as they were.
fn fields(object: &ObjectRef, (before, owned): (&Value, &Value), live: &Value) -> Vec<Difference> {
    let plan = Plan::new(before, owned, live, false);
    let shown = |value: Option<&Value>, words: &str| match object.is_secret() {
        true => value.map(|_| Value::from(words)),
        false => value.cloned(),
    };
    field_walk::leaves(&plan.fields, before, live)
        .into_iter()
        .filter(|field| field.want != field.got)
        .map(|field| Difference {
            object: object.clone(),
            path: field.path,
            want: shown(field.want, "the value of the snapshot"),
            got: shown(field.got, "another value"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_fields_of_ours_are_compared() {
        let owned = json!({"f:data": {"f:port": {}}});
        let entry = SnapshotObject {
            object: ObjectRef::namespaced("v1", "ConfigMap", "dev", "settings"),
            state: SnapshotState::Present {
                before: json!({"data": {"port": "1", "theirs": "a"}}),
                owned: owned.clone(),
                ended: false,
            },
        };
        let live = json!({
            "metadata": {"managedFields": [{"manager": "pilothouse", "operation": "Apply", "fieldsV1": owned}]},
            "data": {"port": "2", "theirs": "b"}
        });
        let found = compare(&entry, Some(&live), None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, ".data.port");
        assert_eq!((found[0].want.clone(), found[0].got.clone()), (Some(json!("1")), Some(json!("2"))));
    }
}
