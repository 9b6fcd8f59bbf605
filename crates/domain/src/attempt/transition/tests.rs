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

/// Every edge between pairs, one a line: what `docs/states.md` draws, and what nobody changes unseen.
#[test]
#[expect(clippy::too_many_lines, reason = "a line for each edge")]
fn the_edges_are_those_that_were_decided() {
    let lines = edges().into_iter().map(|(from, event, to)| format!("{from:?} --{event}--> {to:?}\n"));
    insta::assert_snapshot!(lines.collect::<String>(), @r"
    (NotDeployed, Queued) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, Queued) --fail--> (NotDeployed, Canceled)
    (NotDeployed, Queued) --move on--> (NotDeployed, Pending)
    (NotDeployed, Queued) --move on--> (NotDeployed, QueuedForAgent)
    (NotDeployed, Queued) --move on--> (NotDeployed, QueuedForPipeline)
    (NotDeployed, Queued) --move on--> (NotDeployed, EvaluatingGates)
    (NotDeployed, Queued) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, Scheduled) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, Scheduled) --fail--> (NotDeployed, Canceled)
    (NotDeployed, Scheduled) --move on--> (NotDeployed, Queued)
    (NotDeployed, Scheduled) --move on--> (NotDeployed, Pending)
    (NotDeployed, Scheduled) --move on--> (NotDeployed, QueuedForAgent)
    (NotDeployed, Scheduled) --move on--> (NotDeployed, QueuedForPipeline)
    (NotDeployed, Scheduled) --move on--> (NotDeployed, EvaluatingGates)
    (NotDeployed, Scheduled) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, Pending) --approve--> (NotDeployed, Approved)
    (NotDeployed, Pending) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, Pending) --fail--> (NotDeployed, Canceled)
    (NotDeployed, Pending) --reject--> (NotDeployed, Rejected)
    (NotDeployed, Approved) --ask again--> (NotDeployed, Pending)
    (NotDeployed, Approved) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, Approved) --defer--> (NotDeployed, Deferred)
    (NotDeployed, Approved) --fail--> (NotDeployed, Canceled)
    (NotDeployed, Approved) --move on--> (NotDeployed, QueuedForAgent)
    (NotDeployed, Approved) --move on--> (NotDeployed, EvaluatingGates)
    (NotDeployed, Approved) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, Deferred) --ask again--> (NotDeployed, Pending)
    (NotDeployed, Deferred) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, Deferred) --fail--> (NotDeployed, Canceled)
    (NotDeployed, Deferred) --move on--> (NotDeployed, QueuedForAgent)
    (NotDeployed, Deferred) --move on--> (NotDeployed, EvaluatingGates)
    (NotDeployed, Deferred) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, QueuedForAgent) --ask again--> (NotDeployed, Pending)
    (NotDeployed, QueuedForAgent) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, QueuedForAgent) --fail--> (NotDeployed, Canceled)
    (NotDeployed, QueuedForAgent) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, QueuedForPipeline) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, QueuedForPipeline) --fail--> (NotDeployed, Canceled)
    (NotDeployed, QueuedForPipeline) --move on--> (NotDeployed, Pending)
    (NotDeployed, QueuedForPipeline) --move on--> (NotDeployed, QueuedForAgent)
    (NotDeployed, QueuedForPipeline) --move on--> (NotDeployed, EvaluatingGates)
    (NotDeployed, QueuedForPipeline) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, EvaluatingGates) --ask again--> (NotDeployed, Pending)
    (NotDeployed, EvaluatingGates) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, EvaluatingGates) --fail--> (NotDeployed, Canceled)
    (NotDeployed, EvaluatingGates) --fail the gates--> (NotDeployed, GatesFailed)
    (NotDeployed, EvaluatingGates) --move on--> (NotDeployed, Pending)
    (NotDeployed, EvaluatingGates) --move on--> (NotDeployed, QueuedForAgent)
    (NotDeployed, EvaluatingGates) --move on--> (InProgress, PhaseInProgress)
    (NotDeployed, GatesFailed) --approve--> (NotDeployed, Approved)
    (NotDeployed, GatesFailed) --cancel--> (NotDeployed, Canceled)
    (NotDeployed, GatesFailed) --fail--> (NotDeployed, Canceled)
    (NotDeployed, GatesFailed) --reject--> (NotDeployed, Rejected)
    (InProgress, Pending) --approve--> (Succeeded, Approved)
    (InProgress, Pending) --approve--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, Pending) --cancel--> (Failed, Canceled)
    (InProgress, Pending) --fail--> (Failed, PhaseFailed)
    (InProgress, Pending) --reject--> (Failed, Rejected)
    (InProgress, QueuedForAgent) --cancel--> (InProgress, Cancelling)
    (InProgress, QueuedForAgent) --end the stages--> (InProgress, PhaseSucceeded)
    (InProgress, QueuedForAgent) --end the stages--> (Succeeded, Approved)
    (InProgress, QueuedForAgent) --end the stages--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, QueuedForAgent) --end the stages--> (Failed, Canceled)
    (InProgress, QueuedForAgent) --end the stages--> (Failed, PhaseFailed)
    (InProgress, QueuedForAgent) --fail--> (Failed, PhaseFailed)
    (InProgress, QueuedForAgent) --move on--> (InProgress, PhaseInProgress)
    (InProgress, QueuedForAgent) --wait for a slot again--> (InProgress, QueuedForPipeline)
    (InProgress, QueuedForPipeline) --cancel--> (InProgress, Cancelling)
    (InProgress, QueuedForPipeline) --end the stages--> (InProgress, PhaseSucceeded)
    (InProgress, QueuedForPipeline) --end the stages--> (Succeeded, Approved)
    (InProgress, QueuedForPipeline) --end the stages--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, QueuedForPipeline) --end the stages--> (Failed, Canceled)
    (InProgress, QueuedForPipeline) --end the stages--> (Failed, PhaseFailed)
    (InProgress, QueuedForPipeline) --fail--> (Failed, PhaseFailed)
    (InProgress, QueuedForPipeline) --move on--> (InProgress, QueuedForAgent)
    (InProgress, QueuedForPipeline) --move on--> (InProgress, PhaseInProgress)
    (InProgress, EvaluatingGates) --cancel--> (Failed, Canceled)
    (InProgress, EvaluatingGates) --fail--> (Failed, PhaseFailed)
    (InProgress, EvaluatingGates) --fail the gates--> (InProgress, GatesFailed)
    (InProgress, EvaluatingGates) --fail the gates--> (Failed, GatesFailed)
    (InProgress, EvaluatingGates) --pass the gates--> (InProgress, Pending)
    (InProgress, EvaluatingGates) --pass the gates--> (Succeeded, Approved)
    (InProgress, EvaluatingGates) --pass the gates--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, GatesFailed) --approve--> (Succeeded, Approved)
    (InProgress, GatesFailed) --approve--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, GatesFailed) --cancel--> (Failed, Canceled)
    (InProgress, GatesFailed) --fail--> (Failed, PhaseFailed)
    (InProgress, GatesFailed) --reject--> (Failed, Rejected)
    (InProgress, PhaseInProgress) --ask for an intervention--> (InProgress, ManualInterventionPending)
    (InProgress, PhaseInProgress) --cancel--> (InProgress, Cancelling)
    (InProgress, PhaseInProgress) --end the stages--> (InProgress, PhaseSucceeded)
    (InProgress, PhaseInProgress) --end the stages--> (Succeeded, Approved)
    (InProgress, PhaseInProgress) --end the stages--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, PhaseInProgress) --end the stages--> (Failed, Canceled)
    (InProgress, PhaseInProgress) --end the stages--> (Failed, PhaseFailed)
    (InProgress, PhaseInProgress) --fail--> (Failed, PhaseFailed)
    (InProgress, PhaseInProgress) --wait for a slot again--> (InProgress, QueuedForAgent)
    (InProgress, PhaseInProgress) --wait for a slot again--> (InProgress, QueuedForPipeline)
    (InProgress, PhaseSucceeded) --cancel--> (Failed, Canceled)
    (InProgress, PhaseSucceeded) --fail--> (Failed, PhaseFailed)
    (InProgress, PhaseSucceeded) --go on after the stages--> (InProgress, Pending)
    (InProgress, PhaseSucceeded) --go on after the stages--> (InProgress, EvaluatingGates)
    (InProgress, ManualInterventionPending) --answer the intervention--> (InProgress, PhaseInProgress)
    (InProgress, ManualInterventionPending) --cancel--> (InProgress, Cancelling)
    (InProgress, ManualInterventionPending) --end the stages--> (InProgress, PhaseSucceeded)
    (InProgress, ManualInterventionPending) --end the stages--> (Succeeded, Approved)
    (InProgress, ManualInterventionPending) --end the stages--> (PartiallySucceeded, PhasePartiallySucceeded)
    (InProgress, ManualInterventionPending) --end the stages--> (Failed, Canceled)
    (InProgress, ManualInterventionPending) --end the stages--> (Failed, PhaseFailed)
    (InProgress, ManualInterventionPending) --fail--> (Failed, PhaseFailed)
    (InProgress, ManualInterventionPending) --wait for a slot again--> (InProgress, QueuedForAgent)
    (InProgress, ManualInterventionPending) --wait for a slot again--> (InProgress, QueuedForPipeline)
    (InProgress, Cancelling) --end the stages--> (Failed, Canceled)
    (InProgress, Cancelling) --fail--> (Failed, Canceled)
    ");
}

/// What the diagrams are drawn from has a state for whatever an event leads to.
#[test]
fn no_event_leads_to_a_state_that_is_not_drawn() {
    let shape = |state: &AttemptState| {
        let fields = serde_json::to_value(state).unwrap();
        (std::mem::discriminant(state), fields["partially"].clone(), fields["asks"].clone())
    };
    let drawn: Vec<_> = states().iter().map(shape).collect();
    for state in states() {
        for event in events() {
            if let Ok(next) = state.apply(event) {
                assert!(drawn.contains(&shape(&next)), "{state:?} leads to {next:?}");
            }
        }
    }
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

/// A26, A27: who is paused in its cluster's line gives back the installation's room, and waits for that first.
#[test]
fn a26_who_is_paused_in_the_clusters_line_comes_back_to_the_installations() {
    let again = |hurdle| AttemptState::QueuedForAgentAgain.apply(AttemptEvent::Requeued { hurdle });
    assert_eq!(again(Hurdle::Limit), Ok(AttemptState::QueuedForPipelineAgain));
    assert!(again(Hurdle::Slot).is_err(), "there it stands");
    let requeued =
        AttemptState::QueuedForPipelineAgain.apply(AttemptEvent::Requeued { hurdle: Hurdle::Limit });
    assert!(requeued.is_err());
}
