//! A deployment attempt: one click of deploy, redeploy or roll back in one environment of a release (A1).

mod carried;
mod control;
mod held;
mod hurdle;
mod rollback;
pub mod samples;
mod state;
mod transition;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use carried::{CarriedOver, carried_over};
pub use control::{Control, ControlEvent, ControlRefused};
pub use held::Held;
pub use hurdle::{Aftermath, Course, Hurdle};
pub use rollback::{ROLLBACK_TIMEOUT, RollbackPipeline, RollbackTerms, UndoStep};
pub use state::{AttemptState, AttemptStatus, OperationStatus};
pub use transition::{AttemptEvent, Refused, StagesVerdict};

use crate::ids::{AttemptId, ReleaseId};
use crate::settings::{FreezeOverride, Frozen};

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
        /// The stages to take back, in the order in which they are taken back; of its own attempt and of those before it
        /// that belong to the same chain. None when a rollback pipeline takes them back.
        #[serde(default)]
        stages: Vec<UndoStep>,
        /// What it works with beside them.
        #[serde(default)]
        terms: RollbackTerms,
    },
}

impl AttemptKind {
    /// `deploy`, `redeploy` or `rollback`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Redeploy => "redeploy",
            Self::Rollback { .. } => "rollback",
        }
    }
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
    /// The environment's policy, after the approval after deployment was refused, or expired (V2).
    ApprovalRejected {
        /// By whom.
        reason: String,
    },
    /// The environment's policy, after the gates after deployment did not pass (V2).
    GateFailed {
        /// Which did not pass, and why.
        reason: String,
    },
    /// The environment's policy, after somebody cancelled the deployment.
    Canceled {
        /// By whom.
        reason: String,
    },
    /// A person asked for it.
    Requested {
        /// Who.
        by: String,
        /// Whether fields that others changed since are taken back too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
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

/// How often an attempt's execution was lost lately: what keeps `sweep` from starting it for ever (X3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Losses {
    /// How often, since then.
    pub count: u32,
    /// When the first of them was noticed.
    pub since: Option<Timestamp>,
}

impl Losses {
    /// So many losses within an hour end the attempts to go on by itself.
    const MOST: u32 = 5;
    const WITHIN_SECONDS: i64 = 3600;

    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// With one more, noticed at `now`. One hour after the first the count begins anew.
    #[must_use]
    pub fn one_more(&self, now: Timestamp) -> Self {
        match self.since {
            Some(since) if now.as_second() - since.as_second() < Self::WITHIN_SECONDS => {
                Self { count: self.count + 1, since: Some(since) }
            }
            _ => Self { count: 1, since: Some(now) },
        }
    }

    /// Whether it was lost too often to be started again by itself.
    #[must_use]
    pub fn is_too_often(&self) -> bool {
        self.count > Self::MOST
    }
}

/// What follows a cancel, once it has been carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackRequest {
    /// Who asked for it.
    pub by: String,
    /// Whether fields that others changed since are taken back too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
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
    /// What it passed on its way to its stages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Hurdle>,
    /// The clusters of which it has a slot already, while it waits for one of another (X9).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<String>,
    /// Who paused, stopped or resumed it last (N12-N14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controlled_by: Option<String>,
    /// Why, when it was no person's wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_reason: Option<String>,
    /// While it is paused or interrupted: it is stopped when nobody has resumed it by then (X3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_by: Option<Timestamp>,
    /// For how long it was paused or interrupted since its stages began.
    #[serde(default, skip_serializing_if = "Held::is_none")]
    pub held: Held,
    /// How often its execution was lost within an hour.
    #[serde(default, skip_serializing_if = "Losses::is_none")]
    pub losses: Losses,
    /// The lease's fencing number while it holds the lane (X2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// How often its execution was started anew from the records.
    pub restarts: u32,
    /// The attempt that takes this one back, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<AttemptRef>,
    /// What keeps it from beginning, while something does (X14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// Who let it begin in spite of every freeze, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_override: Option<FreezeOverride>,
    /// A rollback that was asked for while it ran (H6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_request: Option<RollbackRequest>,
    /// What it takes over from an earlier attempt (H5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<CarriedOver>,
    /// The release whose hold was overridden by whoever started it (X4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<ReleaseId>,
    /// Why they did, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
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
        let approved = event == AttemptEvent::Approved;
        let asked_again = event == AttemptEvent::PlanChanged;
        let state = self.state.apply(event)?;
        let mut next = self.clone();
        let passes_gates = match self.state {
            // Who approves after the gates failed passes them too.
            AttemptState::GatesFailedBefore { .. } => approved,
            // The plan is looked at once they have passed: a gate is opened once.
            AttemptState::EvaluatingGatesBefore => asked_again,
            _ => false,
        };
        if passes_gates {
            next.passed.push(Hurdle::Gates);
        }
        if asked_again {
            // Who is asked for may take days: others have its slots meanwhile.
            next.slots.clear();
        }
        if state.status() == AttemptStatus::InProgress && next.started_at.is_none() {
            next.started_at = Some(now);
            next.held = Held::default();
        }
        if state.is_terminal() {
            next.ended_at = Some(now);
        }
        next.control = next.control.in_state(&state);
        next.held = next.held.under(next.control, now);
        next.forget_losses(self.control);
        if state.is_terminal() || !next.control.is_held() {
            next.resume_by = None;
        }
        next.state = state;
        by.clone_into(&mut next.last_modified_by);
        Ok(next)
    }

    /// Who ends an interruption lets the attempt go on, whatever for: it may lose as many executions again.
    fn forget_losses(&mut self, before: Control) {
        if before == Control::Interrupted && self.control != Control::Interrupted {
            self.losses = Losses::default();
        }
    }

    /// The attempt after it passed `hurdle` and, as `course` has it, waits for the next or begins its stages.
    ///
    /// # Errors
    /// [`Refused`] when the present state waits for no hurdle.
    pub fn clear(&self, hurdle: Hurdle, course: Course, by: &str, now: Timestamp) -> Result<Self, Refused> {
        let mut passed = self.passed.clone();
        if !passed.contains(&hurdle) {
            passed.push(hurdle);
        }
        let next = self.apply(AttemptEvent::Cleared { next: course.ahead(&passed) }, by, now)?;
        Ok(Self { passed, ..next })
    }

    /// Whether its stages that have not begun may begin.
    #[must_use]
    pub fn admission(&self) -> Admission {
        let who = || {
            let who = self.controlled_by.as_ref().unwrap_or(&self.last_modified_by);
            self.control_reason.as_ref().map_or_else(|| who.clone(), |why| format!("{who}: {why}"))
        };
        match (&self.state, self.control) {
            (AttemptState::Cancelling { by, .. }, _) => {
                Admission::Closed { reason: format!("the deployment was canceled by {by}") }
            }
            (_, Control::Stopping | Control::Stopped) => {
                Admission::Closed { reason: format!("the deployment was stopped by {}", who()) }
            }
            (AttemptState::QueuedForAgentAgain | AttemptState::QueuedForPipelineAgain, _)
            | (_, Control::Pausing | Control::Paused | Control::Interrupted) => Admission::Held,
            (_, Control::Running) => Admission::Open,
        }
    }

    /// Whether it is being cancelled: what runs is asked to end (A28).
    #[must_use]
    pub fn is_canceling(&self) -> bool {
        matches!(self.state, AttemptState::Cancelling { .. })
    }

    /// Whether it goes before others in line, and no freeze holds it: a rollback, or a deployment in spite of freezes.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.is_rollback() || self.freeze_override.is_some()
    }

    /// The hurdle that it waits for room at, if it waits for room.
    #[must_use]
    pub fn in_line_for(&self) -> Option<Hurdle> {
        match self.state {
            AttemptState::Queued => Some(Hurdle::Lane),
            AttemptState::QueuedForPipeline | AttemptState::QueuedForPipelineAgain => Some(Hurdle::Limit),
            AttemptState::QueuedForAgent | AttemptState::QueuedForAgentAgain => Some(Hurdle::Slot),
            _ => None,
        }
    }

    /// The attempt after it gave back, for as long as it is paused, what it took of the installation's limit and of its
    /// cluster's slots (A26, A27).
    #[must_use]
    pub fn without_room(&self) -> Self {
        let mut next = self.clone();
        next.passed.retain(|hurdle| !matches!(hurdle, Hurdle::Limit | Hurdle::Slot));
        next.slots.clear();
        next
    }

    /// Whether it takes another attempt back.
    #[must_use]
    pub fn is_rollback(&self) -> bool {
        matches!(self.kind, AttemptKind::Rollback { .. })
    }
}
