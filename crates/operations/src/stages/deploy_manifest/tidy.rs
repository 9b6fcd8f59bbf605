//! What a deployment leaves to tidy up once its workloads run: objects that are in the manifests no more (`prune`), and
//! versions of ConfigMaps and Secrets that nothing needs any more.
//!
//! Everything that is deleted here is in the stage's snapshot; what is not, stays. What a stage has deployed is remembered in the cluster
//! itself, in a ConfigMap beside the objects: it is applied, snapshotted and taken back as they are.

use std::collections::BTreeSet;

use pilothouse_cluster::{ApplyOptions, Cluster, Manifest, ObjectRef, Provided, VersionedConfig, label};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Options, is_stored};
use crate::OperationError;
use crate::stages::workload::{self, Claims};
use crate::stages::{StageContext, rollout, steps};

/// The key of the inventory's data: one object a line.
const OBJECTS: &str = "objects";

/// What is to be tidied up when the workloads run; kept in the stage's action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tidy {
    /// The label of what the stage deploys.
    set: String,
    /// The ConfigMap that says what it has deployed; with `prune`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inventory: Option<ObjectRef>,
    /// The ConfigMaps and Secrets that it has named by their content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versioned: Vec<VersionedConfig>,
    /// How many versions stay.
    keep: usize,
    /// What is deployed now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    current: Vec<ObjectRef>,
}

/// The label of what a stage of a pipeline deploys to an environment: the same for every release.
fn set(stage: &StageContext<'_>) -> String {
    let release = stage.release;
    let parts = [&release.application, &release.pipeline, &stage.environment.name, &stage.run.stage];
    let hash = parts.iter().fold(Sha256::new(), |hash, part| {
        // A length before each: no two lists of names run into the same text.
        hash.chain_update(part.len().to_be_bytes()).chain_update(part.as_bytes())
    });
    hex::encode(&hash.finalize()[..8])
}

impl Tidy {
    /// What these manifests need tidied up afterwards, and `None` when nothing does. Labels them, so that they are found again.
    pub(super) fn of(
        stage: &StageContext<'_>,
        options: &Options,
        manifests: &mut [Manifest],
        versioned: Vec<VersionedConfig>,
    ) -> Option<Self> {
        if !options.prune && versioned.is_empty() {
            return None;
        }
        let set = set(stage);
        for manifest in manifests.iter_mut() {
            label(&mut manifest.content, "set", &set);
        }
        let namespace = stage.environment.namespace.as_str();
        let name = format!("pilothouse-inventory-{set}");
        let inventory = options.prune.then(|| ObjectRef::namespaced("v1", "ConfigMap", namespace, name));
        let current = manifests.iter().map(|manifest| manifest.object.clone()).collect();
        let keep = usize::try_from(options.keep_versions).unwrap_or(usize::MAX);
        Some(Self { set, inventory, versioned, keep, current })
    }

    /// The versions that other stages may refer to.
    pub(super) fn provides(&self) -> Vec<Provided> {
        let provided = |config: &VersionedConfig| Provided { config: config.clone(), set: self.set.clone() };
        self.versioned.iter().map(provided).collect()
    }

    /// Every object that tidying up may change or delete.
    pub(super) async fn touches(&self, cluster: &Cluster) -> Result<Vec<ObjectRef>, OperationError> {
        let mut all: Vec<ObjectRef> = self.inventory.iter().cloned().collect();
        all.extend(self.dropped(cluster).await?.into_iter().filter(ObjectRef::is_pruned));
        for config in &self.versioned {
            all.extend(cluster.old_versions(config, &self.set, self.keep).await?);
        }
        Ok(all)
    }

    /// What was deployed before and is in the manifests no more.
    async fn dropped(&self, cluster: &Cluster) -> Result<Vec<ObjectRef>, OperationError> {
        let now: BTreeSet<String> = self.current.iter().map(ObjectRef::fingerprint).collect();
        // A version that another has taken the place of is seen to as such.
        let is_version = |object: &ObjectRef| self.versioned.iter().any(|config| config.is_version(object));
        let before = self.inventoried(cluster).await?;
        Ok(before.into_iter().filter(|o| !now.contains(&o.fingerprint()) && !is_version(o)).collect())
    }

    /// What the inventory in the cluster lists.
    async fn inventoried(&self, cluster: &Cluster) -> Result<Vec<ObjectRef>, OperationError> {
        let Some(inventory) = &self.inventory else { return Ok(Vec::new()) };
        let live = cluster.get(inventory).await?.unwrap_or_default();
        let lines = live["data"][OBJECTS].as_str().unwrap_or_default().to_owned();
        Ok(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The inventory that remembers what was there and what is to come: applied before anything else, so that what a
    /// half-done deployment created is not forgotten.
    pub(super) async fn remember(&self, cluster: &Cluster) -> Result<Option<Manifest>, OperationError> {
        let dropped = self.dropped(cluster).await?;
        Ok(self.listing(&dropped))
    }

    fn listing(&self, more: &[ObjectRef]) -> Option<Manifest> {
        let inventory = self.inventory.clone()?;
        let lines: BTreeSet<String> =
            self.current.iter().chain(more).filter_map(|object| serde_json::to_string(object).ok()).collect();
        let lines: Vec<String> = lines.into_iter().collect();
        let mut content = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": inventory.name, "namespace": inventory.namespace, "annotations": {
                "pilothouse.dev/about": "what a stage with `prune` has deployed here; deleted, it forgets what to prune"}},
            "data": {OBJECTS: lines.join("\n")}
        });
        label(&mut content, "set", &self.set);
        Some(Manifest { object: inventory, content, document: 0, line: 0 })
    }

    /// Shows what would be deleted, in a cluster whose writes are rehearsed (X6).
    pub(super) async fn rehearse(&self, cluster: &Cluster) -> Result<(), OperationError> {
        for object in self.dropped(cluster).await?.iter().filter(|object| object.is_pruned()) {
            cluster.remove_of_set(object, &self.set).await?;
        }
        Ok(())
    }

    /// Deletes what is in the manifests no more, and versions that nothing needs; only what is in the snapshot. Gives what
    /// was deleted, and what there is to say.
    pub(super) async fn up(
        &self,
        stage: &StageContext<'_>,
    ) -> Result<(Vec<ObjectRef>, Vec<String>), OperationError> {
        let cluster = stage.cluster().await?;
        let mut notes = Vec::new();
        let mut left = Vec::new();
        let mut doomed = Vec::new();
        for object in self.dropped(&cluster).await? {
            match (object.is_pruned(), is_stored(stage, &object)) {
                (true, true) => doomed.push(object),
                (true, false) => left.push(object),
                (false, _) => {
                    notes.push(format!(
                        "{object} is in the manifests no more, and stays: delete it if it is not needed"
                    ));
                    left.push(object);
                }
            }
        }
        for (object, reason) in kept(stage, &cluster, &doomed).await? {
            doomed.retain(|other| *other != object);
            notes.push(format!("{object} is in the manifests no more, and stays: {reason}"));
            left.push(object);
        }
        doomed.extend(self.unneeded(stage, &cluster, &mut notes).await?);
        let mut deleted = Vec::new();
        for object in doomed {
            stage.context.check_fence(stage.attempt).await?;
            match cluster.remove_of_set(&object, &self.set).await {
                Ok(true) => deleted.push(object),
                Ok(false) => {}
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => {
                    notes.push(format!("{object} stays: {error}"));
                    left.push(object);
                }
            }
        }
        if let Some(listing) = self.listing(&left) {
            let apply = ApplyOptions { marks: rollout::marks(stage), ..ApplyOptions::default() };
            stage.context.check_fence(stage.attempt).await?;
            cluster.apply(&[listing], &apply).await?;
        }
        Ok((deleted, notes))
    }

    /// Old versions that no workload of the set refers to any more, nor anything that it may go back to.
    async fn unneeded(
        &self,
        stage: &StageContext<'_>,
        cluster: &Cluster,
        notes: &mut Vec<String>,
    ) -> Result<Vec<ObjectRef>, OperationError> {
        let mut old = Vec::new();
        for config in &self.versioned {
            old.extend(cluster.old_versions(config, &self.set, self.keep).await?);
        }
        old.retain(|object| is_stored(stage, object));
        let namespaces: BTreeSet<String> = old.iter().filter_map(|object| object.namespace.clone()).collect();
        let mut needed = BTreeSet::new();
        // Those of the kinds that every cluster has are found by their label.
        let custom =
            |object: &&ObjectRef| object.group().contains('.') && !object.group().ends_with(".k8s.io");
        let custom: Vec<ObjectRef> = self.current.iter().filter(custom).cloned().collect();
        for namespace in namespaces {
            match cluster.needed_configs(&namespace, &self.set, &custom).await {
                Ok(found) => needed.extend(found.iter().map(ObjectRef::fingerprint)),
                Err(error) if error.is_retryable() => return Err(error.into()),
                // Who cannot see what is needed deletes nothing.
                Err(error) => {
                    notes.push(format!("old versions in namespace {namespace} stay: {error}"));
                    old.retain(|object| object.namespace.as_deref() != Some(namespace.as_str()));
                }
            }
        }
        old.retain(|object| !needed.contains(&object.fingerprint()));
        Ok(old)
    }
}

/// What of this must not be deleted, and why: sets whose claims would go with them, and all of it when a Service that stays would be
/// left with too few ready endpoints; for what a workload needs goes when it goes.
async fn kept(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    doomed: &[ObjectRef],
) -> Result<Vec<(ObjectRef, String)>, OperationError> {
    let mut kept = Vec::new();
    for set in doomed.iter().filter(|object| object.kind == "StatefulSet") {
        let live = cluster.get(set).await?.unwrap_or_default();
        if workload::takes_claims(&live, Claims::Deleted) {
            kept.push((set.clone(), "its claims, and what is stored in them, would go with it".to_owned()));
        }
    }
    let goes = |object: &&ObjectRef| !kept.iter().any(|(other, _)| other == *object);
    let doomed: Vec<&ObjectRef> = doomed.iter().filter(goes).collect();
    let leaving: Vec<(ObjectRef, u32)> =
        doomed.iter().filter(|o| workload::has_pods(o)).map(|o| ((*o).clone(), 0)).collect();
    let gone = doomed.iter().map(|object| (*object).clone()).collect();
    if let Some(reason) = steps::joint_refusal(cluster, &leaving, &gone, stage.traffic_guard()).await? {
        kept.extend(doomed.into_iter().map(|object| (object.clone(), reason.clone())));
    }
    Ok(kept)
}

/// What the end of the stage says of it, in its output.
pub(super) fn told(output: &mut Value, deleted: &[ObjectRef], notes: Vec<String>) {
    if !deleted.is_empty() {
        output["deleted"] = json!(deleted);
    }
    let deleted = deleted.iter().map(|object| format!("deleted {object}"));
    let all: Vec<String> = deleted.chain(notes).collect();
    if !all.is_empty() {
        output["notes"] = json!(all);
    }
}
