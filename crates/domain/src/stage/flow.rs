//! What may start next among the stages of an attempt (T26-T28), and what they came to.

use std::collections::BTreeMap;

use super::StageStatus;
use crate::attempt::{Admission, StagesVerdict};
use crate::pipeline::{FailurePolicy, Requires, StageSpec, upstreams};

/// The status of each stage that has a record, by its name.
pub type StageOutcomes = BTreeMap<String, StageStatus>;

/// What a stage that has not begun may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// A stage before it is not at its end, or the attempt holds it back.
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
/// Nothing begins before every stage before it, near and far, is at its end. A failed stage with policy `fail_pipeline`
/// stops every stage that has not begun; with `fail_branch` or `stop_branch` it has not succeeded for those that depend on
/// it; with `ignore` it counts as succeeded, as does a stage that was skipped by its own condition. What of its
/// upstreams must have succeeded is each stage's own word (`requires`). A stage with `alwaysRun` asks for nothing but
/// their end, and only a pause holds it back.
#[must_use]
pub fn readiness(
    stages: &[StageSpec],
    outcomes: &StageOutcomes,
    admission: &Admission,
    stage: &StageSpec,
) -> Readiness {
    let failed = stopped_by(stages, outcomes);
    if !stage.always_run {
        if let Admission::Closed { reason } = admission {
            return Readiness::Never { reason: reason.clone() };
        }
        if let Some(failed) = failed.or_else(|| aborted_by(stages, outcomes, stage)) {
            return Readiness::Never { reason: format!("stage `{failed}` failed") };
        }
        if let Some(reason) = unmet(stages, outcomes, stage) {
            return Readiness::Never { reason };
        }
    }
    // What cleans up after a failure that ends the deployment does not wait until somebody resumes it.
    let held = *admission == Admission::Held && failed.is_none();
    let over = |name: &&str| outcomes.get(*name).is_some_and(StageStatus::is_terminal);
    if held || !upstreams(stages, &stage.name).iter().all(over) { Readiness::Wait } else { Readiness::Ready }
}

/// The stage that is the same as `stage` in another cluster, and whose failure ends this one too (X9).
#[must_use]
pub fn aborted_by<'a>(
    stages: &'a [StageSpec],
    outcomes: &StageOutcomes,
    stage: &StageSpec,
) -> Option<&'a str> {
    if stage.always_run || !stage.aborts_together() {
        return None;
    }
    let failed = |other: &&StageSpec| matches!(outcomes.get(&other.name), Some(StageStatus::Failed { .. }));
    let same = stages.iter().filter(|other| other.each_of == stage.each_of && other.name != stage.name);
    same.filter(failed).map(|other| other.name.as_str()).next()
}

/// The stage whose failure lets nothing new start.
fn stopped_by<'a>(stages: &'a [StageSpec], outcomes: &StageOutcomes) -> Option<&'a str> {
    stages
        .iter()
        .filter(|s| s.on_failure == FailurePolicy::FailPipeline)
        .find(|s| matches!(outcomes.get(&s.name), Some(StageStatus::Failed { .. })))
        .map(|s| s.name.as_str())
}

/// How a stage stands for one that depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Pending,
    Passed,
    NotPassed,
}

fn standing(stages: &[StageSpec], outcomes: &StageOutcomes, name: &str) -> Standing {
    match outcomes.get(name) {
        None | Some(StageStatus::Running | StageStatus::AwaitingAnswer { .. }) => Standing::Pending,
        Some(StageStatus::Succeeded | StageStatus::Skipped { .. }) => Standing::Passed,
        Some(StageStatus::Failed { .. }) if ignores(stages, name) => Standing::Passed,
        Some(StageStatus::Failed { .. } | StageStatus::NotRun { .. } | StageStatus::Canceled { .. }) => {
            Standing::NotPassed
        }
    }
}

fn ignores(stages: &[StageSpec], name: &str) -> bool {
    stages.iter().any(|s| s.name == name && s.on_failure == FailurePolicy::Ignore)
}

/// Why what the stage requires of those before it cannot come true any more (T28).
fn unmet(stages: &[StageSpec], outcomes: &StageOutcomes, stage: &StageSpec) -> Option<String> {
    let standing = |name: &String| standing(stages, outcomes, name);
    let missing = |names: &[String]| {
        let name = names.iter().find(|name| standing(name) == Standing::NotPassed)?;
        Some(format!("stage `{name}` before it did not succeed"))
    };
    match &stage.requires {
        Requires::All => missing(&stage.depends_on),
        Requires::Named(names) => missing(names),
        Requires::Any => {
            let none = !stage.depends_on.is_empty()
                && stage.depends_on.iter().all(|n| standing(n) == Standing::NotPassed);
            none.then(|| "none of the stages before it succeeded".to_owned())
        }
    }
}

/// What the stages of an attempt came to, once each is at its end (T27, A29-A31).
///
/// It failed if a stage failed whose policy is `fail_pipeline` or `fail_branch`, was cancelled, or is not at its end;
/// otherwise it partially succeeded if a stage failed whose policy is `ignore`. What was skipped or not run, and what
/// failed with `stop_branch`, leaves the verdict to the others.
#[must_use]
pub fn verdict(stages: &[StageSpec], outcomes: &StageOutcomes) -> StagesVerdict {
    let failed = |stage: &&StageSpec| matches!(outcomes.get(&stage.name), Some(StageStatus::Failed { .. }));
    // What failed says more than what was canceled because of it.
    let first = stages.iter().filter(failed).chain(stages.iter().filter(|stage| !failed(stage)));
    if let Some(reason) = first.into_iter().find_map(|stage| failure(stage, outcomes.get(&stage.name))) {
        return StagesVerdict::Failed { reason };
    }
    match stages.iter().filter(failed).any(|stage| stage.on_failure == FailurePolicy::Ignore) {
        true => StagesVerdict::PartiallySucceeded,
        false => StagesVerdict::Succeeded,
    }
}

/// What of a stage makes the attempt fail.
fn failure(stage: &StageSpec, status: Option<&StageStatus>) -> Option<String> {
    let name = &stage.name;
    match status {
        None | Some(StageStatus::Running | StageStatus::AwaitingAnswer { .. }) => {
            Some(format!("stage `{name}` did not come to an end"))
        }
        Some(StageStatus::Canceled { .. }) => Some(format!("stage `{name}` was canceled")),
        Some(StageStatus::Failed { reason, .. }) => match stage.on_failure {
            FailurePolicy::FailPipeline | FailurePolicy::FailBranch => {
                Some(format!("stage `{name}` failed: {reason}"))
            }
            FailurePolicy::StopBranch | FailurePolicy::Ignore => None,
        },
        Some(StageStatus::Succeeded | StageStatus::Skipped { .. } | StageStatus::NotRun { .. }) => None,
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
