//! The run of one stage in one attempt, and the pure decisions about stages: what may start, and what they came to.

mod flow;
mod plan;
mod transition;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use flow::{Readiness, StageOutcomes, aborted_by, readiness, verdict};
pub use plan::{UNDO, stages_of, undo_names};
pub use transition::{StageEvent, StageRefused};

use crate::attempt::AttemptRef;
use crate::ids::{ApprovalId, StageRunId};

/// Where a stage's run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum StageStatus {
    /// Its first action is under way or done, and it is watched until it ends.
    Running,
    /// It waits for a person: a manual judgment (T35) or the end of a wait (T37).
    AwaitingAnswer {
        /// The approval record, when a decision is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalId>,
    },
    /// It ended well.
    Succeeded,
    /// Its condition was false (T31): what depends on it goes on.
    Skipped {
        /// The condition.
        reason: String,
    },
    /// It never started, because of what happened before it (T27): what depends on it does not start either.
    NotRun {
        /// What happened.
        reason: String,
    },
    /// It failed.
    Failed {
        /// Why, in one sentence.
        reason: String,
        /// What proves it: the pod, its state and event (X10).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<Value>>,
    },
    /// It was cancelled while it ran.
    Canceled {
        /// Who cancelled it.
        by: String,
        /// What it left behind, where it had changed something: "Deployment dev/web: 1 of 2 pods updated, left as it is".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<String>,
    },
}

impl StageStatus {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Running | Self::AwaitingAnswer { .. })
    }

    /// The status's name as it is shown and stored.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::AwaitingAnswer { .. } => "awaitingAnswer",
            Self::Succeeded => "succeeded",
            Self::Skipped { .. } => "skipped",
            Self::NotRun { .. } => "notRun",
            Self::Failed { .. } => "failed",
            Self::Canceled { .. } => "canceled",
        }
    }

    /// Why, where the status says so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Skipped { reason } | Self::NotRun { reason } | Self::Failed { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Why, and for one that was cancelled by whom and what it left behind: a sentence for people.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        match self {
            Self::Canceled { by, left: None } => Some(format!("canceled by {by}")),
            Self::Canceled { by, left: Some(left) } => Some(format!("canceled by {by}: {left}")),
            status => status.reason().map(str::to_owned),
        }
    }
}

/// A stage run's record. It exists from the moment the stage begins, or is passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageRun {
    /// Its id.
    pub id: StageRunId,
    /// The attempt it belongs to.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The stage's name in the pipeline; `undo NAME` in a rollback.
    pub stage: String,
    /// The stage's type.
    #[serde(rename = "type")]
    pub stage_type: String,
    /// The cluster account that it acts on; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub status: StageStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it must have ended (T29).
    pub deadline: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it stands just now, for people: "1 of 2 pods ready".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The stage's options with their expressions evaluated (X11: once, when it begins).
    #[serde(default)]
    pub options: Value,
    /// What it was going to do, step by step, decided before anything was changed and stored with the snapshot; null for a
    /// type that acts in one step.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub plan: Value,
    /// What its first action did: what `observe` and `undo` need to know.
    #[serde(default)]
    pub action: Value,
    /// What later stages may read: `stages["Name"].output`.
    #[serde(default)]
    pub output: Value,
    /// Whether a snapshot of what it changed is stored (invariant 9).
    #[serde(default)]
    pub has_snapshot: bool,
    /// Which objects that snapshot is of, each as a short hash of its address: a rollback asks this of many stages, and reads
    /// the snapshot of one. Empty in records of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touched: Vec<String>,
    /// The attempt in which it ran, when this one took it over and did not run it again (H5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<u32>,
}

impl StageRun {
    /// The run after `event` happened to it at `now`.
    ///
    /// # Errors
    /// [`StageRefused`] when its present status does not allow it.
    pub fn apply(&self, event: StageEvent, now: Timestamp) -> Result<Self, StageRefused> {
        let status = self.status.apply(event)?;
        let mut next = Self { status, ..self.clone() };
        if next.status.is_terminal() {
            next.ended_at = Some(now);
            next.progress = None;
        }
        Ok(next)
    }

    /// What else there is to know of how it ended: `notes` of its output.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let notes = self.output["notes"].as_array().into_iter().flatten();
        notes.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Whether it failed because its time was over.
    #[must_use]
    pub fn ran_out_of_time(&self) -> bool {
        let overdue = self.ended_at.is_some_and(|ended| ended >= self.deadline);
        matches!(self.status, StageStatus::Failed { .. }) && self.started_at < self.deadline && overdue
    }
}
