//! What a retry takes over from the attempt before it (H5): the stages that succeeded are not run again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pipeline::{StageSpec, topological_order};
use crate::stage::{StageOutcomes, StageStatus};

/// What an attempt takes over from an earlier one of the same environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CarriedOver {
    /// The earlier attempt's number.
    pub from: u32,
    /// The stages that are not run again.
    pub stages: Vec<String>,
}

/// The stages of an attempt that need not run again, in topological order: those that succeeded or were skipped, as far
/// as all before them need not run again either. What comes after a stage that runs again does too, also what always
/// runs.
#[must_use]
pub fn carried_over(stages: &[StageSpec], outcomes: &StageOutcomes) -> Vec<String> {
    let mut carried: Vec<String> = Vec::new();
    for stage in topological_order(stages).into_iter().map(|index| &stages[index]) {
        let well =
            matches!(outcomes.get(&stage.name), Some(StageStatus::Succeeded | StageStatus::Skipped { .. }));
        if well && stage.depends_on.iter().all(|before| carried.contains(before)) {
            carried.push(stage.name.clone());
        }
    }
    carried
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stages() -> Vec<StageSpec> {
        serde_json::from_value(json!([
            { "name": "build", "type": "wait" },
            { "name": "config", "type": "wait" },
            { "name": "deploy", "type": "wait", "dependsOn": ["build", "config"] },
            { "name": "clean up", "type": "wait", "dependsOn": ["deploy"], "alwaysRun": true },
            { "name": "note", "type": "wait", "dependsOn": ["config"] },
        ]))
        .unwrap()
    }

    fn carried(ends: &[(&str, StageStatus)]) -> Vec<String> {
        carried_over(&stages(), &ends.iter().map(|(name, end)| ((*name).to_owned(), end.clone())).collect())
    }

    fn failed() -> StageStatus {
        StageStatus::Failed { reason: "crash".to_owned(), evidence: None }
    }

    #[test]
    fn what_succeeded_is_carried_and_what_comes_after_a_failure_is_not() {
        let ended = StageStatus::Succeeded;
        let ends = [
            ("build", ended.clone()),
            ("config", ended.clone()),
            ("deploy", failed()),
            ("clean up", ended.clone()),
            ("note", StageStatus::Skipped { reason: "no".to_owned() }),
        ];
        assert_eq!(carried(&ends), ["build", "config", "note"], "what cleans up runs again");
        assert!(carried(&[("build", failed()), ("deploy", ended)]).is_empty());
    }
}
