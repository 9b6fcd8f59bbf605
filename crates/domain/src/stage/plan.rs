//! The stages that an attempt runs: its environment's, or those that take another attempt back.

use serde_json::{Map, Value};

use crate::attempt::{Attempt, AttemptKind, ROLLBACK_TIMEOUT, UndoStep};
use crate::duration::Span;
use crate::pipeline::{ClusterOrder, FailurePolicy, Requires, StageSpec};
use crate::release::Release;

/// The stage type that takes back what another stage changed.
pub const UNDO: &str = "undo";

/// The names under which the steps are taken back, each its own: `Undo Deploy`, and `Undo Deploy (attempt 1)` for a stage
/// of an earlier attempt.
#[must_use]
pub fn undo_names(steps: &[UndoStep]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(steps.len());
    for step in steps {
        let mut name = match step.attempt {
            None => format!("Undo {}", step.stage),
            Some(attempt) => format!("Undo {} (attempt {attempt})", step.stage),
        };
        // A stage may itself be called `Deploy (attempt 1)`.
        while names.contains(&name) {
            name.push_str(" again");
        }
        names.push(name);
    }
    names
}

/// The stages of an attempt: those of its environment; for a rollback those of the pipeline that it runs (V1), or one
/// after the other those that take back what was changed, last change first (X4).
#[must_use]
pub fn stages_of(release: &Release, attempt: &Attempt) -> Vec<StageSpec> {
    match &attempt.kind {
        AttemptKind::Deploy | AttemptKind::Redeploy => {
            release.environment(&attempt.at.environment).map(|e| e.stages.clone()).unwrap_or_default()
        }
        AttemptKind::Rollback { stages, terms, .. } => match &terms.pipeline {
            Some(pipeline) => pipeline.stages.clone(),
            None => undo_stages(stages, terms.timeout.unwrap_or(ROLLBACK_TIMEOUT)),
        },
    }
}

fn undo_stages(steps: &[UndoStep], timeout: Span) -> Vec<StageSpec> {
    let names = undo_names(steps);
    let before = std::iter::once(None).chain(names.iter().cloned().map(Some));
    let all = steps.iter().zip(&names).zip(before);
    all.map(|((step, name), previous)| undo_stage(step, name, previous, timeout)).collect()
}

fn undo_stage(step: &UndoStep, name: &str, previous: Option<String>, timeout: Span) -> StageSpec {
    let mut options = Map::from_iter([("stage".to_owned(), Value::from(step.stage.as_str()))]);
    if let Some(attempt) = step.attempt {
        options.insert("attempt".to_owned(), Value::from(attempt));
    }
    StageSpec {
        name: name.to_owned(),
        stage_type: UNDO.to_owned(),
        depends_on: previous.into_iter().collect(),
        requires: Requires::All,
        always_run: false,
        on_failure: FailurePolicy::FailPipeline,
        timeout: Some(timeout),
        condition: None,
        rollback: None,
        traffic_guard: None,
        notify: Vec::new(),
        cluster: step.cluster.clone(),
        clusters: Vec::new(),
        cluster_order: ClusterOrder::Parallel,
        each_of: None,
        options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_name_of_its_own_and_follows_the_one_before() {
        let of = |stage: &str, attempt| UndoStep { stage: stage.to_owned(), attempt, cluster: None };
        let steps = [of("Deploy", None), of("Deploy (attempt 1)", None), of("Deploy", Some(1))];
        let stages = undo_stages(&steps, ROLLBACK_TIMEOUT);
        let names: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["Undo Deploy", "Undo Deploy (attempt 1)", "Undo Deploy (attempt 1) again"]);
        assert_eq!(stages[2].depends_on, [names[1]]);
        assert_eq!(stages[2].options["attempt"], 1);
        assert!(stages[0].depends_on.is_empty() && !stages[0].options.contains_key("attempt"));
    }
}
