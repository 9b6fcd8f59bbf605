//! Deployment attempts outside their release: what an action came to, and an environment's history (H1).

use jiff::Timestamp;
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptRef, AttemptStatus, Control, OperationStatus};
use pilothouse_domain::ids::{AttemptId, ReleaseId};
use pilothouse_domain::settings::FreezeOverride;
use pilothouse_operations::view_release::{AttemptPurpose, purpose};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a deployment is to start; an empty body means: as the environment's schedule says (A14).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deploy {
    /// At this time, whatever the schedule says: in the future, at most 364 days ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// At once, whatever the schedule says; also starts a deployment that waits for its time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
    /// From which stage; from the start when absent (H5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DeployFrom>,
    /// Why it begins in spite of a freeze, before all others in line; needs the permission `administer` (X14). Also lets go a
    /// deployment that a freeze holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_freeze: Option<String>,
    /// Why, for the record, when it overrides a hold; at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a deployment begins (H5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeployFrom {
    /// With its first stages.
    Start,
    /// With the stages that failed and what comes after them: those that succeeded are taken over from the attempt before.
    Failed,
}

/// An attempt, without its stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The attempt's id.
    pub id: AttemptId,
    /// The release.
    pub release: ReleaseId,
    /// The environment.
    pub environment: String,
    /// Counted from 1 in the environment of the release.
    pub attempt: u32,
    /// What it is for.
    pub kind: AttemptPurpose,
    /// The broad class of its state (A12).
    pub status: AttemptStatus,
    /// The reason behind it (A12).
    pub operation_status: OperationStatus,
    /// What may run inside it (N15).
    pub control: Control,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who or what created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its stages began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The attempt that takes this one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<AttemptRef>,
    /// The attempt that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<AttemptRef>,
    /// The release whose hold it overrides (X4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<ReleaseId>,
    /// Who let it begin in spite of freezes, and why (X14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverride>,
    /// Who asked for the rollback that follows when its cancel is over (H6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_requested_by: Option<String>,
}

impl From<&Attempt> for Deployment {
    fn from(attempt: &Attempt) -> Self {
        let (status, operation_status) = attempt.state.pair();
        Self {
            id: attempt.id.clone(),
            release: attempt.at.release.clone(),
            environment: attempt.at.environment.clone(),
            attempt: attempt.at.number,
            kind: purpose(attempt),
            status,
            operation_status,
            control: attempt.control,
            reason: attempt.state.reason(),
            created_by: attempt.created_by.clone(),
            created_at: attempt.created_at,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            rolled_back_by: attempt.rolled_back_by.clone(),
            undoes: match &attempt.kind {
                AttemptKind::Rollback { undoes, .. } => Some(undoes.clone()),
                AttemptKind::Deploy | AttemptKind::Redeploy => None,
            },
            overrides: attempt.overrides.clone(),
            freeze_override: attempt.freeze_override.clone(),
            rollback_requested_by: attempt.rollback_request.as_ref().map(|request| request.by.clone()),
        }
    }
}

/// One row of an environment's deployment history (H1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The attempt.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// The pipeline that its release runs.
    pub pipeline: String,
    /// What its release carries.
    pub artifacts: Vec<Artifact>,
    /// What started its release.
    pub trigger: String,
    /// Whether it is what the environment is meant to run: the last that succeeded and was not taken back (V4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub current: bool,
}

/// Which part of the history to give.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// At most so many; 20 when absent, 100 at most.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
}
