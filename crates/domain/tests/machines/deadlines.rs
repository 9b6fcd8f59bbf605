//! X3, invariant 5: whatever happens to a machine, and in whatever order, the clock alone brings it to its end within its
//! deadlines.

use jiff::{SignedDuration, Timestamp};
use pilothouse_domain::approval::{Approval, ApprovalEvent, Decision, Subject};
use pilothouse_domain::attempt::samples::events;
use pilothouse_domain::attempt::{
    Aftermath, Attempt, AttemptEvent, AttemptRef, AttemptState, Control, ControlEvent, StagesVerdict,
};
use pilothouse_domain::duration::Span;
use pilothouse_domain::gate::{CheckResult, GateDue, GateRun, GateSide, GateStatus};
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::pipeline::{Approver, GateFailure};
use pilothouse_domain::stage::{StageEvent, StageStatus};
use pilothouse_domain::token::{Principal, Role};
use proptest::prelude::*;
use serde_json::Value;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn attempt_ref() -> AttemptRef {
    let release = ReleaseId::new(ulid::Ulid::from_parts(1, 2));
    AttemptRef { release, environment: "prod".to_owned(), number: 1 }
}

/// What each state of an attempt waits for, in seconds, and what happens when that time is over. A new state is asked for
/// here by the compiler. Where nothing is waited for the attempt's own step goes on at once.
fn overdue(state: &AttemptState) -> Option<(i64, AttemptEvent)> {
    use AttemptEvent as E;
    use AttemptState as S;
    const SCHEDULE: i64 = 364 * 86_400;
    const LINE: i64 = 30 * 86_400;
    const GATE: i64 = 3600;
    const APPROVAL: i64 = 86_400;
    const STAGES: i64 = 7200;
    let gave_up =
        || E::CancelRequested { by: "the system".into(), reason: Some("too long".into()), until: None };
    let failed = StagesVerdict::Failed { reason: "its time was over".into() };
    Some(match state {
        S::Scheduled { .. } | S::Deferred { .. } => (SCHEDULE, E::Cleared { next: None }),
        S::Queued | S::QueuedForPipeline | S::QueuedForAgent => (LINE, gave_up()),
        S::QueuedForPipelineAgain | S::QueuedForAgentAgain => (LINE, gave_up()),
        S::EvaluatingGatesBefore | S::EvaluatingGatesAfter { .. } => {
            (GATE, E::GatesFailed { reason: "never passed".into(), asks: true })
        }
        S::PendingBefore
        | S::GatesFailedBefore { asks: true, .. }
        | S::PendingAfter { .. }
        | S::GatesFailedAfter { .. } => (APPROVAL, E::Rejected { by: "nobody".into() }),
        S::ApprovedBefore => (0, E::Cleared { next: None }),
        S::PhaseInProgress | S::ManualInterventionPending => {
            (STAGES, E::StagesEnded { verdict: failed, then: None })
        }
        S::Cancelling { .. } => (60, E::StagesEnded { verdict: failed, then: None }),
        S::PhaseSucceeded { .. } => (0, E::Followed { then: Aftermath::Approval }),
        S::GatesFailedBefore { asks: false, .. }
        | S::RejectedBefore { .. }
        | S::CanceledBefore { .. }
        | S::Succeeded
        | S::PartiallySucceeded
        | S::PhaseFailed { .. }
        | S::CanceledAfter { .. }
        | S::RejectedAfter { .. }
        | S::GatesFailedFinally { .. } => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A13-A38: no walk leads to where the clock alone does not lead out of, without coming by the same state twice.
    #[test]
    fn an_attempt_that_is_left_alone_comes_to_its_end(walk in proptest::collection::vec(0..1000usize, 0..60)) {
        let events = events();
        let mut state = AttemptState::Queued;
        for step in walk {
            state = state.apply(events[step % events.len()].clone()).unwrap_or(state);
        }
        let (mut waited, mut seen) = (0, Vec::new());
        while let Some((patience, event)) = overdue(&state) {
            prop_assert!(!state.is_terminal());
            prop_assert!(!seen.contains(&state.pair()), "again {:?} after {seen:?}", state.pair());
            seen.push(state.pair());
            waited += patience;
            state = state.apply(event).map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        }
        prop_assert!(state.is_terminal());
        prop_assert!(waited <= (364 + 30 + 1) * 86_400 + 3600 + 7200 + 60, "{waited} s");
    }

    /// N13-N15: from the moment in which it is held, nothing but resuming it moves the time at which it is stopped.
    #[test]
    fn a_pause_ends_in_its_time(walk in proptest::collection::vec((0..5usize, 0..2000_i64), 0..40)) {
        let patience = Span::from_secs(3600);
        let (mut attempt, mut now, mut held_since) = (under_way(), 0, None);
        for (event, later) in walk {
            now += later;
            if attempt.is_hold_over(at(now)) {
                break;
            }
            attempt = attempt.controlled(ControlEvent::ALL[event], "ann", at(now), patience).unwrap_or(attempt);
            held_since = attempt.control.is_held().then(|| held_since.unwrap_or(now));
            prop_assert_eq!(attempt.resume_by, held_since.map(|since| at(since + 3600)));
        }
        if let Some(since) = held_since {
            prop_assert!(attempt.is_hold_over(at(since + 3600)));
            let stopping = attempt.controlled(ControlEvent::StopRequested, "system", at(since + 3600), patience);
            prop_assert_eq!(stopping.unwrap().control, Control::Stopping);
        }
    }

    /// A15, A25: no decision, and no other approvers, move an approval's deadline; at it the approval ends.
    #[test]
    fn an_approval_ends_at_its_deadline(walk in proptest::collection::vec((0..6u8, 0..300_i64), 0..40)) {
        let id = ApprovalId::new(ulid::Ulid::from_parts(1, 1));
        let asking = Approval::asking(id, attempt_ref(), Subject::BeforeDeployment, at(0), at(1000));
        let approvers = vec![Approver::Role("approver".to_owned())];
        let (mut approval, mut now) = (Approval { approvers, required: 3, ..asking }, 0);
        for (what, later) in walk {
            now += later;
            let next = approval.apply(on_approval(what, now));
            prop_assert!(approval.is_pending() || next.is_err(), "a final one stays");
            approval = next.unwrap_or(approval);
            prop_assert_eq!(approval.deadline, at(1000));
            prop_assert!(approval.is_pending() || approval.ended_at == Some(at(now)) || approval.ended_at < Some(at(now)));
        }
        let was_pending = approval.is_pending();
        let over = approval.apply(ApprovalEvent::Expire { now: at(now.max(1000)) });
        prop_assert_eq!(over.is_ok(), was_pending);
        prop_assert!(!over.unwrap_or(approval).is_pending());
    }

    /// A34-A38: sampled whenever it says so, a gate is at its end soon after its deadline, whatever the samples come to and
    /// however late they are; a freeze gives back what it took, and what a sample was late by then, and no more.
    #[test]
    fn a_gate_ends_at_its_deadline(
        samples in proptest::collection::vec((any::<bool>(), 0..40_i64, 0..20u8), 300),
        interval in 5..60_u64,
        stable in 0..200_u64,
    ) {
        let (mut run, mut now, mut frozen, mut late_by) = (gate(interval, stable), 0_i64, 0_i64, 0_i64);
        let mut samples = samples.into_iter();
        while run.status == GateStatus::Evaluating {
            let (passes, late, freeze) = samples.next().expect("it takes no more than its time has room for");
            if freeze == 0 {
                now += 100;
                frozen += 100 + std::mem::take(&mut late_by);
                run = run.resumed(at(now));
                prop_assert!(run.deadline <= at(1000 + frozen));
            }
            run = match run.due(at(now)) {
                GateDue::Waiting { until } => {
                    prop_assert!(until > at(now));
                    now = until.as_second() + late;
                    late_by = late;
                    run
                }
                GateDue::Sample => {
                    late_by = 0;
                    let detail = String::new();
                    let check = CheckResult { name: "c".into(), passed: passes, value: Value::Null, detail };
                    run.sampled(&[check], at(now))
                }
                GateDue::Overdue => run.expired(at(now)),
                GateDue::Passed | GateDue::Failed { .. } => unreachable!("it is evaluated"),
            };
        }
        // Forty seconds late at the most, as whoever waits may be.
        prop_assert!(now <= 1000 + frozen + 40, "{now}");
        prop_assert!(run.ended_at.is_some());
    }

    /// T29: a stage that has begun can be ended at its deadline, whatever it asked for; then nothing follows.
    #[test]
    fn a_stage_ends_at_its_deadline(walk in proptest::collection::vec(0..6u8, 0..20)) {
        let end = || StageEvent::Ended(StageStatus::Failed { reason: "its time was over".into(), evidence: None });
        let mut status = StageStatus::first(StageEvent::Begun).unwrap();
        for what in walk {
            let next = status.apply(on_stage(what));
            prop_assert!(!status.is_terminal() || next.is_err(), "a final one stays");
            status = next.unwrap_or(status);
        }
        prop_assert_eq!(status.apply(end()).is_ok(), !status.is_terminal());
        prop_assert!(status.apply(end()).unwrap_or(status).is_terminal());
    }
}

fn under_way() -> Attempt {
    let attempt = serde_json::json!({"id": "dep_01KAJZ3D4Q9T5W4N7J4D1V8Z2X", "release": "rel_01KAJZ3D4Q9T5W4N7J4D1V8Z2X",
        "environment": "dev", "number": 1, "application": "shop", "kind": {"kind": "deploy"},
        "state": {"state": "PhaseInProgress"}, "control": "running", "restarts": 0,
        "createdAt": "1970-01-01T00:00:00Z", "createdBy": "ann", "lastModifiedBy": "ann"});
    serde_json::from_value(attempt).unwrap()
}

fn on_approval(what: u8, now: i64) -> ApprovalEvent {
    let who = |name: &str, role| Principal { name: name.to_owned(), role };
    let decides = |name: &str, approve| {
        let decision = serde_json::json!({ "by": name, "at": at(now), "approve": approve });
        let decision: Decision = serde_json::from_value(decision).unwrap();
        ApprovalEvent::Decide(Box::new(decision), who(name, Role::Approver))
    };
    match what {
        0 => decides("ann", true),
        1 => decides("bob", true),
        2 => decides("eve", now % 7 != 0),
        3 => ApprovalEvent::Expire { now: at(now) },
        4 if now % 5 == 0 => ApprovalEvent::Cancel { by: "ann".to_owned(), now: at(now) },
        _ => {
            let approvers = vec![Approver::Role("approver".to_owned()), Approver::User("ann".to_owned())];
            ApprovalEvent::Reassign { who: who("root", Role::Admin), approvers, now: at(now) }
        }
    }
}

fn on_stage(what: u8) -> StageEvent {
    match what {
        0 => StageEvent::Begun,
        1 | 2 => StageEvent::Asked { approval: None },
        3 => StageEvent::Ended(StageStatus::Succeeded),
        4 => StageEvent::Ended(StageStatus::Canceled { by: "ann".into(), left: None }),
        _ => StageEvent::Ended(StageStatus::Running),
    }
}

fn gate(interval: u64, stable: u64) -> GateRun {
    GateRun {
        at: attempt_ref(),
        side: GateSide::Before,
        status: GateStatus::Evaluating,
        checks: Vec::new(),
        interval: Span::from_secs(interval),
        stable_for: Span::from_secs(stable),
        on_failure: GateFailure::Fail,
        started_at: at(0),
        deadline: at(0) + SignedDuration::from_secs(1000),
        next_sample_at: at(0),
        samples: 0,
        last_sample_at: None,
        passing_since: None,
        last: Vec::new(),
        ended_at: None,
    }
}
