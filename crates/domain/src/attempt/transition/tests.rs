use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::samples::{events, states};
use super::super::state::{AttemptStatus, OperationStatus};
use super::*;

type Pair = (AttemptStatus, OperationStatus);

fn edges() -> BTreeSet<(Pair, &'static str, Pair)> {
    let mut edges = BTreeSet::new();
    for state in states() {
        for event in events() {
            if let Ok(next) = state.apply(event.clone()) {
                edges.insert((state.pair(), event.action(), next.pair()));
            }
        }
    }
    edges
}

/// A13-A38, each as its document writes it, with the settled A34 and A35.
fn documented() -> BTreeSet<Pair> {
    use AttemptStatus as S;
    use OperationStatus as O;
    BTreeSet::from([
        (S::NotDeployed, O::Queued),
        (S::NotDeployed, O::Scheduled),
        (S::NotDeployed, O::Pending),
        (S::NotDeployed, O::Approved),
        (S::NotDeployed, O::Rejected),
        (S::NotDeployed, O::Deferred),
        (S::NotDeployed, O::QueuedForAgent),
        (S::NotDeployed, O::QueuedForPipeline),
        (S::NotDeployed, O::Canceled),
        (S::InProgress, O::PhaseInProgress),
        (S::InProgress, O::PhaseSucceeded),
        (S::InProgress, O::ManualInterventionPending),
        (S::InProgress, O::Pending),
        (S::InProgress, O::QueuedForAgent),
        (S::InProgress, O::QueuedForPipeline),
        (S::InProgress, O::Cancelling),
        (S::Succeeded, O::Approved),
        (S::PartiallySucceeded, O::PhasePartiallySucceeded),
        (S::Failed, O::PhaseFailed),
        (S::Failed, O::Canceled),
        (S::Failed, O::Rejected),
        (S::NotDeployed, O::EvaluatingGates),
        (S::NotDeployed, O::GatesFailed),
        (S::InProgress, O::EvaluatingGates),
        (S::InProgress, O::GatesFailed),
        (S::Failed, O::GatesFailed),
    ])
}

#[test]
fn the_pairs_are_those_of_a13_to_a38_and_no_others() {
    let here: BTreeSet<Pair> = states().iter().map(AttemptState::pair).collect();
    assert_eq!(here, documented());
}

#[test]
fn every_pair_can_be_reached_from_the_beginning() {
    let first = [AttemptState::Queued.pair(), AttemptState::Scheduled { at: Timestamp::UNIX_EPOCH }.pair()];
    let mut reached = BTreeSet::from(first);
    loop {
        let more: BTreeSet<Pair> =
            edges().into_iter().filter(|(from, ..)| reached.contains(from)).map(|(.., to)| to).collect();
        if more.is_subset(&reached) {
            break;
        }
        reached.extend(more);
    }
    assert_eq!(reached, documented());
}

#[test]
fn every_state_that_is_not_final_can_come_to_an_end() {
    for state in states().into_iter().filter(|s| !s.is_terminal()) {
        let ended = state.apply(AttemptEvent::MachineryFailed { reason: "x".into() }).unwrap();
        assert!(ended.is_terminal(), "{state:?}");
    }
}

fn walk(steps: &[usize], mut check: impl FnMut(&AttemptState, &Result<AttemptState, Refused>)) {
    let events = events();
    let mut state = AttemptState::Queued;
    for step in steps {
        let next = state.apply(events[step % events.len()].clone());
        check(&state, &next);
        state = next.unwrap_or(state);
    }
}

proptest! {
    #[test]
    fn a_final_state_never_leaves(steps in proptest::collection::vec(0..1000usize, 1..60)) {
        walk(&steps, |state, next| assert!(!state.is_terminal() || next.is_err(), "{state:?}"));
    }

    #[test]
    fn no_walk_leaves_the_documented_pairs(steps in proptest::collection::vec(0..1000usize, 1..60)) {
        let documented = documented();
        walk(&steps, |_, next| {
            if let Ok(next) = next {
                assert!(documented.contains(&next.pair()));
            }
        });
    }

    #[test]
    fn what_is_in_progress_never_becomes_not_deployed(steps in proptest::collection::vec(0..1000usize, 1..60)) {
        walk(&steps, |state, next| {
            if let (AttemptStatus::InProgress, Ok(next)) = (state.status(), next) {
                assert_ne!(next.status(), AttemptStatus::NotDeployed);
            }
        });
    }
}

#[test]
fn a28_a_cancel_while_stages_run_is_carried_out_before_it_ends() {
    let cancel = || AttemptEvent::CancelRequested { by: "bob".into(), reason: None, until: None };
    let cancelling = AttemptState::PhaseInProgress.apply(cancel()).unwrap();
    assert_eq!(cancelling, AttemptState::Cancelling { by: "bob".into(), until: None });
    assert!(cancelling.apply(cancel()).is_err());
    let verdict = StagesVerdict::Succeeded;
    let ended = cancelling.apply(AttemptEvent::StagesEnded { verdict, then: None }).unwrap();
    assert_eq!(ended, AttemptState::CanceledAfter { by: "bob".into(), reason: None });
}

#[test]
fn a32_a_cancel_after_the_stages_ends_at_once() {
    let cancel = AttemptEvent::CancelRequested { by: "bob".into(), reason: None, until: None };
    let ended = AttemptState::PendingAfter { partially: false }.apply(cancel).unwrap();
    assert_eq!(ended, AttemptState::CanceledAfter { by: "bob".into(), reason: None });
}

#[test]
fn a30_partial_success_outlives_gates_and_approval() {
    let verdict = StagesVerdict::PartiallySucceeded;
    let then = Some(Aftermath::Gates);
    let state = AttemptState::PhaseInProgress.apply(AttemptEvent::StagesEnded { verdict, then }).unwrap();
    let state = state.apply(AttemptEvent::Followed { then: Aftermath::Gates }).unwrap();
    let state = state.apply(AttemptEvent::GatesPassed { needs_approval: true }).unwrap();
    assert_eq!(state.apply(AttemptEvent::Approved).unwrap(), AttemptState::PartiallySucceeded);
}

#[test]
fn hurdles_are_passed_in_one_direction() {
    let back = |state: AttemptState, next| state.apply(AttemptEvent::Cleared { next: Some(next) }).is_err();
    assert!(back(AttemptState::Queued, Hurdle::Lane));
    assert!(back(AttemptState::QueuedForAgent, Hurdle::Gates));
    assert!(back(AttemptState::ApprovedBefore, Hurdle::Limit));
    assert!(!back(AttemptState::ApprovedBefore, Hurdle::Gates), "the gates may come after the approval");
}

#[test]
fn a_refusal_names_the_present_state() {
    let cancel = AttemptEvent::CancelRequested { by: "bob".into(), reason: None, until: None };
    let refused = AttemptState::Succeeded.apply(cancel).unwrap_err();
    assert_eq!(refused.to_string(), "cannot cancel: the deployment is Succeeded (Approved)");
}
