//! The pairs `<status, operationStatus>` that a deployment attempt can be in (A12-A38), and no others.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::approval::NOBODY;

/// The broad class of an attempt's state (A12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum AttemptStatus {
    /// Nothing was changed in the cluster.
    NotDeployed,
    /// Its stages run, or what follows them.
    InProgress,
    /// All of it succeeded.
    Succeeded,
    /// A stage whose failure is ignored failed, the rest succeeded (A30).
    PartiallySucceeded,
    /// It failed, or was cancelled or rejected after it had started.
    Failed,
}

/// The reason behind an attempt's status (A12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the documents' own names; each pair is described at `AttemptState`")]
pub enum OperationStatus {
    Queued,
    Scheduled,
    Pending,
    Approved,
    Rejected,
    Deferred,
    QueuedForAgent,
    QueuedForPipeline,
    Canceled,
    EvaluatingGates,
    GatesFailed,
    PhaseInProgress,
    PhaseSucceeded,
    PhasePartiallySucceeded,
    PhaseFailed,
    ManualInterventionPending,
    Cancelling,
}

/// What an attempt's state is: one of the documents' pairs, with the data that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub enum AttemptState {
    /// A13 `<NotDeployed, Queued>`: waits for its environment's lane.
    Queued,
    /// A14 `<NotDeployed, Scheduled>`: starts at a later time.
    Scheduled {
        /// When it will start.
        at: Timestamp,
    },
    /// A15 `<NotDeployed, Pending>`: waits for an approval before deployment.
    PendingBefore,
    /// A16 `<NotDeployed, Approved>`: moves on by itself.
    ApprovedBefore,
    /// A17 `<NotDeployed, Rejected>`: an approver said no before deployment.
    RejectedBefore {
        /// Who rejected it.
        by: String,
    },
    /// A18 `<NotDeployed, Deferred>`: approved, to start later.
    Deferred {
        /// When it will start.
        until: Timestamp,
    },
    /// A19 `<NotDeployed, QueuedForAgent>`: waits for a slot of its cluster.
    QueuedForAgent,
    /// A20 `<NotDeployed, QueuedForPipeline>`: waits for the installation's limit.
    QueuedForPipeline,
    /// A21 `<NotDeployed, Canceled>`: cancelled before anything was changed.
    CanceledBefore {
        /// Who cancelled it.
        by: String,
        /// Why, when it was not a person's wish.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A34 `<NotDeployed, EvaluatingGates>`: gates before deployment are sampled.
    EvaluatingGatesBefore,
    /// A35 `<NotDeployed, GatesFailed>`: the gates before deployment did not pass.
    GatesFailedBefore {
        /// Which did not pass, and why.
        #[serde(default)]
        reason: String,
        /// Whether an approval decides nevertheless; otherwise this is the end.
        #[serde(default)]
        asks: bool,
    },
    /// A22 `<InProgress, PhaseInProgress>`: stages run.
    PhaseInProgress,
    /// A23 `<InProgress, PhaseSucceeded>`: stages are done; what follows them comes next.
    PhaseSucceeded {
        /// A stage whose failure is ignored failed: the end will be A30.
        #[serde(default)]
        partially: bool,
    },
    /// A24 `<InProgress, ManualInterventionPending>`: a stage waits for a person.
    ManualInterventionPending,
    /// A25 `<InProgress, Pending>`: waits for an approval after deployment.
    PendingAfter {
        /// A stage whose failure is ignored failed: the end will be A30.
        #[serde(default)]
        partially: bool,
    },
    /// A26 `<InProgress, QueuedForAgent>`: a later phase waits for a slot of its cluster.
    QueuedForAgentAgain,
    /// A27 `<InProgress, QueuedForPipeline>`: a later phase waits for the installation's limit.
    QueuedForPipelineAgain,
    /// A28 `<InProgress, Cancelling>`: a cancel is being carried out.
    Cancelling {
        /// Who asked for it.
        by: String,
        /// When it ends, whatever still runs by then (X3).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// A36 `<InProgress, EvaluatingGates>`: gates after deployment are sampled.
    EvaluatingGatesAfter {
        /// A stage whose failure is ignored failed: the end will be A30.
        #[serde(default)]
        partially: bool,
    },
    /// A37 `<InProgress, GatesFailed>`: the gates after deployment did not pass, and approval is asked.
    GatesFailedAfter {
        /// Which did not pass, and why.
        #[serde(default)]
        reason: String,
        /// A stage whose failure is ignored failed: the end will be A30.
        #[serde(default)]
        partially: bool,
    },
    /// A29 `<Succeeded, Approved>`.
    Succeeded,
    /// A30 `<PartiallySucceeded, PhasePartiallySucceeded>`.
    PartiallySucceeded,
    /// A31 `<Failed, PhaseFailed>`: a stage failed, or an intervention was rejected.
    PhaseFailed {
        /// What failed, and why.
        reason: String,
    },
    /// A32 `<Failed, Canceled>`: cancelled after it had started.
    CanceledAfter {
        /// Who cancelled it.
        by: String,
        /// Why, when it was not a person's wish.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A33 `<Failed, Rejected>`: an approver said no after deployment.
    RejectedAfter {
        /// Who rejected it.
        by: String,
    },
    /// A38 `<Failed, GatesFailed>`: the gates after deployment did not pass.
    GatesFailedFinally {
        /// Which did not pass, and why.
        #[serde(default)]
        reason: String,
    },
}

impl AttemptState {
    /// The pair as the documents write it.
    #[must_use]
    pub fn pair(&self) -> (AttemptStatus, OperationStatus) {
        use AttemptStatus as S;
        use OperationStatus as O;
        match self {
            Self::Queued => (S::NotDeployed, O::Queued),
            Self::Scheduled { .. } => (S::NotDeployed, O::Scheduled),
            Self::PendingBefore => (S::NotDeployed, O::Pending),
            Self::ApprovedBefore => (S::NotDeployed, O::Approved),
            Self::RejectedBefore { .. } => (S::NotDeployed, O::Rejected),
            Self::Deferred { .. } => (S::NotDeployed, O::Deferred),
            Self::QueuedForAgent => (S::NotDeployed, O::QueuedForAgent),
            Self::QueuedForPipeline => (S::NotDeployed, O::QueuedForPipeline),
            Self::CanceledBefore { .. } => (S::NotDeployed, O::Canceled),
            Self::EvaluatingGatesBefore => (S::NotDeployed, O::EvaluatingGates),
            Self::GatesFailedBefore { .. } => (S::NotDeployed, O::GatesFailed),
            Self::PhaseInProgress => (S::InProgress, O::PhaseInProgress),
            Self::PhaseSucceeded { .. } => (S::InProgress, O::PhaseSucceeded),
            Self::ManualInterventionPending => (S::InProgress, O::ManualInterventionPending),
            Self::PendingAfter { .. } => (S::InProgress, O::Pending),
            Self::QueuedForAgentAgain => (S::InProgress, O::QueuedForAgent),
            Self::QueuedForPipelineAgain => (S::InProgress, O::QueuedForPipeline),
            Self::Cancelling { .. } => (S::InProgress, O::Cancelling),
            Self::EvaluatingGatesAfter { .. } => (S::InProgress, O::EvaluatingGates),
            Self::GatesFailedAfter { .. } => (S::InProgress, O::GatesFailed),
            Self::Succeeded => (S::Succeeded, O::Approved),
            Self::PartiallySucceeded => (S::PartiallySucceeded, O::PhasePartiallySucceeded),
            Self::PhaseFailed { .. } => (S::Failed, O::PhaseFailed),
            Self::CanceledAfter { .. } => (S::Failed, O::Canceled),
            Self::RejectedAfter { .. } => (S::Failed, O::Rejected),
            Self::GatesFailedFinally { .. } => (S::Failed, O::GatesFailed),
        }
    }

    /// The broad class.
    #[must_use]
    pub fn status(&self) -> AttemptStatus {
        self.pair().0
    }

    /// Whether nothing follows: no event leads out of such a state.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self.status() {
            AttemptStatus::NotDeployed => matches!(
                self,
                Self::RejectedBefore { .. }
                    | Self::CanceledBefore { .. }
                    | Self::GatesFailedBefore { asks: false, .. }
            ),
            AttemptStatus::InProgress => false,
            AttemptStatus::Succeeded | AttemptStatus::PartiallySucceeded | AttemptStatus::Failed => true,
        }
    }

    /// Whether the attempt ended as its user wanted, wholly or in part: what lets later environments start.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded | Self::PartiallySucceeded)
    }

    /// Whether stages run, or may yet begin, in this state.
    #[must_use]
    pub fn runs_stages(&self) -> bool {
        matches!(
            self,
            Self::PhaseInProgress
                | Self::ManualInterventionPending
                | Self::QueuedForPipelineAgain
                | Self::QueuedForAgentAgain
                | Self::Cancelling { .. }
        )
    }

    /// When it goes on, where that is a matter of time alone (A11).
    #[must_use]
    pub fn starts_at(&self) -> Option<Timestamp> {
        match self {
            Self::Scheduled { at } | Self::Deferred { until: at } => Some(*at),
            _ => None,
        }
    }

    /// Why it is in this state, where the state knows more than its name.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::PhaseFailed { reason } => Some(reason.clone()),
            Self::RejectedBefore { by } | Self::RejectedAfter { by } => Some(match by.as_str() {
                NOBODY => "nobody decided in time".to_owned(),
                by => format!("rejected by {by}"),
            }),
            Self::CanceledBefore { by, reason: Some(why) }
            | Self::CanceledAfter { by, reason: Some(why) } => Some(format!("canceled by {by}: {why}")),
            Self::CanceledBefore { by, reason: None } | Self::CanceledAfter { by, reason: None } => {
                Some(format!("canceled by {by}"))
            }
            Self::Cancelling { by, .. } => Some(format!("cancel asked for by {by}")),
            Self::GatesFailedBefore { reason, .. }
            | Self::GatesFailedAfter { reason, .. }
            | Self::GatesFailedFinally { reason } => Some(format!("gates did not pass: {reason}")),
            Self::Scheduled { at } => Some(format!("starts at {at:.0}")),
            Self::Deferred { until } => Some(format!("deferred until {until:.0}")),
            _ => None,
        }
    }
}
