//! An environment of a release: its status is derived from its latest attempt, and stored nowhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, AttemptKind, AttemptState, AttemptStatus};
use crate::pipeline::{EnvironmentSpec, Start};

/// The documents' statuses of an environment (A5-A11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the documents' own names, A5-A11 in order")]
pub enum EnvironmentStatus {
    NotStarted,
    InProgress,
    Succeeded,
    PartiallySucceeded,
    Canceled,
    Rejected,
    Failed,
    Queued,
    Scheduled,
}

impl EnvironmentStatus {
    /// The status that follows from the latest attempt, if there is one (A5-A12).
    #[must_use]
    pub fn derive(latest: Option<&Attempt>) -> Self {
        let Some(attempt) = latest else { return Self::NotStarted };
        match &attempt.state {
            AttemptState::Queued | AttemptState::QueuedForAgent | AttemptState::QueuedForPipeline => {
                Self::Queued
            }
            AttemptState::Scheduled { .. } | AttemptState::Deferred { .. } => Self::Scheduled,
            AttemptState::EvaluatingGatesBefore | AttemptState::GatesFailedBefore => Self::NotStarted,
            AttemptState::PendingBefore | AttemptState::ApprovedBefore => Self::InProgress,
            AttemptState::RejectedBefore { .. } | AttemptState::RejectedAfter { .. } => Self::Rejected,
            AttemptState::CanceledBefore { .. } | AttemptState::CanceledAfter { .. } => Self::Canceled,
            state => match state.status() {
                AttemptStatus::Succeeded => Self::Succeeded,
                AttemptStatus::PartiallySucceeded => Self::PartiallySucceeded,
                AttemptStatus::Failed => Self::Failed,
                AttemptStatus::InProgress | AttemptStatus::NotDeployed => Self::InProgress,
            },
        }
    }
}

/// The names of the environments that may start by themselves now: never attempted, automatic, and all that they
/// come after have ended in success by a deployment (not by a rollback).
#[must_use]
pub fn startable<'a>(environments: &'a [EnvironmentSpec], attempts: &[Attempt]) -> Vec<&'a EnvironmentSpec> {
    let latest =
        |name: &str| attempts.iter().filter(|a| a.at.environment == name).max_by_key(|a| a.at.number);
    let deployed = |name: &str| {
        latest(name).is_some_and(|a| a.state.is_success() && !matches!(a.kind, AttemptKind::Rollback { .. }))
    };
    environments
        .iter()
        .filter(|e| e.start == Start::Automatic && latest(&e.name).is_none())
        .filter(|e| e.after.iter().all(|before| deployed(before)))
        .collect()
}
