//! The transition table of an attempt: one pure function from a state and an event to the next state or a refusal.
//!
//! | from | event | to |
//! |---|---|---|
//! | Queued | `LaneEntered` with approval | `PendingBefore` (A15) |
//! | Queued | `LaneEntered` without | `PhaseInProgress` (A22) |
//! | `PendingBefore` | `Approved` | `ApprovedBefore` (A16) |
//! | `PendingBefore` | `Rejected` | `RejectedBefore` (A17), final |
//! | `ApprovedBefore` | `StagesStarted` | `PhaseInProgress` (A22) |
//! | any `NotDeployed`, not final | `CancelRequested` | `CanceledBefore` (A21), final |
//! | `PhaseInProgress` | `InterventionOpened` | `ManualInterventionPending` (A24) |
//! | `ManualInterventionPending` | `InterventionAnswered` | `PhaseInProgress` |
//! | any `InProgress` but Cancelling | `CancelRequested` | Cancelling (A28) |
//! | `PhaseInProgress`, `ManualInterventionPending` | `StagesEnded` | Succeeded, `PartiallySucceeded`, `PhaseFailed` (A29-A31), final |
//! | Cancelling | `StagesEnded` | `CanceledAfter` (A32), final |
//! | any, not final | `MachineryFailed` | `PhaseFailed` or `CanceledBefore`, final |

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
}

/// What can happen to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEvent {
    /// It holds its environment's lease.
    LaneEntered {
        /// Whether an approval must be given before its stages start.
        needs_approval: bool,
    },
    /// The approval before deployment was given.
    Approved,
    /// The approval before deployment was refused, or expired.
    Rejected {
        /// By whom.
        by: String,
    },
    /// Its stages begin.
    StagesStarted,
    /// A stage waits for a person.
    InterventionOpened,
    /// No stage waits for a person any more.
    InterventionAnswered,
    /// Somebody asked to cancel it (H4).
    CancelRequested {
        /// Who.
        by: String,
    },
    /// All its stages are at an end.
    StagesEnded(StagesVerdict),
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
    fn action(&self) -> &'static str {
        match self {
            Self::LaneEntered { .. } => "enter the lane",
            Self::Approved => "approve",
            Self::Rejected { .. } => "reject",
            Self::StagesStarted => "start the stages",
            Self::InterventionOpened => "ask for an intervention",
            Self::InterventionAnswered => "answer the intervention",
            Self::CancelRequested { .. } => "cancel",
            Self::StagesEnded(_) => "end the stages",
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
        use AttemptEvent as E;
        if self.is_terminal() {
            return Err(self.refuse(&event));
        }
        let deploying = self.status() == AttemptStatus::InProgress;
        Ok(match (self, event) {
            (Self::Queued, E::LaneEntered { needs_approval: true }) => Self::PendingBefore,
            (Self::Queued, E::LaneEntered { needs_approval: false })
            | (Self::ApprovedBefore, E::StagesStarted) => Self::PhaseInProgress,
            (Self::PendingBefore, E::Approved) => Self::ApprovedBefore,
            (Self::PendingBefore, E::Rejected { by }) => Self::RejectedBefore { by },
            (Self::PhaseInProgress, E::InterventionOpened) => Self::ManualInterventionPending,
            (Self::ManualInterventionPending, E::InterventionAnswered) => Self::PhaseInProgress,
            (state, E::CancelRequested { by }) if !matches!(state, Self::Cancelling { .. }) => {
                if deploying {
                    Self::Cancelling { by }
                } else {
                    Self::CanceledBefore { by }
                }
            }
            (Self::PhaseInProgress | Self::ManualInterventionPending, E::StagesEnded(verdict)) => {
                match verdict {
                    StagesVerdict::Succeeded => Self::Succeeded,
                    StagesVerdict::PartiallySucceeded => Self::PartiallySucceeded,
                    StagesVerdict::Failed { reason } => Self::PhaseFailed { reason },
                }
            }
            (Self::Cancelling { by }, E::StagesEnded(_)) => Self::CanceledAfter { by: by.clone() },
            (Self::Cancelling { by }, E::MachineryFailed { .. }) => Self::CanceledAfter { by: by.clone() },
            (_, E::MachineryFailed { reason }) if deploying => Self::PhaseFailed { reason },
            (_, E::MachineryFailed { reason }) => {
                Self::CanceledBefore { by: format!("the system: {reason}") }
            }
            (_, event) => return Err(self.refuse(&event)),
        })
    }

    fn refuse(&self, event: &AttemptEvent) -> Refused {
        let (status, operation) = self.pair();
        Refused { action: event.action(), status, state: format!("{operation:?}") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = AttemptEvent> {
        let by = || "bob".to_owned();
        prop_oneof![
            any::<bool>().prop_map(|needs_approval| AttemptEvent::LaneEntered { needs_approval }),
            Just(AttemptEvent::Approved),
            Just(AttemptEvent::Rejected { by: by() }),
            Just(AttemptEvent::StagesStarted),
            Just(AttemptEvent::InterventionOpened),
            Just(AttemptEvent::InterventionAnswered),
            Just(AttemptEvent::CancelRequested { by: by() }),
            Just(AttemptEvent::StagesEnded(StagesVerdict::Succeeded)),
            Just(AttemptEvent::StagesEnded(StagesVerdict::Failed { reason: "x".into() })),
            Just(AttemptEvent::MachineryFailed { reason: "x".into() }),
        ]
    }

    proptest! {
        #[test]
        fn a_terminal_state_never_leaves(steps in proptest::collection::vec(events(), 1..30)) {
            let mut state = AttemptState::Queued;
            for event in steps {
                let next = state.apply(event);
                if state.is_terminal() {
                    prop_assert!(next.is_err());
                }
                if let Ok(next) = next {
                    state = next;
                }
            }
        }

        #[test]
        fn what_was_never_deployed_never_becomes_deployed_after_a_cancel(steps in proptest::collection::vec(events(), 1..30)) {
            let state = AttemptState::Queued.apply(AttemptEvent::CancelRequested { by: "bob".into() }).unwrap();
            for event in steps {
                prop_assert!(state.apply(event).is_err());
            }
        }
    }

    #[test]
    fn a_cancel_while_stages_run_is_carried_out_before_it_ends() {
        let running =
            AttemptState::Queued.apply(AttemptEvent::LaneEntered { needs_approval: false }).unwrap();
        let cancelling = running.apply(AttemptEvent::CancelRequested { by: "bob".into() }).unwrap();
        assert_eq!(cancelling, AttemptState::Cancelling { by: "bob".into() });
        let ended = cancelling.apply(AttemptEvent::StagesEnded(StagesVerdict::Succeeded)).unwrap();
        assert_eq!(ended, AttemptState::CanceledAfter { by: "bob".into() });
    }

    #[test]
    fn a_refusal_names_the_present_state() {
        let refused = AttemptState::Succeeded.apply(AttemptEvent::CancelRequested { by: "bob".into() });
        assert_eq!(refused.unwrap_err().to_string(), "cannot cancel: the deployment is Succeeded (Approved)");
    }
}
