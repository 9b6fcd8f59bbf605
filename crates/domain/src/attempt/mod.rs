//! A deployment attempt: one click of deploy, redeploy or roll back in one environment of a release (A1).

mod state;
mod transition;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use state::{AttemptState, AttemptStatus, OperationStatus};
pub use transition::{AttemptEvent, Refused, StagesVerdict};

use crate::ids::{AttemptId, ReleaseId};

/// Names one attempt: small enough to travel through an execution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRef {
    /// The release it belongs to.
    pub release: ReleaseId,
    /// The environment's name.
    pub environment: String,
    /// Counted from 1 in the environment of the release.
    pub number: u32,
}

/// What an attempt is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttemptKind {
    /// The first attempt in an environment.
    Deploy,
    /// A retry of an attempt that ended (H5, A1).
    Redeploy,
    /// Undoes another attempt (H6, V1, X4).
    Rollback {
        /// The attempt whose changes it takes back.
        undoes: AttemptRef,
        /// Why it was started.
        reason: RollbackReason,
        /// The stages to take back, in the order in which they are taken back.
        stages: Vec<String>,
    },
}

/// Why a rollback started (V2, V16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RollbackReason {
    /// The environment's policy, after a stage failed.
    StageFailed {
        /// What failed, and why.
        reason: String,
    },
    /// A person asked for it.
    Requested {
        /// Who.
        by: String,
    },
}

/// What may run inside an attempt (N12-N15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Control {
    /// New stages may start.
    Running,
    /// What runs comes to an end; nothing new starts.
    Stopping,
    /// Stopped.
    Stopped,
}

/// Whether stages that have not begun may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// They may.
    Open,
    /// Not now: it is paused, or waits for room.
    Held,
    /// Never, but for those that always run.
    Closed {
        /// Why.
        reason: String,
    },
}

/// What follows a cancel, once it has been carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackRequest {
    /// Who asked for it.
    pub by: String,
}

/// An attempt's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its id; its execution's name is derived from it.
    pub id: AttemptId,
    /// Where it belongs.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The application, for the lane and the deployment history.
    pub application: String,
    /// What it is for.
    pub kind: AttemptKind,
    /// Its state.
    pub state: AttemptState,
    /// What may run inside it.
    pub control: Control,
    /// The lease's fencing number while it holds the lane (X2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// How often its execution was started anew from the records.
    pub restarts: u32,
    /// The attempt that takes this one back, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<AttemptRef>,
    /// A rollback that was asked for while it ran (H6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_request: Option<RollbackRequest>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who or what created it.
    pub created_by: String,
    /// When its stages began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When all that follows its end was done: until then `sweep` looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Who changed it last (A21, A32).
    pub last_modified_by: String,
}

impl Attempt {
    /// The name of its present execution: starting it twice is harmless.
    #[must_use]
    pub fn execution_name(&self) -> String {
        format!("{}-{}", self.id, self.restarts)
    }

    /// Applies `event` at `now`, noting `by` as the one who changed it.
    ///
    /// # Errors
    /// [`Refused`] when the present state does not allow it.
    pub fn apply(&self, event: AttemptEvent, by: &str, now: Timestamp) -> Result<Self, Refused> {
        let state = self.state.apply(event)?;
        let mut next = self.clone();
        if state.status() == AttemptStatus::InProgress && next.started_at.is_none() {
            next.started_at = Some(now);
        }
        if state.is_terminal() {
            next.ended_at = Some(now);
        }
        next.control = match &state {
            AttemptState::Cancelling { .. } => Control::Stopping,
            AttemptState::CanceledBefore { .. } | AttemptState::CanceledAfter { .. } => Control::Stopped,
            _ => next.control,
        };
        next.state = state;
        by.clone_into(&mut next.last_modified_by);
        Ok(next)
    }

    /// Whether its stages that have not begun may begin.
    #[must_use]
    pub fn admission(&self) -> Admission {
        match self.control {
            Control::Running => Admission::Open,
            Control::Stopping | Control::Stopped => {
                Admission::Closed { reason: "the deployment was canceled".to_owned() }
            }
        }
    }

    /// Whether it takes another attempt back.
    #[must_use]
    pub fn is_rollback(&self) -> bool {
        matches!(self.kind, AttemptKind::Rollback { .. })
    }
}
