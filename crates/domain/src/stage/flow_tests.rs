use proptest::prelude::*;
use serde_json::json;

use super::*;

fn stage(name: &str, depends_on: &[&str], on_failure: FailurePolicy) -> StageSpec {
    let spec = json!({"name": name, "type": "wait", "dependsOn": depends_on});
    StageSpec { on_failure, ..serde_json::from_value(spec).unwrap() }
}

fn outcomes(of: &[(&str, StageStatus)]) -> StageOutcomes {
    of.iter().map(|(n, s)| ((*n).to_owned(), s.clone())).collect()
}

fn failed() -> StageStatus {
    StageStatus::Failed { reason: "no".to_owned(), evidence: None }
}

fn not_run() -> StageStatus {
    StageStatus::NotRun { reason: "x".to_owned() }
}

fn skipped() -> StageStatus {
    StageStatus::Skipped { reason: "if".to_owned() }
}

fn closed() -> Admission {
    Admission::Closed { reason: "the deployment was canceled".to_owned() }
}

fn never(readiness: &Readiness) -> Option<&str> {
    if let Readiness::Never { reason } = readiness { Some(reason) } else { None }
}

#[test]
fn a_stage_waits_for_all_it_depends_on() {
    let stages = [
        stage("a", &[], FailurePolicy::FailPipeline),
        stage("b", &[], FailurePolicy::FailPipeline),
        stage("c", &["a", "b"], FailurePolicy::FailPipeline),
    ];
    let half = outcomes(&[("a", StageStatus::Succeeded), ("b", StageStatus::Running)]);
    assert_eq!(readiness(&stages, &half, &Admission::Open, &stages[2]), Readiness::Wait);
    let both = outcomes(&[("a", StageStatus::Succeeded), ("b", skipped())]);
    assert_eq!(readiness(&stages, &both, &Admission::Open, &stages[2]), Readiness::Ready);
}

#[test]
fn each_failure_policy_stops_what_it_names_and_gives_its_verdict() {
    let run = |policy| {
        let stages = [
            stage("a", &[], policy),
            stage("after-a", &["a"], FailurePolicy::FailPipeline),
            stage("other", &[], FailurePolicy::FailPipeline),
        ];
        let now = outcomes(&[("a", failed())]);
        let after = readiness(&stages, &now, &Admission::Open, &stages[1]) == Readiness::Ready;
        let other = readiness(&stages, &now, &Admission::Open, &stages[2]) == Readiness::Ready;
        let rest = if after { StageStatus::Succeeded } else { not_run() };
        let end = outcomes(&[("a", failed()), ("after-a", rest), ("other", StageStatus::Succeeded)]);
        (after, other, verdict(&stages, &end))
    };
    let fails = StagesVerdict::Failed { reason: "stage `a` failed: no".to_owned() };
    assert_eq!(run(FailurePolicy::FailPipeline), (false, false, fails.clone()));
    assert_eq!(run(FailurePolicy::FailBranch), (false, true, fails));
    assert_eq!(run(FailurePolicy::StopBranch), (false, true, StagesVerdict::Succeeded));
    assert_eq!(run(FailurePolicy::Ignore), (true, true, StagesVerdict::PartiallySucceeded));
}

#[test]
fn a_join_asks_of_those_before_it_what_it_requires() {
    let join = |requires: Requires, a: StageStatus, b: StageStatus| {
        let stages = [
            stage("a", &[], FailurePolicy::StopBranch),
            stage("b", &[], FailurePolicy::StopBranch),
            StageSpec { requires, ..stage("join", &["a", "b"], FailurePolicy::FailPipeline) },
        ];
        readiness(&stages, &outcomes(&[("a", a), ("b", b)]), &Admission::Open, &stages[2])
    };
    let named = || Requires::Named(vec!["a".to_owned()]);
    assert_eq!(
        never(&join(Requires::All, failed(), StageStatus::Running)),
        Some("stage `a` before it did not succeed")
    );
    assert_eq!(join(Requires::Any, failed(), StageStatus::Running), Readiness::Wait);
    assert_eq!(join(Requires::Any, failed(), StageStatus::Succeeded), Readiness::Ready);
    assert_eq!(join(Requires::Any, StageStatus::Succeeded, StageStatus::Running), Readiness::Wait);
    assert_eq!(
        never(&join(Requires::Any, failed(), not_run())),
        Some("none of the stages before it succeeded")
    );
    assert_eq!(join(Requires::Any, skipped(), skipped()), Readiness::Ready);
    assert_eq!(join(named(), StageStatus::Succeeded, failed()), Readiness::Ready);
    assert_eq!(join(named(), StageStatus::Succeeded, StageStatus::Running), Readiness::Wait);
    assert_eq!(
        never(&join(named(), failed(), StageStatus::Succeeded)),
        Some("stage `a` before it did not succeed")
    );
}

#[test]
fn what_always_runs_begins_when_all_before_it_is_at_its_end_whatever_that_was() {
    let mut stages = [
        stage("slow", &[], FailurePolicy::FailPipeline),
        stage("bad", &[], FailurePolicy::FailPipeline),
        stage("join", &["slow", "bad"], FailurePolicy::FailPipeline),
        stage("clean up", &["join"], FailurePolicy::FailPipeline),
    ];
    stages[3].always_run = true;
    let ready = |slow: StageStatus, admission: &Admission| {
        let now = outcomes(&[("slow", slow), ("bad", failed()), ("join", not_run())]);
        readiness(&stages, &now, admission, &stages[3])
    };
    // `join` is passed over as soon as `bad` fails; what is far before still runs.
    assert_eq!(ready(StageStatus::Running, &Admission::Open), Readiness::Wait);
    assert_eq!(ready(StageStatus::Succeeded, &Admission::Open), Readiness::Ready);
    assert_eq!(ready(StageStatus::Canceled { by: "bob".into(), left: None }, &closed()), Readiness::Ready);
    // A failure while it is paused ends the deployment (N15): nobody has to resume it first.
    assert_eq!(ready(StageStatus::Succeeded, &Admission::Held), Readiness::Ready);
}

#[test]
fn a_pause_holds_everything_back_and_a_cancel_ends_what_has_not_begun() {
    let mut stages =
        [stage("a", &[], FailurePolicy::FailPipeline), stage("b", &[], FailurePolicy::FailPipeline)];
    stages[1].always_run = true;
    let of =
        |admission: &Admission| stages.each_ref().map(|s| readiness(&stages, &outcomes(&[]), admission, s));
    assert_eq!(of(&Admission::Open), [Readiness::Ready, Readiness::Ready]);
    assert_eq!(of(&Admission::Held), [Readiness::Wait, Readiness::Wait]);
    let [a, b] = of(&closed());
    assert_eq!((never(&a), b), (Some("the deployment was canceled"), Readiness::Ready));
}

#[test]
fn a_stage_without_a_record_keeps_the_verdict_from_being_a_success() {
    let stages = [stage("a", &[], FailurePolicy::FailPipeline)];
    assert!(matches!(verdict(&stages, &outcomes(&[])), StagesVerdict::Failed { .. }));
}

/// What becomes of one stage: its place in the graph, its policies, and its end if it is begun.
#[derive(Debug, Clone)]
struct Fate {
    edges: u8,
    requires: u8,
    always_run: bool,
    policy: FailurePolicy,
    end: StageStatus,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let policy = prop_oneof![
        Just(FailurePolicy::FailPipeline),
        Just(FailurePolicy::FailBranch),
        Just(FailurePolicy::StopBranch),
        Just(FailurePolicy::Ignore),
    ];
    let end = prop_oneof![3 => Just(StageStatus::Succeeded), 2 => Just(failed()), 1 => Just(skipped())];
    let fate = (any::<u8>(), any::<u8>(), prop::bool::weighted(0.2), policy, end);
    let fate = fate.prop_map(|(edges, requires, always_run, policy, end)| Fate {
        edges,
        requires,
        always_run,
        policy,
        end,
    });
    prop::collection::vec(fate, 1..8)
}

/// Stage `n` may depend on those with a smaller number.
fn stages_of(fates: &[Fate]) -> Vec<StageSpec> {
    let bits = |bits: u8, index: usize| (0..index).filter(move |n| bits >> n & 1 == 1).map(|n| n.to_string());
    let spec = |(index, fate): (usize, &Fate)| {
        let before: Vec<String> = bits(fate.edges, index).collect();
        let named: Vec<String> = bits(fate.edges & fate.requires, index).collect();
        let requires = match fate.requires % 3 {
            _ if fate.always_run || named.is_empty() => Requires::All,
            0 => Requires::All,
            1 => Requires::Any,
            _ => Requires::Named(named),
        };
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let plain = stage(&index.to_string(), &before, fate.policy);
        StageSpec { requires, always_run: fate.always_run, ..plain }
    };
    fates.iter().enumerate().map(spec).collect()
}

/// What a stage may be begun in spite of, told once more in other words than the code's.
fn may_begin(stages: &[StageSpec], now: &StageOutcomes, admission: &Admission, stage: &StageSpec) -> bool {
    let far = |name: &&str| now.get(*name).is_some_and(StageStatus::is_terminal);
    if !upstreams(stages, &stage.name).iter().all(far) {
        return false;
    }
    if stage.always_run {
        return true;
    }
    let good = |name: &String| match &now[name] {
        StageStatus::Succeeded | StageStatus::Skipped { .. } => true,
        StageStatus::Failed { .. } => {
            stages.iter().any(|s| s.name == *name && s.on_failure == FailurePolicy::Ignore)
        }
        _ => false,
    };
    let fatal = stages.iter().any(|s| {
        s.on_failure == FailurePolicy::FailPipeline
            && matches!(now.get(&s.name), Some(StageStatus::Failed { .. }))
    });
    let required = match &stage.requires {
        Requires::All => stage.depends_on.iter().all(good),
        Requires::Any => stage.depends_on.iter().any(good) || stage.depends_on.is_empty(),
        Requires::Named(names) => names.iter().all(good),
    };
    required && !fatal && *admission == Admission::Open
}

/// What T27 says of the whole.
fn settled(stages: &[StageSpec], end: &StageOutcomes) -> StagesVerdict {
    let failed = |policies: &[FailurePolicy]| {
        stages
            .iter()
            .any(|s| policies.contains(&s.on_failure) && matches!(end[&s.name], StageStatus::Failed { .. }))
    };
    let canceled = end.values().any(|s| matches!(s, StageStatus::Canceled { .. }));
    if canceled || failed(&[FailurePolicy::FailPipeline, FailurePolicy::FailBranch]) {
        StagesVerdict::Failed { reason: String::new() }
    } else if failed(&[FailurePolicy::Ignore]) {
        StagesVerdict::PartiallySucceeded
    } else {
        StagesVerdict::Succeeded
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Random graphs, policies and ends, played in a random order, with a cancel at a random moment or none.
    #[test]
    fn every_stage_ends_and_none_begins_that_may_not(
        fates in fates(),
        turns in prop::collection::vec(any::<u8>(), 60),
        cancel in prop::option::of(0..12usize),
    ) {
        let stages = stages_of(&fates);
        let mut now = StageOutcomes::new();
        for (turn, dice) in turns.into_iter().enumerate() {
            let cancelled = cancel.is_some_and(|at| at <= turn);
            let admission = if cancelled { closed() } else { Admission::Open };
            let mut moves: Vec<(usize, StageStatus)> = Vec::new();
            for (index, spec) in stages.iter().enumerate() {
                match now.get(&spec.name) {
                    Some(StageStatus::Running) if cancelled && !spec.always_run => {
                        moves.push((index, StageStatus::Canceled { by: "bob".to_owned(), left: None }));
                    }
                    Some(StageStatus::Running) => moves.push((index, fates[index].end.clone())),
                    Some(_) => {}
                    None => match readiness(&stages, &now, &admission, spec) {
                        Readiness::Ready => {
                            prop_assert!(may_begin(&stages, &now, &admission, spec), "{spec:?} {now:?}");
                            let skips = matches!(fates[index].end, StageStatus::Skipped { .. });
                            moves.push((index, if skips { skipped() } else { StageStatus::Running }));
                        }
                        Readiness::Never { reason } => moves.push((index, StageStatus::NotRun { reason })),
                        Readiness::Wait => {}
                    },
                }
            }
            if moves.is_empty() {
                break;
            }
            let (index, status) = moves.swap_remove(usize::from(dice) % moves.len());
            now.insert(stages[index].name.clone(), status);
        }
        for spec in &stages {
            prop_assert!(now.get(&spec.name).is_some_and(StageStatus::is_terminal), "{} of {now:?}", spec.name);
            if spec.always_run {
                let left_out = matches!(now[&spec.name], StageStatus::NotRun { .. } | StageStatus::Canceled { .. });
                prop_assert!(!left_out, "{} of {now:?}", spec.name);
            }
        }
        let same = |a: &StagesVerdict, b: &StagesVerdict| std::mem::discriminant(a) == std::mem::discriminant(b);
        prop_assert!(same(&verdict(&stages, &now), &settled(&stages, &now)), "{now:?}");
    }

    /// What a pause holds back is what may begin once it is resumed: it decides nothing by itself.
    #[test]
    fn a_pause_only_makes_wait_what_would_begin(fates in fates(), seen in prop::collection::vec(0..6usize, 8)) {
        let stages = stages_of(&fates);
        let status = |n: usize| match n {
            0 => None,
            1 => Some(StageStatus::Running),
            2 => Some(StageStatus::Succeeded),
            3 => Some(failed()),
            4 => Some(skipped()),
            _ => Some(not_run()),
        };
        let known = stages.iter().zip(seen).filter_map(|(s, n)| Some((s.name.clone(), status(n)?)));
        let now: StageOutcomes = known.collect();
        for spec in &stages {
            let open = readiness(&stages, &now, &Admission::Open, spec);
            let held = readiness(&stages, &now, &Admission::Held, spec);
            if open == Readiness::Ready && held != open {
                prop_assert_eq!(held, Readiness::Wait);
            } else {
                prop_assert_eq!(held, open);
            }
        }
    }
}

/// One stage in two clusters, as a release has it (X9).
fn in_two_clusters(on_failure: FailurePolicy) -> Vec<StageSpec> {
    let mut written = stage("Deploy", &[], on_failure);
    written.clusters = vec!["eu".to_owned(), "us".to_owned()];
    crate::pipeline::over_clusters(&[written, stage("other", &[], FailurePolicy::FailPipeline)])
}

#[test]
fn a_failure_in_one_cluster_ends_the_stage_in_the_others_where_it_fails_the_deployment() {
    let aborted = |policy| {
        let stages = in_two_clusters(policy);
        let now = outcomes(&[("Deploy (us)", failed()), ("Deploy (eu)", StageStatus::Running)]);
        let by = aborted_by(&stages, &now, &stages[0]).map(str::to_owned);
        assert_eq!(aborted_by(&stages, &now, &stages[1]), None, "it does not end itself");
        let late = outcomes(&[("Deploy (us)", failed())]);
        (by, never(&readiness(&stages, &late, &Admission::Open, &stages[0])).is_some())
    };
    let us = || Some("Deploy (us)".to_owned());
    assert_eq!(aborted(FailurePolicy::FailPipeline), (us(), true));
    assert_eq!(aborted(FailurePolicy::FailBranch), (us(), true));
    assert_eq!(aborted(FailurePolicy::StopBranch), (None, false));
    assert_eq!(aborted(FailurePolicy::Ignore), (None, false));
}

#[test]
fn the_verdict_names_what_failed_and_not_what_was_canceled_for_it() {
    let stages = in_two_clusters(FailurePolicy::FailBranch);
    let canceled = StageStatus::Canceled { by: "the failure of `Deploy (us)`".to_owned(), left: None };
    let end =
        outcomes(&[("Deploy (eu)", canceled), ("Deploy (us)", failed()), ("other", StageStatus::Succeeded)]);
    let reason = "stage `Deploy (us)` failed: no".to_owned();
    assert_eq!(verdict(&stages, &end), StagesVerdict::Failed { reason });
}
