//! One state of each kind and one event of each kind: what the diagrams are drawn from, and the tests walk over.

use jiff::Timestamp;

use super::{Aftermath, AttemptEvent, AttemptState, Hurdle, StagesVerdict};

fn by() -> String {
    "ann".to_owned()
}

fn why() -> String {
    "a reason".to_owned()
}

/// A state of every kind, final ones too.
#[must_use]
pub fn states() -> Vec<AttemptState> {
    use AttemptState as S;
    let at = Timestamp::UNIX_EPOCH;
    vec![
        S::Scheduled { at },
        S::Queued,
        S::QueuedForPipeline,
        S::EvaluatingGatesBefore,
        S::GatesFailedBefore { reason: why(), asks: true },
        S::GatesFailedBefore { reason: why(), asks: false },
        S::PendingBefore,
        S::ApprovedBefore,
        S::Deferred { until: at },
        S::RejectedBefore { by: by() },
        S::CanceledBefore { by: by(), reason: None },
        S::QueuedForAgent,
        S::PhaseInProgress,
        S::ManualInterventionPending,
        S::QueuedForPipelineAgain,
        S::QueuedForAgentAgain,
        S::Cancelling { by: by(), until: None },
        S::PhaseSucceeded { partially: false },
        S::PhaseSucceeded { partially: true },
        S::EvaluatingGatesAfter { partially: false },
        S::EvaluatingGatesAfter { partially: true },
        S::GatesFailedAfter { reason: why(), partially: false },
        S::GatesFailedAfter { reason: why(), partially: true },
        S::PendingAfter { partially: false },
        S::PendingAfter { partially: true },
        S::Succeeded,
        S::PartiallySucceeded,
        S::PhaseFailed { reason: why() },
        S::CanceledAfter { by: by(), reason: None },
        S::RejectedAfter { by: by() },
        S::GatesFailedFinally { reason: why() },
    ]
}

/// An event of every kind, with every choice that leads elsewhere.
#[must_use]
pub fn events() -> Vec<AttemptEvent> {
    use AttemptEvent as E;
    let verdicts = [
        StagesVerdict::Succeeded,
        StagesVerdict::PartiallySucceeded,
        StagesVerdict::Failed { reason: why() },
        StagesVerdict::Stopped { by: by(), reason: None },
    ];
    let hurdles = [Hurdle::Lane, Hurdle::Limit, Hurdle::Gates, Hurdle::Approval, Hurdle::Slot];
    let thens = [None, Some(Aftermath::Gates), Some(Aftermath::Approval)];
    let mut events = vec![
        E::Cleared { next: None },
        E::Approved,
        E::Deferred { until: Timestamp::UNIX_EPOCH },
        E::PlanChanged,
        E::Rejected { by: by() },
        E::GatesPassed { needs_approval: false },
        E::GatesPassed { needs_approval: true },
        E::GatesFailed { reason: why(), asks: false },
        E::GatesFailed { reason: why(), asks: true },
        E::InterventionOpened,
        E::InterventionAnswered,
        E::Requeued { hurdle: Hurdle::Limit },
        E::Requeued { hurdle: Hurdle::Slot },
        E::CancelRequested { by: by(), reason: None, until: None },
        E::Followed { then: Aftermath::Gates },
        E::Followed { then: Aftermath::Approval },
        E::MachineryFailed { reason: why() },
    ];
    events.extend(hurdles.map(|hurdle| E::Cleared { next: Some(hurdle) }));
    for then in thens {
        events.extend(verdicts.clone().map(|verdict| E::StagesEnded { verdict, then }));
    }
    events
}
