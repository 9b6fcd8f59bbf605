//! Deletes objects, and waits until they are gone (T43, T55).

use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::changes::{self, Change, Source};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::transport::Call;

/// What becomes of what a deleted object owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cascade {
    /// It is deleted after the object.
    #[default]
    Background,
    /// It is deleted first, then the object.
    Foreground,
    /// It stays, without an owner.
    Orphan,
}

impl Cascade {
    fn policy(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

/// How to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteOptions {
    /// Deletes only the object of this uid: one that took its name since stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What becomes of what it owns.
    #[serde(default)]
    pub cascade: Cascade,
    /// Seconds that a Pod is given to end, instead of those that it asks for. A server ignores them for all other kinds, and for the pods
    /// that go with what is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
    /// Asks the server and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl Cluster {
    /// Asks for the object's deletion; gives the uid of what is being deleted, `None` when there is no such object. Finalizers and
    /// grace times may keep it for a while: see [`Cluster::gone`].
    ///
    /// # Errors
    /// [`ClusterError`]; `Changed` when the object was replaced by another of its name meanwhile.
    pub async fn delete(
        &self,
        object: &ObjectRef,
        options: &DeleteOptions,
    ) -> Result<Option<String>, ClusterError> {
        let operation = format!("delete {object}");
        let served = match self.served(&operation, object).await {
            Ok(served) => served,
            // Without its kind there is no object.
            Err(ClusterError::UnknownKind { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(live) = self.read(&operation, &served, object).await? else { return Ok(None) };
        let uid = object::uid(&live).to_owned();
        if options.uid.as_ref().is_some_and(|wanted| *wanted != uid) {
            return Ok(None);
        }
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": options.cascade.policy(),
            "preconditions": {"uid": uid}
        });
        if let Some(seconds) = options.grace_seconds {
            body["gracePeriodSeconds"] = Value::from(seconds);
        }
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let call = Call::delete(served.path(object), body).sensitive(object.is_secret());
        Ok(self.transport.call_opt(&operation, &call).await?.map(|_| uid))
    }

    /// Waits until the object is gone, or another has taken its name, at most for `within`; `false` when it is still there.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster denies reading.
    pub async fn gone(
        &self,
        object: &ObjectRef,
        uid: Option<&str>,
        within: Duration,
    ) -> Result<bool, ClusterError> {
        let operation = format!("wait until {object} is gone");
        let served = match self.served(&operation, object).await {
            Err(ClusterError::UnknownKind { .. }) => return Ok(true),
            served => served?,
        };
        let query = vec![("fieldSelector", format!("metadata.name={}", object.name))];
        let path = served.collection(object.namespace.as_deref());
        let mut changes = changes::changes(self.transport.clone(), Source { operation, path, query });
        let is_it = |live: &Value| uid.is_none_or(|uid| object::uid(live) == uid);
        let watch = async {
            while let Some(change) = changes.next().await {
                match change {
                    Change::All(items) if !items.iter().any(is_it) => return Ok(()),
                    Change::Set(live) if !is_it(&live) => return Ok(()),
                    Change::Gone(_) => return Ok(()),
                    Change::Trouble(error) if !error.is_retryable() => return Err(error),
                    Change::All(_) | Change::Set(_) | Change::Trouble(_) => {}
                }
            }
            Ok(())
        };
        match tokio::time::timeout(within, watch).await {
            Ok(ended) => ended.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}
