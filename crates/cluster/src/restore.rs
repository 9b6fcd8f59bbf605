//! Brings objects back to a snapshot: the fields that Pilothouse changed, and no others (X4).
//!
//! For an object that still exists, the fields that we own now and those that we owned at the snapshot are taken from the
//! snapshot and applied with our manager. Server-side apply then removes the fields that we added since, puts back those
//! that we changed or dropped, and leaves alone what others own. A field of ours that somebody else has taken over since is
//! theirs: it stays and is reported, unless the restore is forced.
//!
//! What the snapshot has around those objects comes back only where it is ours and gone, or changed by nobody's release.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::FIELD_MANAGER;
use crate::apply::ApplyFlags;
use crate::cluster::Cluster;
use crate::discovery::Served;
use crate::error::ClusterError;
use crate::marks;
use crate::object::{self, ObjectRef};
use crate::order;
use crate::owned_fields;
use crate::plan::Plan;
use crate::recreate;
use crate::snapshot::{Snapshot, SnapshotObject, SnapshotState, secret_digest};
use crate::transport::Call;

/// How to restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOptions {
    /// Asks the server for everything and changes nothing.
    pub dry_run: bool,
    /// Takes back fields of ours that others have changed since the snapshot, instead of leaving them.
    #[serde(default)]
    pub force: bool,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// Which one.
    pub object: ObjectRef,
    /// What was done.
    pub outcome: RestoreOutcome,
    /// Number of its specification afterwards, to wait for; 0 when it has none or is gone.
    pub generation: i64,
    /// Fields that another manager has changed since the snapshot and that were left as they are.
    pub kept: Vec<KeptField>,
    /// Whether it stood around the objects of the snapshot, and was not one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub context: bool,
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
    /// It is not as it was, and rightly so: a Job that ran to its end must not run once more.
    Left {
        /// Why.
        reason: String,
    },
    /// It was left alone, because restoring it would harm something. A person has to look.
    Conflict {
        /// What stands against it, and what to do.
        reason: String,
    },
}

/// A field that somebody else has taken over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptField {
    /// Its path, such as `.spec.replicas`.
    pub path: String,
    /// Its owner now.
    pub manager: String,
    /// Whether we owned it at the snapshot. What never was ours is told, for it differs, and is nothing to restore.
    #[serde(default = "yes")]
    pub ours: bool,
    /// Its value at the snapshot; `None` when there was none, it is long, or it is a Secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Value>,
    /// Its value now, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<Value>,
}

fn yes() -> bool {
    true
}

impl Cluster {
    /// Restores every object of the snapshot: those that existed in the order of apply, then those that did not exist are
    /// deleted in the opposite order. Namespaces, custom resource definitions and volume claims are never deleted.
    ///
    /// Gives what became of each, in the order of the snapshot, then what was done around them. Whatever stands against
    /// a single object is an outcome, not an error; so the rest is still restored. Repeating it is harmless.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster fails or does not accept the credentials; objects restored before that stay
    /// restored.
    pub async fn restore(
        &self,
        snapshot: &Snapshot,
        options: &RestoreOptions,
    ) -> Result<Vec<Restored>, ClusterError> {
        let taken = snapshot.taken.iter().map(|entry| (entry, false));
        let around = snapshot.context.iter().map(|entry| (entry, true));
        let mut entries: Vec<(usize, (&SnapshotObject, bool))> = taken.chain(around).enumerate().collect();
        entries.sort_by_key(|(_, (entry, _))| {
            let rank = isize::try_from(order::rank(&entry.object)).unwrap_or(isize::MAX);
            match entry.state {
                SnapshotState::Absent => (1, -rank),
                _ => (0, rank),
            }
        });
        let mut restored = Vec::with_capacity(entries.len());
        for (index, (entry, context)) in entries {
            let done = self.restore_one(entry, context, *options).await?;
            if !context || done.outcome != RestoreOutcome::Unchanged || !done.kept.is_empty() {
                restored.push((index, Restored { context, ..done }));
            }
        }
        restored.sort_by_key(|(index, _)| *index);
        Ok(restored.into_iter().map(|(_, restored)| restored).collect())
    }

    async fn restore_one(
        &self,
        entry: &SnapshotObject,
        context: bool,
        options: RestoreOptions,
    ) -> Result<Restored, ClusterError> {
        let operation = format!("restore {}", entry.object);
        let once = || self.restore_once(&operation, entry, context, options);
        match self.transport.retry.afresh(&operation, once).await {
            Err(error) if error.is_retryable() => Err(error),
            Err(error @ (ClusterError::Unauthenticated { .. } | ClusterError::Kubeconfig { .. })) => {
                Err(error)
            }
            // It cannot be brought back, such as a field that is fixed at creation, or a policy that denies it.
            Err(error) => Ok(conflict(&entry.object, error.to_string())),
            done => done,
        }
    }

    async fn restore_once(
        &self,
        operation: &str,
        entry: &SnapshotObject,
        context: bool,
        options: RestoreOptions,
    ) -> Result<Restored, ClusterError> {
        let object = &entry.object;
        let served = match self.served(operation, object).await {
            Ok(served) => served,
            // The kind is gone, and every object of it.
            Err(ClusterError::UnknownKind { .. }) if entry.state == SnapshotState::Absent => {
                return Ok(outcome(object, RestoreOutcome::Unchanged, None));
            }
            Err(error) => return Err(error),
        };
        let live = self.read(operation, &served, object).await?;
        let at = Place { operation, served: &served, object, options };
        if entry.state == SnapshotState::Absent {
            return match live {
                None => Ok(outcome(object, RestoreOutcome::Unchanged, None)),
                Some(live) => self.remove(&at, &live).await,
            };
        }
        let contents = match (entry.contents(self.keys.as_deref()), &live) {
            (Ok(contents), _) => contents.unwrap_or_default(),
            (Err(_), Some(live)) if is_as_sealed(entry, live) => {
                return Ok(outcome(object, RestoreOutcome::Unchanged, Some(live)));
            }
            (Err(why), Some(_)) => {
                let reason =
                    format!("its values changed since the snapshot, and {why}; set them from their source");
                return Ok(conflict(object, reason));
            }
            (Err(why), None) => {
                let reason =
                    format!("it was deleted since the snapshot, and {why}; create it from its source");
                return Ok(conflict(object, reason));
            }
        };
        match live {
            None => self.create_anew(&at, entry, context, (&contents.0, &contents.1)).await,
            Some(live) => self.put_back(&at, entry, context, (&contents.0, &contents.1), &live).await,
        }
    }

    /// Creates what is gone, unless it must not be.
    async fn create_anew(
        &self,
        at: &Place<'_>,
        entry: &SnapshotObject,
        context: bool,
        (before, owned): (&Value, &Value),
    ) -> Result<Restored, ClusterError> {
        if let SnapshotState::Present { ended: true, .. } = entry.state {
            return Ok(left(at.object, "it had run to its end, and made anew it would run once more"));
        }
        let owners = before["metadata"]["ownerReferences"].as_array();
        if owners.is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true)) {
            return Ok(left(at.object, "its controller makes it anew"));
        }
        if context && owned_fields::is_empty(owned) {
            let reason =
                "it was deleted since the snapshot, and is not ours to create; create it from its source";
            return Ok(conflict(at.object, reason.into()));
        }
        let after =
            recreate::recreate(self, at.operation, at.served, at.object, (before, owned), at.flags()).await?;
        Ok(outcome(at.object, RestoreOutcome::Restored, Some(&after)))
    }

    async fn put_back(
        &self,
        at: &Place<'_>,
        entry: &SnapshotObject,
        context: bool,
        (before, owned): (&Value, &Value),
        live: &Value,
    ) -> Result<Restored, ClusterError> {
        if context && let Some(outcome) = stays(at.object, (before, owned), live) {
            return Ok(outcome);
        }
        if is_going(live) {
            let reason = "it is being deleted; restore again when it is gone, and it is created anew";
            return Ok(conflict(at.object, reason.into()));
        }
        let plan = Plan::new(before, owned, live, at.options.force).without_values_of(at.object);
        if owned_fields::is_empty(&plan.fields) {
            return Ok(Restored {
                kept: plan.kept,
                ..outcome(at.object, RestoreOutcome::Unchanged, Some(live))
            });
        }
        let mut content = identified(plan.content, at.object);
        // Refused if anybody writes in between; the plan then is made again.
        content["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        let applied =
            self.apply_as(FIELD_MANAGER, at.operation, at.served, at.object, content, at.flags()).await;
        let after = match applied {
            Err(ClusterError::Invalid { .. }) if recreate::is_replaced(at.object, live) => {
                if let SnapshotState::Present { ended: true, .. } = entry.state {
                    let reason =
                        "it is another Job now; the one before had run to its end, and would run once more";
                    return Ok(left(at.object, reason));
                }
                recreate::replace(self, at, (before, owned), live).await?
            }
            other => {
                let Place { operation, served, object, options } = *at;
                self.remove_given_up(operation, served, object, live, other?, options.dry_run).await?
            }
        };
        if at.object.kind == "StatefulSet"
            && at.object.group() == "apps"
            && !self.only_asks(at.options.dry_run)
        {
            self.unblock(at.operation, at.object, &after).await?;
        }
        let done = match marks::differ(live, &after) {
            true => RestoreOutcome::Restored,
            false => RestoreOutcome::Unchanged,
        };
        Ok(Restored { kept: plan.kept, ..outcome(at.object, done, Some(&after)) })
    }

    async fn remove(&self, at: &Place<'_>, live: &Value) -> Result<Restored, ClusterError> {
        let object = at.object;
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
        self.delete_seen(at, live).await?;
        Ok(outcome(object, RestoreOutcome::Deleted, None))
    }

    /// Deletes the object that was read, and no other that took its name since.
    pub(crate) async fn delete_seen(&self, at: &Place<'_>, live: &Value) -> Result<(), ClusterError> {
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": object::uid(live)}
        });
        if at.options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let call = Call::delete(at.served.path(at.object), body).sensitive(at.object.is_secret());
        self.transport.call_opt(at.operation, &call).await?;
        Ok(())
    }
}

/// What is being restored, and how it is reached.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) operation: &'a str,
    pub(crate) served: &'a Served,
    pub(crate) object: &'a ObjectRef,
    pub(crate) options: RestoreOptions,
}

impl Place<'_> {
    pub(crate) fn flags(&self) -> ApplyFlags {
        ApplyFlags { dry_run: self.options.dry_run, force: true, strict: false }
    }
}

/// Why an object that merely stood around stays as it is; `None` when it is to be put back.
fn stays(object: &ObjectRef, (before, owned): (&Value, &Value), live: &Value) -> Option<Restored> {
    if !marks::differ(&without_metadata(before), &without_metadata(live)) {
        return Some(outcome(object, RestoreOutcome::Unchanged, Some(live)));
    }
    let now = owned_fields::owned_by(live, FIELD_MANAGER);
    if owned_fields::is_empty(owned) && owned_fields::is_empty(&now) {
        return Some(conflict(
            object,
            "others changed it since the snapshot; it is not ours, and was left".into(),
        ));
    }
    match (marks::release(before), marks::release(live)) {
        (then, Some(now)) if then != Some(now) => {
            Some(conflict(object, format!("release {now} changed it since the snapshot; it was left")))
        }
        _ => None,
    }
}

fn without_metadata(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        // The server adds the kind to what is read alone, and leaves it out of lists.
        map.retain(|key, _| !matches!(key.as_str(), "metadata" | "apiVersion" | "kind"));
    }
    object
}

/// Whether a Secret has the values that it was sealed with.
pub(crate) fn is_as_sealed(entry: &SnapshotObject, live: &Value) -> bool {
    matches!(&entry.state, SnapshotState::Sealed { digest, .. } if *digest == secret_digest(live))
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
    Restored { object: object.clone(), outcome, generation, kept: Vec::new(), context: false }
}

fn conflict(object: &ObjectRef, reason: String) -> Restored {
    outcome(object, RestoreOutcome::Conflict { reason }, None)
}

fn left(object: &ObjectRef, reason: &str) -> Restored {
    outcome(object, RestoreOutcome::Left { reason: reason.to_owned() }, None)
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
