//! What an approver is shown when an approval is opened, and its hash: a decision can be bound to it (X6, X7).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::artifact::Artifact;
use crate::attempt::{Attempt, AttemptKind};
use crate::ids::ReleaseId;
use crate::release::Release;
use crate::stage::stages_of;

/// What an approver is shown. Its hash changes with every part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The release.
    pub release: ReleaseId,
    /// The application.
    pub application: String,
    /// The pipeline.
    pub pipeline: String,
    /// Its revision.
    pub revision: u32,
    /// What started the release, in one phrase.
    pub trigger: String,
    /// What is deployed, with digests.
    pub artifacts: Vec<Artifact>,
    /// The launch parameters.
    pub parameters: BTreeMap<String, String>,
    /// The environment.
    pub environment: String,
    /// Its cluster account.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// The attempt's number.
    pub attempt: u32,
    /// What the attempt is for: `deploy`, `redeploy`, `rollback`.
    pub kind: String,
    /// The stages of the attempt, in the pipeline's order.
    pub stages: Vec<ShownStage>,
    /// What to look at first, with its expressions evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// A stage as an approver is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownStage {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub stage_type: String,
}

impl Shown {
    /// What is shown of `attempt` of `release`.
    #[must_use]
    pub fn of(release: &Release, attempt: &Attempt, instructions: Option<String>) -> Self {
        let environment = release.environment(&attempt.at.environment);
        let stages = stages_of(release, attempt).into_iter();
        Self {
            release: release.id.clone(),
            application: release.application.clone(),
            pipeline: release.pipeline.clone(),
            revision: release.revision,
            trigger: release.cause.summary(),
            artifacts: release.artifacts.clone(),
            parameters: release.parameters.clone(),
            environment: attempt.at.environment.clone(),
            cluster: environment.map(|e| e.cluster.clone()).unwrap_or_default(),
            namespace: environment.map(|e| e.namespace.clone()).unwrap_or_default(),
            attempt: attempt.at.number,
            kind: match attempt.kind {
                AttemptKind::Deploy => "deploy",
                AttemptKind::Redeploy => "redeploy",
                AttemptKind::Rollback { .. } => "rollback",
            }
            .to_owned(),
            stages: stages.map(|s| ShownStage { name: s.name, stage_type: s.stage_type }).collect(),
            instructions,
        }
    }

    /// The hex SHA-256 of its JSON with sorted keys.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value.sort_all_objects();
        hex::encode(Sha256::digest(value.to_string().as_bytes()))
    }
}
