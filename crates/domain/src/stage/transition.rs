//! The transition table of a stage's run: one pure function from a status and an event to the next or a refusal.
//!
//! | from | event | to |
//! |---|---|---|
//! | not begun | `Begun` | Running |
//! | not begun | `Ended` as Skipped (T31), `NotRun` (T27) or Failed (T30) | that, final |
//! | Running | `Asked` | `AwaitingAnswer` (T35, T37) |
//! | Running, `AwaitingAnswer` | `Ended` as Succeeded, Failed or Canceled | that, final |

use super::StageStatus;
use crate::ids::ApprovalId;

/// What can happen to a stage's run.
#[derive(Debug, Clone, PartialEq)]
pub enum StageEvent {
    /// Its first action is about to be taken.
    Begun,
    /// It waits for an answer.
    Asked {
        /// The approval record, when a decision is asked for.
        approval: Option<ApprovalId>,
    },
    /// It is at its end.
    Ended(StageStatus),
}

/// An event that the present status does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: the stage is {status}")]
pub struct StageRefused {
    /// What was asked for, in the imperative.
    pub action: String,
    /// The present status's name.
    pub status: &'static str,
}

impl StageStatus {
    /// The status of a stage that has not begun after `event`.
    ///
    /// # Errors
    /// [`StageRefused`] when the table at the top of this file has no such row.
    pub fn first(event: StageEvent) -> Result<Self, StageRefused> {
        match event {
            StageEvent::Begun => Ok(Self::Running),
            StageEvent::Ended(end @ (Self::Skipped { .. } | Self::NotRun { .. } | Self::Failed { .. })) => {
                Ok(end)
            }
            event => Err(refuse(&event, "notStarted")),
        }
    }

    /// The status after `event`.
    ///
    /// # Errors
    /// [`StageRefused`] when the table at the top of this file has no such row.
    pub fn apply(&self, event: StageEvent) -> Result<Self, StageRefused> {
        match (self, event) {
            (Self::Running, StageEvent::Asked { approval }) => Ok(Self::AwaitingAnswer { approval }),
            (
                Self::Running | Self::AwaitingAnswer { .. },
                StageEvent::Ended(end @ (Self::Succeeded | Self::Failed { .. } | Self::Canceled { .. })),
            ) => Ok(end),
            (_, event) => Err(refuse(&event, self.name())),
        }
    }
}

fn refuse(event: &StageEvent, status: &'static str) -> StageRefused {
    let action = match event {
        StageEvent::Begun => "begin".to_owned(),
        StageEvent::Asked { .. } => "ask".to_owned(),
        StageEvent::Ended(end) => format!("end as {}", end.name()),
    };
    StageRefused { action, status }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn statuses() -> Vec<StageStatus> {
        vec![
            StageStatus::Running,
            StageStatus::AwaitingAnswer { approval: None },
            StageStatus::Succeeded,
            StageStatus::Skipped { reason: "if".to_owned() },
            StageStatus::NotRun { reason: "x".to_owned() },
            StageStatus::Failed { reason: "no".to_owned(), evidence: None },
            StageStatus::Canceled { by: "bob".to_owned(), left: None },
        ]
    }

    fn events() -> Vec<StageEvent> {
        let first = [StageEvent::Begun, StageEvent::Asked { approval: None }];
        first.into_iter().chain(statuses().into_iter().map(StageEvent::Ended)).collect()
    }

    #[test]
    fn only_the_tables_rows_are_there() {
        let ends = |from: &str| -> &[&str] {
            match from {
                "notStarted" => &["running", "skipped", "notRun", "failed"],
                "running" => &["awaitingAnswer", "succeeded", "failed", "canceled"],
                "awaitingAnswer" => &["succeeded", "failed", "canceled"],
                _ => &[],
            }
        };
        for from in statuses() {
            let to: Vec<&str> =
                events().into_iter().filter_map(|e| from.apply(e).ok()).map(|s| s.name()).collect();
            assert_eq!(to, ends(from.name()), "from {}", from.name());
        }
        let to: Vec<&str> =
            events().into_iter().filter_map(|e| StageStatus::first(e).ok()).map(|s| s.name()).collect();
        assert_eq!(to, ends("notStarted"));
    }

    proptest! {
        #[test]
        fn a_terminal_status_never_leaves(steps in proptest::collection::vec(0..9usize, 1..20)) {
            let mut status = StageStatus::first(StageEvent::Begun).unwrap();
            for step in steps {
                let next = status.apply(events()[step].clone());
                if status.is_terminal() {
                    prop_assert!(next.is_err());
                }
                status = next.unwrap_or(status);
            }
        }
    }

    #[test]
    fn a_refusal_names_the_event_and_the_present_status() {
        let refused = StageStatus::Succeeded.apply(StageEvent::Ended(StageStatus::Succeeded)).unwrap_err();
        assert_eq!(refused.to_string(), "cannot end as succeeded: the stage is succeeded");
        assert_eq!(
            StageStatus::first(events()[1].clone()).unwrap_err().to_string(),
            "cannot ask: the stage is notStarted"
        );
    }
}
