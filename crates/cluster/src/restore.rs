//! Brings objects back to a snapshot: the fields that Pilothouse changed, and no others (X4).
//!
//! For an object that still exists, the fields that we own now and those that we owned at the snapshot are taken from the
//! snapshot and applied with our manager. Server-side apply then removes the fields that we added since, puts back those
//! that we changed or dropped, and leaves alone what others own. A field of ours that somebody else has taken over since is
//! theirs: it stays and is reported.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::FIELD_MANAGER;
use crate::apply::{ApplyFlags, TRIES};
use crate::cluster::Cluster;
use crate::discovery::Served;
use crate::error::ClusterError;
use crate::field_walk::{self, Field};
use crate::marks;
use crate::object::{self, ObjectRef};
use crate::order;
use crate::owned_fields;
use crate::recreate;
use crate::snapshot::{Snapshot, SnapshotObject, SnapshotState, secret_digest};
use crate::transport::Call;

/// How to restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOptions {
    /// Asks the server for everything and changes nothing.
    pub dry_run: bool,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// Which one.
    pub object: ObjectRef,
    /// What was done.
    pub outcome: RestoreOutcome,
    /// Number of its specification afterwards, to wait for; 0 when it has none or is gone.
    pub generation: i64,
    /// Fields of ours that another manager has changed since the snapshot and that were left as they are.
    pub kept: Vec<KeptField>,
}

/// What was done to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RestoreOutcome {
    /// Its fields are as they were; or it was created anew because it was gone.
    Restored,
    /// It did not exist before, so it was deleted.
    Deleted,
    /// It already was as it should be.
    Unchanged,
    /// It did not exist before and stays nevertheless: deleting it would delete what is in it, which may be others'.
    Kept,
    /// It was left alone, because restoring it would harm something. A person has to look.
    Conflict {
        /// What stands against it, and what to do.
        reason: String,
    },
}

/// A field that somebody else has taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptField {
    /// Its path, such as `.spec.replicas`.
    pub path: String,
    /// Its owner now.
    pub manager: String,
}

impl Cluster {
    /// Restores every object of the snapshot: those that existed in the order of apply, then those that did not exist are
    /// deleted in the opposite order. Namespaces, custom resource definitions and volume claims are never deleted.
    ///
    /// Conflicts of single objects are outcomes, not errors; so the rest is still restored. Repeating it is harmless.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster fails or denies; objects restored before that stay restored.
    pub async fn restore(
        &self,
        snapshot: &Snapshot,
        options: &RestoreOptions,
    ) -> Result<Vec<Restored>, ClusterError> {
        let mut entries: Vec<(usize, &SnapshotObject)> = snapshot.taken.iter().enumerate().collect();
        entries.sort_by_key(|(_, entry)| {
            let rank = isize::try_from(order::rank(&entry.object)).unwrap_or(isize::MAX);
            match entry.state {
                SnapshotState::Absent => (1, -rank),
                _ => (0, rank),
            }
        });
        let mut restored = Vec::with_capacity(entries.len());
        for (index, entry) in entries {
            restored.push((index, self.restore_one(entry, *options).await?));
        }
        restored.sort_by_key(|(index, _)| *index);
        Ok(restored.into_iter().map(|(_, restored)| restored).collect())
    }

    async fn restore_one(
        &self,
        entry: &SnapshotObject,
        options: RestoreOptions,
    ) -> Result<Restored, ClusterError> {
        let mut tries = 1;
        loop {
            match self.restore_once(entry, options).await {
                // Somebody wrote between our reading and writing: read again and decide again.
                Err(ClusterError::Changed { .. }) if tries < TRIES => tries += 1,
                // The object cannot be brought back in place, such as a field that is fixed at creation.
                Err(error @ ClusterError::Invalid { .. }) => {
                    return Ok(conflict(&entry.object, error.to_string()));
                }
                other => return other,
            }
        }
    }

    async fn restore_once(
        &self,
        entry: &SnapshotObject,
        options: RestoreOptions,
    ) -> Result<Restored, ClusterError> {
        let object = &entry.object;
        let operation = format!("restore {object}");
        let served = match self.served(&operation, object).await {
            Ok(served) => served,
            // The kind is gone, and every object of it.
            Err(ClusterError::UnknownKind { .. }) if entry.state == SnapshotState::Absent => {
                return Ok(outcome(object, RestoreOutcome::Unchanged, None));
            }
            Err(error) => return Err(error),
        };
        let live = self.read(&operation, &served, object).await?;
        match (&entry.state, live) {
            (SnapshotState::Absent, None) => Ok(outcome(object, RestoreOutcome::Unchanged, None)),
            (SnapshotState::Absent, Some(live)) => self.remove(&operation, &served, object, &live, options).await,
            (SnapshotState::Present { .. }, Some(live)) if is_going(&live) => Ok(conflict(
                object,
                "it is being deleted; restore again when it is gone, and it is created anew".into(),
            )),
            (SnapshotState::Present { before, owned }, Some(live)) => {
                let plan = Plan::new(before, owned, &live);
                self.put_back(&operation, &served, object, &live, plan, options).await
            }
            (SnapshotState::Present { before, owned }, None) => {
                let flags = ApplyFlags { dry_run: options.dry_run, force: true, strict: false };
                let after = recreate::recreate(self, &operation, &served, object, (before, owned), flags).await?;
                Ok(outcome(object, RestoreOutcome::Restored, Some(&after)))
            }
            (SnapshotState::Sealed { digest, .. }, Some(live)) if *digest == secret_digest(&live) => {
                Ok(outcome(object, RestoreOutcome::Unchanged, Some(&live)))
            }
            (SnapshotState::Sealed { .. }, Some(_)) => Ok(conflict(
                object,
                "its values changed since the snapshot, which holds no values to put back; set them from their source".into(),
            )),
            (SnapshotState::Sealed { .. }, None) => Ok(conflict(
                object,
                "it was deleted since the snapshot, which holds no values to create it from; create it from its source".into(),
            )),
        }
    }

    async fn put_back(
        &self,
        operation: &str,
        served: &Served,
        object: &ObjectRef,
        live: &Value,
        plan: Plan,
        options: RestoreOptions,
    ) -> Result<Restored, ClusterError> {
        if owned_fields::is_empty(&plan.fields) {
            return Ok(Restored {
                kept: plan.kept,
                ..outcome(object, RestoreOutcome::Unchanged, Some(live))
            });
        }
        let mut content = identified(plan.content, object);
        // Refused if anybody writes in between; the plan then is made again.
        content["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        let flags = ApplyFlags { dry_run: options.dry_run, force: true, strict: false };
        let after = self.apply_as(FIELD_MANAGER, operation, served, object, content, flags).await?;
        if object.kind == "StatefulSet" && object.group() == "apps" && !options.dry_run {
            self.unblock(operation, object, &after).await?;
        }
        let done = match marks::differ(live, &after) {
            true => RestoreOutcome::Restored,
            false => RestoreOutcome::Unchanged,
        };
        Ok(Restored { kept: plan.kept, ..outcome(object, done, Some(&after)) })
    }

    async fn remove(
        &self,
        operation: &str,
        served: &Served,
        object: &ObjectRef,
        live: &Value,
        options: RestoreOptions,
    ) -> Result<Restored, ClusterError> {
        if is_going(live) {
            return Ok(outcome(object, RestoreOutcome::Deleted, None));
        }
        if holds_what_others_need(object) {
            return Ok(outcome(object, RestoreOutcome::Kept, Some(live)));
        }
        if owned_fields::is_empty(&owned_fields::owned_by(live, FIELD_MANAGER)) {
            let reason = "it did not exist at the snapshot, but somebody else created it since; delete it if it is not needed";
            return Ok(conflict(object, reason.into()));
        }
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": object::uid(live)}
        });
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let call = Call::delete(served.path(object), body).sensitive(object.is_secret());
        self.transport.call_opt(operation, &call).await?;
        Ok(outcome(object, RestoreOutcome::Deleted, None))
    }
}

/// Whether the object is on its way out.
pub(crate) fn is_going(live: &Value) -> bool {
    !live["metadata"]["deletionTimestamp"].is_null()
}

/// Kinds whose deletion deletes more than themselves: the objects in a namespace, those of a custom kind, stored data.
pub(crate) fn holds_what_others_need(object: &ObjectRef) -> bool {
    matches!(
        (object.group(), object.kind.as_str()),
        ("", "Namespace" | "PersistentVolume" | "PersistentVolumeClaim")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

fn outcome(object: &ObjectRef, outcome: RestoreOutcome, after: Option<&Value>) -> Restored {
    let generation = after.and_then(|after| after["metadata"]["generation"].as_i64()).unwrap_or(0);
    Restored { object: object.clone(), outcome, generation, kept: Vec::new() }
}

fn conflict(object: &ObjectRef, reason: String) -> Restored {
    outcome(object, RestoreOutcome::Conflict { reason }, None)
}

/// Gives a part of an object what every apply needs: kind, name and namespace.
pub(crate) fn identified(mut content: Value, object: &ObjectRef) -> Value {
    content["apiVersion"] = Value::from(object.api_version.as_str());
    content["kind"] = Value::from(object.kind.as_str());
    content["metadata"]["name"] = Value::from(object.name.as_str());
    if let Some(namespace) = &object.namespace {
        content["metadata"]["namespace"] = Value::from(namespace.as_str());
    }
    content
}

/// Which fields to put back, and which to leave to others.
pub(crate) struct Plan {
    /// The set of fields that are ours to restore.
    pub(crate) fields: Value,
    /// Their values at the snapshot.
    content: Value,
    pub(crate) kept: Vec<KeptField>,
}

impl Plan {
    pub(crate) fn new(before: &Value, owned_before: &Value, live: &Value) -> Self {
        let owned_now = owned_fields::owned_by(live, FIELD_MANAGER);
        let dropped = owned_fields::difference(owned_before, &owned_now);
        let others = owned_fields::owned_by_others(live, FIELD_MANAGER);
        let mut fields = owned_now;
        let mut kept = Vec::new();
        for Field { tree_path, path, want, got } in field_walk::leaves(&dropped, before, live) {
            let taken = field_walk::names(&others, &tree_path);
            if !taken || want == got {
                fields = owned_fields::union(fields, &field_walk::subset(&dropped, &tree_path));
            } else {
                let manager = owned_fields::other_owner(live, FIELD_MANAGER, &tree_path).unwrap_or_default();
                kept.push(KeptField { path, manager });
            }
        }
        let content = owned_fields::project(before, &fields).unwrap_or_else(|| json!({}));
        Self { fields, content, kept }
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
