//! The transition table of a release: one pure function from a status and an event to the next status or a refusal.
//!
//! | from | event | to |
//! |---|---|---|
//! | Draft | `Edited` | Draft (A2) |
//! | Draft | `Started` | Active (A3) |
//! | Active | `ActedIn` (deploy, approve, cancel, roll back …) | Active (A3) |
//! | Draft, Active with nothing under way | `Abandoned` | Abandoned (A4), final |

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a release may still act (A2-A4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReleaseStatus {
    /// Editable, nothing started (A2).
    Draft,
    /// Deployments run, or wait for a trigger; its artifacts cannot change (A3).
    Active,
    /// Final: no action is allowed (A4).
    Abandoned,
}

/// What can happen to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseEvent {
    /// Its artifacts, parameters or skipped environments change.
    Edited,
    /// Its first environments start.
    Started,
    /// Somebody does something in it.
    ActedIn {
        /// What, in the imperative: `deploy`.
        action: &'static str,
    },
    /// It is given up for good.
    Abandoned {
        /// The environments in which something is under way.
        under_way: Vec<String>,
    },
}

/// An event that the present status does not allow. The API shows it as 409.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: {reason}; {hint}")]
pub struct ReleaseRefused {
    /// What was asked for, in the imperative.
    pub action: &'static str,
    /// The present status.
    pub status: ReleaseStatus,
    /// Why not.
    pub reason: String,
    /// What to do instead.
    pub hint: &'static str,
}

impl ReleaseEvent {
    const fn action(&self) -> &'static str {
        match self {
            Self::Edited => "edit the release",
            Self::Started => "start the release",
            Self::ActedIn { action } => action,
            Self::Abandoned { .. } => "abandon the release",
        }
    }
}

impl ReleaseStatus {
    /// The status after `event`.
    ///
    /// # Errors
    /// [`ReleaseRefused`] when the table at the top of this file has no such row.
    pub fn apply(self, event: &ReleaseEvent) -> Result<Self, ReleaseRefused> {
        use ReleaseEvent as E;
        match (self, event) {
            (Self::Draft, E::Edited) => Ok(Self::Draft),
            (Self::Draft, E::Started) | (Self::Active, E::ActedIn { .. }) => Ok(Self::Active),
            (Self::Draft | Self::Active, E::Abandoned { under_way }) if under_way.is_empty() => {
                Ok(Self::Abandoned)
            }
            _ => Err(self.refuse(event)),
        }
    }

    /// Whether nothing follows: no event leads out of it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Abandoned)
    }

    fn refuse(self, event: &ReleaseEvent) -> ReleaseRefused {
        use ReleaseEvent as E;
        let (reason, hint) = match (self, event) {
            (Self::Abandoned, _) => {
                ("the release is abandoned, which is final".to_owned(), "start a new one")
            }
            (_, E::Abandoned { under_way }) => (
                format!("something is under way in {}", under_way.join(", ")),
                "cancel it first, and wait for its end",
            ),
            (Self::Active, E::Edited) => (
                "the release is active, and what it carries cannot change any more".to_owned(),
                "start a new release",
            ),
            (Self::Active, _) => {
                ("the release was started before".to_owned(), "see `pilothouse release show`")
            }
            (Self::Draft, _) => (
                "the release is a draft, and nothing of it was started".to_owned(),
                "start it with `pilothouse release activate`",
            ),
        };
        ReleaseRefused { action: event.action(), status: self, reason, hint }
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Abandoned => "abandoned",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ReleaseEvent as E;
    use super::ReleaseStatus::{Abandoned, Active, Draft};
    use super::*;

    fn events() -> [E; 5] {
        [
            E::Edited,
            E::Started,
            E::ActedIn { action: "deploy" },
            E::Abandoned { under_way: Vec::new() },
            E::Abandoned { under_way: vec!["prod".to_owned()] },
        ]
    }

    #[test]
    fn every_pair_of_status_and_event_is_as_in_the_table() {
        // Rows: A2, A3, A4. Columns: edited, started, acted in, abandoned at rest, abandoned under way.
        let table = [
            (Draft, [Some(Draft), Some(Active), None, Some(Abandoned), None]),
            (Active, [None, None, Some(Active), Some(Abandoned), None]),
            (Abandoned, [None; 5]),
        ];
        for (from, row) in table {
            for (event, to) in events().iter().zip(row) {
                assert_eq!(from.apply(event).ok(), to, "{from:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let told = |status: ReleaseStatus, event: &E| status.apply(event).unwrap_err().to_string();
        assert_eq!(
            told(Active, &E::Edited),
            "cannot edit the release: the release is active, and what it carries cannot change any more; start a new \
             release"
        );
        assert_eq!(
            told(Active, &E::Abandoned { under_way: vec!["dev".to_owned(), "prod".to_owned()] }),
            "cannot abandon the release: something is under way in dev, prod; cancel it first, and wait for its end"
        );
        assert_eq!(
            told(Draft, &E::ActedIn { action: "deploy" }),
            "cannot deploy: the release is a draft, and nothing of it was started; start it with `pilothouse release \
             activate`"
        );
    }

    proptest! {
        #[test]
        fn an_abandoned_release_stays_so_and_an_active_one_is_never_a_draft_again(
            path in prop::collection::vec(0usize..5, 0..40)
        ) {
            let mut status = Draft;
            for index in path {
                let before = status;
                status = before.apply(&events()[index]).unwrap_or(before);
                prop_assert!(!before.is_terminal() || status == before);
                prop_assert!(before != Active || status != Draft);
            }
        }
    }
}
