//! What may start next among the stages of an attempt (T26-T28), and what they came to.

use std::collections::BTreeMap;

use super::StageStatus;
use crate::attempt::{Control, StagesVerdict};
use crate::pipeline::{FailurePolicy, StageSpec};

/// The status of each stage that has a record, by its name.
pub type StageOutcomes = BTreeMap<String, StageStatus>;

/// What a stage that has not begun may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// A stage it depends on is not at its end.
    Wait,
    /// It may begin.
    Ready,
    /// It will never begin.
    Never {
        /// Why.
        reason: String,
    },
}

/// Whether `stage` may begin.
///
/// A failed stage with policy `fail_pipeline` stops every stage that has not begun; with `fail_branch` or
/// `stop_branch` only those that depend on it; with `ignore` none. A stage that was skipped by its own condition
/// counts as passed; one that was not run ends its branch.
#[must_use]
pub fn readiness(
    stages: &[StageSpec],
    outcomes: &StageOutcomes,
    control: Control,
    stage: &StageSpec,
) -> Readiness {
    if control != Control::Running {
        return Readiness::Never { reason: "the deployment was canceled".to_owned() };
    }
    if let Some(failed) = stopped_by(stages, outcomes) {
        return Readiness::Never { reason: format!("stage `{failed}` failed") };
    }
    let mut waits = false;
    for name in &stage.depends_on {
        let policy =
            stages.iter().find(|s| &s.name == name).map_or(FailurePolicy::FailPipeline, |s| s.on_failure);
        match outcomes.get(name) {
            None | Some(StageStatus::Running | StageStatus::AwaitingAnswer { .. }) => waits = true,
            Some(StageStatus::Succeeded | StageStatus::Skipped { .. }) => {}
            Some(StageStatus::Failed { .. }) if policy == FailurePolicy::Ignore => {}
            Some(StageStatus::Failed { .. } | StageStatus::NotRun { .. } | StageStatus::Canceled { .. }) => {
                return Readiness::Never { reason: format!("stage `{name}` before it did not succeed") };
            }
        }
    }
    if waits { Readiness::Wait } else { Readiness::Ready }
}

fn stopped_by<'a>(stages: &'a [StageSpec], outcomes: &StageOutcomes) -> Option<&'a str> {
    stages
        .iter()
        .filter(|s| s.on_failure == FailurePolicy::FailPipeline)
        .find(|s| matches!(outcomes.get(&s.name), Some(StageStatus::Failed { .. })))
        .map(|s| s.name.as_str())
}

/// What the stages of an attempt came to, once each is at its end (T27, A29-A31).
#[must_use]
pub fn verdict(stages: &[StageSpec], outcomes: &StageOutcomes) -> StagesVerdict {
    let mut ignored = false;
    let mut first_failure = None;
    for stage in stages {
        match (outcomes.get(&stage.name), stage.on_failure) {
            (Some(StageStatus::Failed { .. }), FailurePolicy::Ignore) => ignored = true,
            (Some(StageStatus::Failed { .. }), FailurePolicy::StopBranch) => {}
            (
                Some(StageStatus::Failed { reason, .. }),
                FailurePolicy::FailPipeline | FailurePolicy::FailBranch,
            ) => {
                first_failure.get_or_insert_with(|| format!("stage `{}` failed: {reason}", stage.name));
            }
            (None | Some(StageStatus::Running | StageStatus::AwaitingAnswer { .. }), _) => {
                first_failure.get_or_insert_with(|| format!("stage `{}` did not come to an end", stage.name));
            }
            (Some(StageStatus::Canceled { .. }), _) => {
                first_failure.get_or_insert_with(|| format!("stage `{}` was canceled", stage.name));
            }
            (Some(StageStatus::Succeeded | StageStatus::Skipped { .. } | StageStatus::NotRun { .. }), _) => {}
        }
    }
    match (first_failure, ignored) {
        (Some(reason), _) => StagesVerdict::Failed { reason },
        (None, true) => StagesVerdict::PartiallySucceeded,
        (None, false) => StagesVerdict::Succeeded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, depends_on: &[&str], on_failure: FailurePolicy) -> StageSpec {
        StageSpec {
            name: name.to_owned(),
            stage_type: "wait".to_owned(),
            depends_on: depends_on.iter().map(|s| (*s).to_owned()).collect(),
            on_failure,
            timeout: None,
            condition: None,
            options: serde_json::Map::new(),
        }
    }

    fn outcomes(of: &[(&str, StageStatus)]) -> StageOutcomes {
        of.iter().map(|(n, s)| ((*n).to_owned(), s.clone())).collect()
    }

    fn failed() -> StageStatus {
        StageStatus::Failed { reason: "no".to_owned(), evidence: None }
    }

    #[test]
    fn a_stage_waits_for_all_it_depends_on() {
        let stages = [
            stage("a", &[], FailurePolicy::FailPipeline),
            stage("b", &[], FailurePolicy::FailPipeline),
            stage("c", &["a", "b"], FailurePolicy::FailPipeline),
        ];
        let half = outcomes(&[("a", StageStatus::Succeeded), ("b", StageStatus::Running)]);
        assert_eq!(readiness(&stages, &half, Control::Running, &stages[2]), Readiness::Wait);
        let both =
            outcomes(&[("a", StageStatus::Succeeded), ("b", StageStatus::Skipped { reason: "if".into() })]);
        assert_eq!(readiness(&stages, &both, Control::Running, &stages[2]), Readiness::Ready);
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
            let after = readiness(&stages, &now, Control::Running, &stages[1]) == Readiness::Ready;
            let other = readiness(&stages, &now, Control::Running, &stages[2]) == Readiness::Ready;
            let rest =
                if after { StageStatus::Succeeded } else { StageStatus::NotRun { reason: "x".into() } };
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
    fn a_cancel_keeps_every_stage_from_beginning() {
        let stages = [stage("a", &[], FailurePolicy::FailPipeline)];
        let never = readiness(&stages, &outcomes(&[]), Control::Stopping, &stages[0]);
        assert!(matches!(never, Readiness::Never { .. }));
    }

    #[test]
    fn a_stage_without_a_record_keeps_the_verdict_from_being_a_success() {
        let stages = [stage("a", &[], FailurePolicy::FailPipeline)];
        assert!(matches!(verdict(&stages, &outcomes(&[])), StagesVerdict::Failed { .. }));
    }
}
