//! What an approver is shown when an approval is opened, and its hash: a decision can be bound to it (X6, X7).

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::artifact::Artifact;
use crate::attempt::{Attempt, AttemptState};
use crate::ids::ReleaseId;
use crate::release::Release;
use crate::stage::{StageRun, stages_of};

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
    /// What the deployment would do, where its approval is bound to that (X6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ShownPlan>,
    /// Which checks of the gate on that side did not pass, and why, when it asks nevertheless (A35, A37).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates_failed: Option<String>,
}

/// What a deployment would do, as an approver is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownPlan {
    /// The hash of the plan: another one means another plan.
    pub hash: String,
    /// One line for each change, and for each problem.
    pub lines: Vec<String>,
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
    /// What it came to, where it had ended when the approval was opened: `succeeded`, `failed: …` (A25).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

impl fmt::Display for ShownStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            None => write!(f, "{} ({})", self.name, self.stage_type),
            Some(outcome) => write!(f, "{} ({}; {outcome})", self.name, self.stage_type),
        }
    }
}

/// What a run has come to, with its reason; nothing while it goes on.
fn outcome(run: &StageRun) -> Option<String> {
    let name = run.status.is_terminal().then(|| run.status.name())?;
    Some(run.status.explanation().map_or_else(|| name.to_owned(), |why| format!("{name}: {why}")))
}

impl Shown {
    /// What is shown of `attempt` of `release`, whose stages have come to `runs` so far.
    #[must_use]
    pub fn of(release: &Release, attempt: &Attempt, runs: &[StageRun], instructions: Option<String>) -> Self {
        let environment = release.environment(&attempt.at.environment);
        let stages = stages_of(release, attempt).into_iter().map(|stage| ShownStage {
            outcome: runs.iter().find(|run| run.stage == stage.name).and_then(outcome),
            name: stage.name,
            stage_type: stage.stage_type,
        });
        Self {
            release: release.id.clone(),
            application: release.application.clone(),
            pipeline: release.pipeline.clone(),
            revision: release.revision,
            trigger: release.cause.summary(),
            artifacts: release.artifacts.clone(),
            parameters: release.parameters.clone(),
            environment: attempt.at.environment.clone(),
            cluster: environment
                .map(|e| e.clusters().into_iter().collect::<Vec<_>>().join(", "))
                .unwrap_or_default(),
            namespace: environment.map(|e| e.namespace.clone()).unwrap_or_default(),
            attempt: attempt.at.number,
            kind: attempt.kind.name().to_owned(),
            stages: stages.collect(),
            instructions,
            plan: None,
            gates_failed: match &attempt.state {
                AttemptState::GatesFailedBefore { reason, .. }
                | AttemptState::GatesFailedAfter { reason, .. } => Some(reason.clone()),
                _ => None,
            },
        }
    }

    /// Each fact for people, name and value; what goes wrong if nobody reads on comes first.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts: Vec<_> = self.gates_failed.iter().map(|why| ("gates failed", why.clone())).collect();
        facts.push(("release", self.release.to_string()));
        facts.push(("trigger", self.trigger.clone()));
        facts.push((
            "pipeline",
            format!("{}/{}, revision {}", self.application, self.pipeline, self.revision),
        ));
        facts
            .push(("environment", format!("{}, attempt {} ({})", self.environment, self.attempt, self.kind)));
        facts.push(("cluster", format!("{}, namespace {}", self.cluster, self.namespace)));
        facts.extend(self.artifacts.iter().map(|a| ("artifact", format!("{} = {}", a.name, a.reference()))));
        facts.extend(self.parameters.iter().map(|(name, value)| ("parameter", format!("{name} = {value}"))));
        facts.push(("stages", self.stages.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
        if let Some(plan) = &self.plan {
            facts.extend(plan.lines.iter().map(|line| ("plan", line.clone())));
        }
        facts.extend(self.instructions.iter().map(|text| ("instructions", text.clone())));
        facts
    }

    /// The hex SHA-256 of its JSON with sorted keys.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value.sort_all_objects();
        hex::encode(Sha256::digest(value.to_string().as_bytes()))
    }
}
