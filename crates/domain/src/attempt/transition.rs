//! The transition table of an attempt: one pure function from a state and an event to the next state or a refusal.
//!
//! | from | event | to |
//! |---|---|---|
//! | Scheduled, Queued, `QueuedForPipeline`, `EvaluatingGates` before, Approved, Deferred, `QueuedForAgent` | `Cleared` | what waits for the next hurdle (A13-A20, A34), or `PhaseInProgress` (A22) |
//! | Pending or `GatesFailed` before, when approval is asked | `Approved`, `Rejected` | Approved (A16), Rejected (A17, final) |
//! | Approved | `Deferred` | Deferred (A18) |
//! | Approved, Deferred, `QueuedForAgent`, `EvaluatingGates` before | `PlanChanged` | Pending (A15): what was approved is not what would be done (X6) |
//! | `EvaluatingGates` before | `GatesFailed` | `GatesFailed` (A35), final unless approval is asked |
//! | `PhaseInProgress` | `InterventionOpened` | `ManualInterventionPending` (A24) |
//! | `ManualInterventionPending` | `InterventionAnswered` | `PhaseInProgress` |
//! | `PhaseInProgress`, `ManualInterventionPending` | `Requeued` | `QueuedForPipeline`, `QueuedForAgent` (A26, A27) |
//! | that `QueuedForAgent`, paused again | `Requeued` | `QueuedForPipeline` (A27) |
//! | those two | `Cleared` | each other, `PhaseInProgress` |
//! | `PhaseInProgress`, `ManualInterventionPending`, and the two that wait again | `StagesEnded` | Succeeded, `PartiallySucceeded`, `PhaseFailed` (A29-A31, final), or `PhaseSucceeded` (A23) when something follows |
//! | `PhaseSucceeded` | `Followed` | `EvaluatingGates` after (A36), Pending after (A25) |
//! | `EvaluatingGates` after | `GatesPassed` | Pending after, Succeeded, `PartiallySucceeded` |
//! | `EvaluatingGates` after | `GatesFailed` | `GatesFailed` (A37 when approval is asked, else A38, final) |
//! | Pending or `GatesFailed` after | `Approved`, `Rejected` | Succeeded, `PartiallySucceeded`, Rejected (A33), final |
//! | any `NotDeployed`, not final | `CancelRequested` | Canceled (A21), final |
//! | `InProgress` with stages under way | `CancelRequested` | Cancelling (A28) |
//! | `InProgress` with stages behind it | `CancelRequested` | Canceled (A32), final |
//! | Cancelling | `StagesEnded` | Canceled (A32), final |
//! | any, not final | `MachineryFailed` | `PhaseFailed` or Canceled, final |

use jiff::Timestamp;

use super::hurdle::{Aftermath, Hurdle};
use super::state::{AttemptState, AttemptStatus};

/// What the stages of an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagesVerdict {
    /// Every stage that ran succeeded.
    Succeeded,
    /// A stage failed whose failure is ignored (T27 d, A30).
    PartiallySucceeded,
    /// A stage failed.
    Failed {
        /// Which, and why.
        reason: String,
    },
    /// Somebody stopped it, and what ran by then ended well (N12).
    Stopped {
        /// Who.
        by: String,
        /// Why, when it was not a person's wish.
        reason: Option<String>,
    },
}

/// What can happen to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEvent {
    /// It passed what it waited for.
    Cleared {
        /// What it waits for next; `None`: its stages begin.
        next: Option<Hurdle>,
    },
    /// The approval that it waits for was given.
    Approved,
    /// The approval was given for a later time (A18).
    Deferred {
        /// When it starts.
        until: Timestamp,
    },
    /// What it would do is not what was approved: it is asked again (X6).
    PlanChanged,
    /// The approval that it waits for was refused, or expired.
    Rejected {
        /// By whom.
        by: String,
    },
    /// The gates after deployment passed.
    GatesPassed {
        /// Whether an approval follows.
        needs_approval: bool,
    },
    /// The gates did not pass in their time.
    GatesFailed {
        /// Which, and why.
        reason: String,
        /// Whether an approval is asked nevertheless.
        asks: bool,
    },
    /// A stage waits for a person.
    InterventionOpened,
    /// No stage waits for a person any more.
    InterventionAnswered,
    /// It goes on after a pause, and must find room first (A26, A27).
    Requeued {
        /// [`Hurdle::Limit`] or [`Hurdle::Slot`].
        hurdle: Hurdle,
    },
    /// Somebody asked to cancel it (H4).
    CancelRequested {
        /// Who.
        by: String,
        /// Why, when it was not a person's wish.
        reason: Option<String>,
        /// When it ends, whatever still runs by then.
        until: Option<Timestamp>,
    },
    /// All its stages are at an end.
    StagesEnded {
        /// What they came to.
        verdict: StagesVerdict,
        /// What follows a success.
        then: Option<Aftermath>,
    },
    /// What follows its stages begins.
    Followed {
        /// What that is.
        then: Aftermath,
    },
    /// The machinery broke: no verdict can be had.
    MachineryFailed {
        /// What broke.
        reason: String,
    },
}

/// An event that the present state does not allow. The API shows it as 409 with the current state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: the deployment is {status:?} ({state})")]
pub struct Refused {
    /// What was asked for, in the imperative.
    pub action: &'static str,
    /// The broad class of the present state.
    pub status: AttemptStatus,
    /// The present state's name.
    pub state: String,
}

impl AttemptEvent {
    /// What it stands for, in the imperative.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Cleared { .. } => "move on",
            Self::Approved => "approve",
            Self::Deferred { .. } => "defer",
            Self::PlanChanged => "ask again",
            Self::Rejected { .. } => "reject",
            Self::GatesPassed { .. } => "pass the gates",
            Self::GatesFailed { .. } => "fail the gates",
            Self::InterventionOpened => "ask for an intervention",
            Self::InterventionAnswered => "answer the intervention",
            Self::Requeued { .. } => "wait for a slot again",
            Self::CancelRequested { .. } => "cancel",
            Self::StagesEnded { .. } => "end the stages",
            Self::Followed { .. } => "go on after the stages",
            Self::MachineryFailed { .. } => "fail",
        }
    }
}

impl AttemptState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`Refused`] when the table at the top of this file has no such row.
    pub fn apply(&self, event: AttemptEvent) -> Result<Self, Refused> {
        if self.is_terminal() {
            return Err(self.refuse(&event));
        }
        match self.status() {
            AttemptStatus::NotDeployed => self.before(event),
            _ => self.deploying(event),
        }
    }

    fn before(&self, event: AttemptEvent) -> Result<Self, Refused> {
        use AttemptEvent as E;
        Ok(match (self, event) {
            (_, E::CancelRequested { by, reason, .. }) => Self::CanceledBefore { by, reason },
            (_, E::MachineryFailed { reason }) => {
                Self::CanceledBefore { by: "the system".to_owned(), reason: Some(reason) }
            }
            (Self::PendingBefore | Self::GatesFailedBefore { .. }, E::Approved) => Self::ApprovedBefore,
            (Self::PendingBefore | Self::GatesFailedBefore { .. }, E::Rejected { by }) => {
                Self::RejectedBefore { by }
            }
            (Self::ApprovedBefore, E::Deferred { until }) => Self::Deferred { until },
            (
                Self::ApprovedBefore
                | Self::Deferred { .. }
                | Self::QueuedForAgent
                | Self::EvaluatingGatesBefore,
                E::PlanChanged,
            ) => Self::PendingBefore,
            (Self::EvaluatingGatesBefore, E::GatesFailed { reason, asks }) => {
                Self::GatesFailedBefore { reason, asks }
            }
            (_, E::Cleared { next }) if self.may_clear(next) => waiting_for(next),
            (_, event) => return Err(self.refuse(&event)),
        })
    }

    /// Whether the hurdle that this state stands for may be followed by `next`: hurdles are passed in one direction.
    fn may_clear(&self, next: Option<Hurdle>) -> bool {
        let rank = |hurdle| match hurdle {
            Hurdle::Schedule => 0,
            Hurdle::Lane => 1,
            Hurdle::Limit => 2,
            Hurdle::Gates | Hurdle::Approval => 3,
            Hurdle::Slot => 4,
        };
        let (here, other) = match self {
            Self::Scheduled { .. } => (0, None),
            Self::Queued => (1, None),
            Self::QueuedForPipeline => (2, None),
            Self::EvaluatingGatesBefore => (3, Some(Hurdle::Approval)),
            Self::ApprovedBefore | Self::Deferred { .. } => (3, Some(Hurdle::Gates)),
            Self::QueuedForAgent => (4, None),
            _ => return false,
        };
        next.is_none_or(|next| rank(next) > here || other == Some(next))
    }

    fn deploying(&self, event: AttemptEvent) -> Result<Self, Refused> {
        use AttemptEvent as E;
        Ok(match (self, event) {
            (Self::Cancelling { by, .. }, E::StagesEnded { .. } | E::MachineryFailed { .. }) => {
                Self::CanceledAfter { by: by.clone(), reason: None }
            }
            (_, E::MachineryFailed { reason }) => Self::PhaseFailed { reason },
            (state, E::CancelRequested { by, until, .. }) if state.has_stages_under_way() => {
                Self::Cancelling { by, until }
            }
            (state, E::CancelRequested { by, reason, .. }) if !matches!(state, Self::Cancelling { .. }) => {
                Self::CanceledAfter { by, reason }
            }
            (Self::PhaseInProgress, E::InterventionOpened) => Self::ManualInterventionPending,
            (Self::ManualInterventionPending, E::InterventionAnswered) => Self::PhaseInProgress,
            (
                Self::PhaseInProgress | Self::ManualInterventionPending | Self::QueuedForAgentAgain,
                E::Requeued { hurdle: Hurdle::Limit },
            ) => Self::QueuedForPipelineAgain,
            (
                Self::PhaseInProgress | Self::ManualInterventionPending,
                E::Requeued { hurdle: Hurdle::Slot },
            ) => Self::QueuedForAgentAgain,
            (Self::QueuedForPipelineAgain, E::Cleared { next: Some(Hurdle::Slot) }) => {
                Self::QueuedForAgentAgain
            }
            (Self::QueuedForPipelineAgain | Self::QueuedForAgentAgain, E::Cleared { next: None }) => {
                Self::PhaseInProgress
            }
            (state, E::StagesEnded { verdict, then }) if state.has_stages_under_way() => {
                stages_ended(verdict, then)
            }
            (_, event) => return self.following(event),
        })
    }

    /// What follows the stages: gates, then approval.
    fn following(&self, event: AttemptEvent) -> Result<Self, Refused> {
        use AttemptEvent as E;
        Ok(match (self, event) {
            (Self::PhaseSucceeded { partially }, E::Followed { then: Aftermath::Gates }) => {
                Self::EvaluatingGatesAfter { partially: *partially }
            }
            (Self::PhaseSucceeded { partially }, E::Followed { then: Aftermath::Approval })
            | (Self::EvaluatingGatesAfter { partially }, E::GatesPassed { needs_approval: true }) => {
                Self::PendingAfter { partially: *partially }
            }
            (Self::EvaluatingGatesAfter { partially }, E::GatesFailed { reason, asks: true }) => {
                Self::GatesFailedAfter { reason, partially: *partially }
            }
            (Self::EvaluatingGatesAfter { .. }, E::GatesFailed { reason, asks: false }) => {
                Self::GatesFailedFinally { reason }
            }
            (Self::EvaluatingGatesAfter { partially }, E::GatesPassed { needs_approval: false })
            | (Self::PendingAfter { partially } | Self::GatesFailedAfter { partially, .. }, E::Approved) => {
                succeeded(*partially)
            }
            (Self::PendingAfter { .. } | Self::GatesFailedAfter { .. }, E::Rejected { by }) => {
                Self::RejectedAfter { by }
            }
            (_, event) => return Err(self.refuse(&event)),
        })
    }

    fn has_stages_under_way(&self) -> bool {
        matches!(
            self,
            Self::PhaseInProgress
                | Self::ManualInterventionPending
                | Self::QueuedForPipelineAgain
                | Self::QueuedForAgentAgain
        )
    }

    fn refuse(&self, event: &AttemptEvent) -> Refused {
        let (status, operation) = self.pair();
        Refused { action: event.action(), status, state: format!("{operation:?}") }
    }
}

fn waiting_for(hurdle: Option<Hurdle>) -> AttemptState {
    match hurdle {
        None => AttemptState::PhaseInProgress,
        // An attempt is created as scheduled, or not at all: nothing precedes a schedule.
        Some(Hurdle::Schedule | Hurdle::Lane) => AttemptState::Queued,
        Some(Hurdle::Limit) => AttemptState::QueuedForPipeline,
        Some(Hurdle::Gates) => AttemptState::EvaluatingGatesBefore,
        Some(Hurdle::Approval) => AttemptState::PendingBefore,
        Some(Hurdle::Slot) => AttemptState::QueuedForAgent,
    }
}

fn stages_ended(verdict: StagesVerdict, then: Option<Aftermath>) -> AttemptState {
    let partially = match verdict {
        StagesVerdict::Succeeded => false,
        StagesVerdict::PartiallySucceeded => true,
        StagesVerdict::Failed { reason } => return AttemptState::PhaseFailed { reason },
        StagesVerdict::Stopped { by, reason } => return AttemptState::CanceledAfter { by, reason },
    };
    if then.is_some() { AttemptState::PhaseSucceeded { partially } } else { succeeded(partially) }
}

fn succeeded(partially: bool) -> AttemptState {
    if partially { AttemptState::PartiallySucceeded } else { AttemptState::Succeeded }
}

#[cfg(test)]
mod tests;
