use proptest::prelude::*;

use super::*;
use crate::ids::ReleaseId;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn run(interval: u64, stable_for: u64, timeout: u64) -> GateRun {
    let policy: GatePolicy = serde_json::from_value(serde_json::json!({
        "checks": [], "delay": "10s", "interval": format!("{interval}s"), "stableFor": format!("{stable_for}s"),
        "timeout": format!("{timeout}s"),
    }))
    .unwrap();
    let attempt = AttemptRef {
        release: ReleaseId::new(ulid::Ulid::from_parts(1, 1)),
        environment: "prod".to_owned(),
        number: 1,
    };
    GateRun::open(&attempt, GateSide::Before, &policy, Vec::new(), at(0))
}

fn sample(passed: &[bool]) -> Vec<CheckResult> {
    let result = |(index, passed): (usize, &bool)| CheckResult {
        name: format!("check {index}"),
        passed: *passed,
        value: Value::Null,
        detail: if *passed { "fine" } else { "not fine" }.to_owned(),
    };
    passed.iter().enumerate().map(result).collect()
}

#[test]
fn nothing_is_sampled_before_the_delay_or_between_two_intervals() {
    let run = run(60, 0, 3600);
    assert_eq!(run.due(at(9)), GateDue::Waiting { until: at(10) });
    assert_eq!(run.due(at(10)), GateDue::Sample);
    let run = run.sampled(&sample(&[false]), at(10));
    assert_eq!(run.due(at(11)), GateDue::Waiting { until: at(70) });
}

#[test]
fn one_sample_in_which_all_pass_is_enough_when_no_stable_time_is_asked_for() {
    let run = run(60, 0, 3600).sampled(&sample(&[true, true]), at(10));
    assert_eq!((run.due(at(10)), run.ended_at), (GateDue::Passed, Some(at(10))));
}

#[test]
fn checks_that_pass_in_different_samples_do_not_pass_the_gate() {
    let run =
        run(60, 0, 3600).sampled(&sample(&[true, false]), at(10)).sampled(&sample(&[false, true]), at(70));
    assert_eq!(run.status, GateStatus::Evaluating);
    assert_eq!(run.passing(), Some(false));
}

#[test]
fn a_stable_time_begins_anew_after_a_failure_and_ends_on_the_second() {
    let run = run(60, 90, 3600).sampled(&sample(&[true]), at(10)).sampled(&sample(&[false]), at(70));
    let run = run.sampled(&sample(&[true]), at(130)).sampled(&sample(&[true]), at(190));
    assert_eq!((run.passing_since, run.next_sample_at), (Some(at(130)), at(220)));
    assert_eq!(run.sampled(&sample(&[true]), at(220)).status, GateStatus::Passed);
}

#[test]
fn a_gap_in_the_samples_proves_nothing_about_the_time_between() {
    let run = run(60, 120, 36_000).sampled(&sample(&[true]), at(10)).sampled(&sample(&[true]), at(1000));
    assert_eq!((run.status.clone(), run.passing_since), (GateStatus::Evaluating, Some(at(1000))));
}

#[test]
fn the_sample_at_the_deadline_is_the_last_and_the_reason_names_what_failed() {
    let run = run(60, 0, 100).sampled(&sample(&[true, false]), at(70));
    assert_eq!(run.next_sample_at, at(100), "the last sample is not left out");
    let run = run.sampled(&sample(&[true, false]), at(101));
    let GateDue::Failed { reason } = run.due(at(101)) else { panic!("it is at its end") };
    assert_eq!(reason, "the gate did not pass within 1m40s: check 1: not fine");
}

#[test]
fn long_after_the_deadline_it_fails_without_a_sample() {
    let run = run(60, 0, 100);
    assert_eq!(run.due(at(100)), GateDue::Sample);
    assert_eq!(run.due(at(116)), GateDue::Overdue);
    let GateStatus::Failed { reason } = run.expired(at(116)).status else { panic!("it is at its end") };
    assert_eq!(reason, "the gate did not pass within 1m40s: no sample was taken");
}

#[test]
fn a_gate_that_was_not_stable_in_time_says_so() {
    let run = run(60, 90, 100).sampled(&sample(&[true]), at(70)).sampled(&sample(&[true]), at(100));
    let GateStatus::Failed { reason } = run.status else { panic!("it is at its end") };
    assert!(reason.contains("all checks passed since") && reason.ends_with("less than 1m30s"), "{reason}");
}

#[test]
fn an_end_is_final() {
    let passed = run(60, 0, 100).sampled(&sample(&[true]), at(10));
    assert_eq!(passed.sampled(&sample(&[false]), at(70)), passed);
    assert_eq!(passed.expired(at(1000)), passed);
    assert_eq!(passed.given_up("broken", at(1000)), passed);
}

proptest! {
    /// Samples as they come, each late by up to `late` seconds: it ends by its deadline, and never passes unless every
    /// check passed in every sample of the stable time before.
    #[test]
    fn it_ends_in_time_and_passes_only_after_a_stable_time(
        interval in 5u64..100,
        stable_for in 0u64..300,
        timeout in 1u64..1000,
        checks in 1usize..4,
        outcomes in proptest::collection::vec(proptest::collection::vec(proptest::bool::weighted(0.8), 3), 300),
        late in proptest::collection::vec(0i64..400, 300),
        mostly_prompt in proptest::collection::vec(proptest::bool::weighted(0.9), 300),
    ) {
        let mut run = run(interval, stable_for, timeout);
        let mut now = at(0);
        let mut taken: Vec<(Timestamp, bool)> = Vec::new();
        for ((outcome, late), prompt) in outcomes.iter().zip(late).zip(mostly_prompt) {
            match run.due(now) {
                GateDue::Waiting { until } => {
                    prop_assert!(until <= run.deadline);
                    now = if prompt { until } else { Span::from_secs(u64::try_from(late).unwrap()).after(until) };
                }
                GateDue::Sample => {
                    let results = sample(&outcome[..checks]);
                    taken.push((now, passes(&results)));
                    run = run.sampled(&results, now);
                }
                GateDue::Overdue => run = run.expired(now),
                GateDue::Passed => {
                    let end = run.ended_at.unwrap();
                    let since = run.passing_since.unwrap();
                    prop_assert!(Span::from_secs(stable_for).after(since) <= end);
                    let stable: Vec<_> = taken.iter().filter(|(when, _)| *when >= since).collect();
                    prop_assert!(!stable.is_empty() && stable.iter().all(|(_, passed)| *passed));
                    let longest = Span::from_secs(3 * interval);
                    prop_assert!(stable.windows(2).all(|pair| pair[1].0 <= longest.after(pair[0].0)));
                    prop_assert!(end <= LAST_CALL.after(run.deadline));
                    return Ok(());
                }
                GateDue::Failed { reason } => {
                    prop_assert!(!reason.is_empty());
                    prop_assert!(run.ended_at.unwrap() >= run.deadline, "never before its deadline");
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "it does not end: {:?}", run);
    }

    #[test]
    fn whoever_comes_at_the_deadline_ends_it(interval in 5u64..100, timeout in 1u64..1000, late in 0i64..10_000) {
        let run = run(interval, 0, timeout);
        let now = Span::from_secs(u64::try_from(late).unwrap()).after(run.deadline);
        let ended = match run.due(now) {
            GateDue::Sample => run.sampled(&sample(&[false]), now),
            GateDue::Overdue => run.expired(now),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert!(ended.status != GateStatus::Evaluating);
    }
}

#[test]
fn what_was_held_is_given_the_time_in_which_no_sample_was_taken() {
    let early = run(60, 0, 3600).resumed(at(5));
    assert_eq!((early.next_sample_at, early.deadline), (at(10), at(3600)), "none was due yet");
    let late = run(60, 0, 3600).resumed(at(7210));
    assert_eq!((late.next_sample_at, late.deadline), (at(7210), at(10_800)));
    assert_eq!(late.due(at(7210)), GateDue::Sample);
    // Under a freeze and a pause at once each of them ends the hold; the time is given back once.
    assert_eq!(late.resumed(at(7210)), late);
    let over = run(60, 0, 3600).expired(at(7210));
    assert_eq!(over.resumed(at(9000)), over);
}
