//! The stages that an attempt runs: its environment's, or those that take another attempt back.

use serde_json::{Map, Value, json};

use crate::attempt::{Attempt, AttemptKind};
use crate::duration::Span;
use crate::pipeline::{FailurePolicy, Requires, StageSpec};
use crate::release::Release;

/// The stage type that takes back what another stage changed.
pub const UNDO: &str = "undo";

/// How long taking one stage back may take.
const UNDO_TIMEOUT: Span = Span::from_secs(900);

/// The name under which a stage is taken back.
#[must_use]
pub fn undo_name(stage: &str) -> String {
    format!("Undo {stage}")
}

/// The stages of an attempt: those of its environment, or for a rollback (V1, X4) one after the other those that
/// take back what the undone attempt changed, last change first.
#[must_use]
pub fn stages_of(release: &Release, attempt: &Attempt) -> Vec<StageSpec> {
    match &attempt.kind {
        AttemptKind::Deploy | AttemptKind::Redeploy => {
            release.environment(&attempt.at.environment).map(|e| e.stages.clone()).unwrap_or_default()
        }
        AttemptKind::Rollback { stages, .. } => {
            let before = stages.iter().map(Some).rev().skip(1).rev();
            stages
                .iter()
                .zip(std::iter::once(None).chain(before))
                .map(|(stage, previous)| undo_stage(stage, previous.map(String::as_str)))
                .collect()
        }
    }
}

fn undo_stage(stage: &str, previous: Option<&str>) -> StageSpec {
    let options: Map<String, Value> = match json!({ "stage": stage }) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    StageSpec {
        name: undo_name(stage),
        stage_type: UNDO.to_owned(),
        depends_on: previous.map(undo_name).into_iter().collect(),
        requires: Requires::All,
        always_run: false,
        on_failure: FailurePolicy::FailPipeline,
        timeout: Some(UNDO_TIMEOUT),
        condition: None,
        options,
    }
}
