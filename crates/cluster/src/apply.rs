//! Server-side apply of manifests, in the order of their dependencies.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::FIELD_MANAGER;
use crate::cluster::Cluster;
use crate::discovery::Served;
use crate::error::ClusterError;
use crate::manifest::Manifest;
use crate::marks::{self, Marks, RESTARTED_AT};
use crate::object::ObjectRef;
use crate::order;
use crate::owned_fields;
use crate::transport::Call;

/// How to apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyOptions {
    /// Checks everything on the server, admission included, and changes nothing.
    pub dry_run: bool,
    /// Takes over fields that other managers own, instead of failing with [`ClusterError::Conflict`].
    pub force: bool,
    /// What is written on each object.
    pub marks: Marks,
}

/// One object as it was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Which one, with the namespace it really has.
    pub object: ObjectRef,
    /// Its version in the cluster's history.
    pub resource_version: String,
    /// Number of its specification; 0 for kinds without one. What `observe` waits for.
    pub generation: i64,
    /// Whether anything but the marks differs from before. Under `dry_run`: whether it would.
    pub changed: bool,
}

/// How long a kind may take to appear after its definition was applied.
const NEW_KIND: Duration = Duration::from_secs(15);
/// Between two tries for a kind that was just defined. There is nothing to watch: discovery is a plain document.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Cluster {
    /// Applies the manifests with the field manager [`FIELD_MANAGER`], those first that others refer to.
    ///
    /// Stops at the first failure; what was applied before stays applied (a snapshot undoes it). Repeating it is harmless:
    /// an object that is already as wanted keeps its generation.
    ///
    /// # Errors
    /// [`ClusterError`], naming the object; `Conflict` when another manager owns a field and `force` is not set.
    pub async fn apply(
        &self,
        manifests: &[Manifest],
        options: &ApplyOptions,
    ) -> Result<Vec<Applied>, ClusterError> {
        let mut applied = Vec::with_capacity(manifests.len());
        let mut defined: Vec<(&str, &str)> = Vec::new();
        for manifest in order::sorted(manifests) {
            let new_kind = defined.contains(&(manifest.object.group(), manifest.object.kind.as_str()));
            applied.push(self.apply_one(manifest, options, new_kind && !options.dry_run).await?);
            defined.extend(defined_kind(&manifest.content));
        }
        Ok(applied)
    }

    async fn apply_one(
        &self,
        manifest: &Manifest,
        options: &ApplyOptions,
        new_kind: bool,
    ) -> Result<Applied, ClusterError> {
        let end = Instant::now() + NEW_KIND;
        let operation = format!("apply {}", manifest.object);
        loop {
            // Where somebody wrote in the same moment, the server decides afresh about every field and its owner: repeating
            // overrules nobody.
            let retry = &self.transport.retry;
            match retry.afresh(&operation, || self.apply_once(&operation, manifest, options)).await {
                // Its definition was applied a moment ago; the server takes a while to serve it.
                Err(ClusterError::UnknownKind { .. } | ClusterError::NotFound { .. })
                    if new_kind && Instant::now() < end =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                other => return other,
            }
        }
    }

    async fn apply_once(
        &self,
        operation: &str,
        manifest: &Manifest,
        options: &ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        let served = self.served(operation, &manifest.object).await?;
        let mut content = manifest.content.clone();
        options.marks.write(&mut content);
        let object = scoped(&manifest.object, &served, &mut content);
        let before = self.read(operation, &served, &object).await?;
        if let Some(before) = &before {
            keep_replicas(&mut content, before);
            keep_restart(&mut content, before);
        }
        refuse_too_large(operation, &content)?;
        let flags = ApplyFlags { dry_run: options.dry_run, force: options.force, strict: true };
        let after = self.apply_as(FIELD_MANAGER, operation, &served, &object, content, flags).await?;
        Ok(applied(object, before.as_ref(), &after))
    }

    /// One server-side apply. Returns the object as the server left it.
    pub(crate) async fn apply_as(
        &self,
        manager: &str,
        operation: &str,
        served: &Served,
        object: &ObjectRef,
        content: Value,
        flags: ApplyFlags,
    ) -> Result<Value, ClusterError> {
        let call = Call::apply(served.path(object), content)
            .query("fieldManager", manager)
            .query_if(flags.force, "force", "true")
            .query_if(flags.dry_run, "dryRun", "All")
            .query_if(flags.strict, "fieldValidation", "Strict")
            .sensitive(object.is_secret());
        self.transport.call(operation, &call).await
    }
}

/// The switches of one server-side apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplyFlags {
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    /// Refuses unknown fields: right for what a person wrote, not for what was read back.
    pub(crate) strict: bool,
}

pub(crate) fn applied(object: ObjectRef, before: Option<&Value>, after: &Value) -> Applied {
    Applied {
        object,
        resource_version: after["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
        generation: after["metadata"]["generation"].as_i64().unwrap_or(0),
        changed: before.is_none_or(|before| marks::differ(before, after)),
    }
}

/// The most bytes of one object that a cluster stores, unless its etcd is told otherwise: 1.5 MiB.
const LARGEST: usize = 1_572_864;

/// Sent, it would travel in vain, and some servers answer with 500, as if it might pass.
fn refuse_too_large(operation: &str, content: &Value) -> Result<(), ClusterError> {
    match content.to_string().len() {
        bytes if bytes > LARGEST => Err(ClusterError::Invalid {
            operation: operation.to_owned(),
            message: format!(
                "it has {} KB, and a cluster stores at most {} KB of one object: split it",
                bytes / 1000,
                LARGEST / 1000
            ),
        }),
        _ => Ok(()),
    }
}

/// A manifest that leaves the number of pods open leaves it as it is. If we have scaled the workload before, that number is
/// ours alone, and leaving it out would let the server fall back to 1.
fn keep_replicas(content: &mut Value, live: &Value) {
    let owned = owned_fields::owned_by(live, FIELD_MANAGER);
    if content["spec"].is_object()
        && content["spec"]["replicas"].is_null()
        && !owned["f:spec"]["f:replicas"].is_null()
        && live["spec"]["replicas"].is_u64()
    {
        content["spec"]["replicas"] = live["spec"]["replicas"].clone();
    }
}

/// A manifest leaves a restart as it is: taking its annotation out of the pods' template would restart them once more, by
/// itself and whatever else the manifest says.
fn keep_restart(content: &mut Value, live: &Value) {
    let at = &live["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT];
    let owned = owned_fields::owned_by(live, FIELD_MANAGER);
    let ours = &owned["f:spec"]["f:template"]["f:metadata"]["f:annotations"][format!("f:{RESTARTED_AT}")];
    if !content["spec"]["template"].is_object() || ours.is_null() || !at.is_string() {
        return;
    }
    let annotations = &mut content["spec"]["template"]["metadata"]["annotations"];
    if annotations.is_null() || annotations.is_object() {
        annotations[RESTARTED_AT] = at.clone();
    }
}

/// Takes away a namespace from an object of a kind that lives in none.
fn scoped(object: &ObjectRef, served: &Served, content: &mut Value) -> ObjectRef {
    let mut object = object.clone();
    if !served.namespaced {
        object.namespace = None;
        if let Some(metadata) = content["metadata"].as_object_mut() {
            metadata.shift_remove("namespace");
        }
    }
    object
}

/// Group and kind that a CustomResourceDefinition defines.
fn defined_kind(content: &Value) -> Option<(&str, &str)> {
    (content["kind"] == "CustomResourceDefinition")
        .then(|| Some((content["spec"]["group"].as_str()?, content["spec"]["names"]["kind"].as_str()?)))?
}
