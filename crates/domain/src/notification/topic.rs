//! What may be told of, and how urgent it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::Control;
use crate::timeline::{Event, Happening};

/// Something in the life of a release that somebody may want to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A release was started.
    ReleaseStarted,
    /// A release was given up (A4).
    ReleaseAbandoned,
    /// An approval of a deployment waits for a person, or for another one than before.
    ApprovalRequested,
    /// A person approved or rejected.
    ApprovalDecided,
    /// Nobody decided in time.
    ApprovalExpired,
    /// A stage waits for a person (A24, T35).
    InterventionRequested,
    /// The stages of a deployment begin.
    DeploymentStarted,
    /// A deployment succeeded.
    DeploymentSucceeded,
    /// A deployment ended well but for a failure that is ignored (A30).
    DeploymentPartiallySucceeded,
    /// A deployment failed.
    DeploymentFailed,
    /// A deployment was rejected.
    DeploymentRejected,
    /// A deployment was cancelled.
    DeploymentCanceled,
    /// The gates of a deployment did not pass: it fails, or its approvers are asked (A35-A38).
    GatesFailed,
    /// A stage began.
    StageStarted,
    /// A stage succeeded.
    StageSucceeded,
    /// A stage failed.
    StageFailed,
    /// What a deployment changed is being taken back.
    RollbackStarted,
    /// It was taken back.
    RollbackSucceeded,
    /// It could not be taken back: somebody must look at once.
    RollbackFailed,
    /// A deployment does not start by itself: what it carries was taken back there (X4).
    EnvironmentHeld,
    /// The execution of a deployment was lost, and waits for somebody to resume it (N15).
    ExecutionInterrupted,
    /// The execution of a deployment was lost, and started anew from the records.
    ExecutionRestarted,
}

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something did not go as it should, and the system goes on by itself.
    Warning,
    /// Somebody must look at once: to be paged.
    Page,
}

impl Topic {
    /// How urgent it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::RollbackFailed | Self::ExecutionInterrupted => Severity::Page,
            Self::ApprovalExpired
            | Self::DeploymentPartiallySucceeded
            | Self::DeploymentFailed
            | Self::DeploymentRejected
            | Self::GatesFailed
            | Self::StageFailed
            | Self::RollbackStarted
            | Self::EnvironmentHeld
            | Self::ExecutionRestarted => Severity::Warning,
            _ => Severity::Info,
        }
    }

    /// Its name, as pipelines and messages write it: `deployment_failed`.
    #[must_use]
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl Event {
    /// What it is told as; `None`: it is noted in the timeline only.
    #[must_use]
    pub fn topic(&self) -> Option<Topic> {
        Some(match &self.what {
            Happening::ReleaseStarted { .. } | Happening::DraftStarted { .. } => Topic::ReleaseStarted,
            Happening::ReleaseAbandoned { .. } => Topic::ReleaseAbandoned,
            Happening::ApprovalRequested { .. } | Happening::ApprovalReassigned { .. } => match &self.stage {
                Some(_) => Topic::InterventionRequested,
                None => Topic::ApprovalRequested,
            },
            Happening::ApprovalDecided { .. } => Topic::ApprovalDecided,
            Happening::ApprovalExpired { .. } => Topic::ApprovalExpired,
            Happening::DeploymentStarted {} => Topic::DeploymentStarted,
            Happening::StageStarted { .. } => Topic::StageStarted,
            Happening::StageEnded { status, .. } => match status.as_str() {
                "succeeded" => Topic::StageSucceeded,
                "failed" => Topic::StageFailed,
                _ => return None,
            },
            Happening::DeploymentEnded { status, operation_status, rollback, .. } => {
                end(status, operation_status, *rollback)
            }
            Happening::GatesEnded { passed: false, .. } => Topic::GatesFailed,
            Happening::EnvironmentHeld { .. } => Topic::EnvironmentHeld,
            Happening::RollbackStarted { .. } => Topic::RollbackStarted,
            Happening::ControlChanged { control: Control::Interrupted, .. } => Topic::ExecutionInterrupted,
            Happening::ExecutionRestarted { .. } => Topic::ExecutionRestarted,
            _ => return None,
        })
    }
}

/// An end by its pair. A rollback that did not succeed leaves what nobody wanted, however it ended.
fn end(status: &str, operation_status: &str, rollback: bool) -> Topic {
    match (rollback, status, operation_status) {
        (true, "Succeeded", _) => Topic::RollbackSucceeded,
        (true, ..) => Topic::RollbackFailed,
        (false, "Succeeded", _) => Topic::DeploymentSucceeded,
        (false, "PartiallySucceeded", _) => Topic::DeploymentPartiallySucceeded,
        (false, _, "Canceled") => Topic::DeploymentCanceled,
        (false, _, "Rejected") => Topic::DeploymentRejected,
        (false, ..) => Topic::DeploymentFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_as_what_it_means() {
        let told = |rollback, status, operation| end(status, operation, rollback);
        assert_eq!(told(false, "Succeeded", "Approved"), Topic::DeploymentSucceeded);
        assert_eq!(
            told(false, "PartiallySucceeded", "PhasePartiallySucceeded"),
            Topic::DeploymentPartiallySucceeded
        );
        assert_eq!(told(false, "Failed", "PhaseFailed"), Topic::DeploymentFailed);
        assert_eq!(told(false, "NotDeployed", "Rejected"), Topic::DeploymentRejected);
        assert_eq!(told(false, "Failed", "Canceled"), Topic::DeploymentCanceled);
        assert_eq!(told(false, "NotDeployed", "GatesFailed"), Topic::DeploymentFailed);
        assert_eq!(told(true, "Succeeded", "Approved"), Topic::RollbackSucceeded);
    }

    #[test]
    fn a_rollback_that_does_not_succeed_pages_however_it_ends() {
        for (status, operation) in
            [("Failed", "PhaseFailed"), ("Failed", "Canceled"), ("PartiallySucceeded", "x")]
        {
            let topic = end(status, operation, true);
            assert_eq!((topic, topic.severity()), (Topic::RollbackFailed, Severity::Page));
        }
    }
}
