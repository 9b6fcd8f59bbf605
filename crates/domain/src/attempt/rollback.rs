//! How an attempt takes others back (H6, V1, X4): by the snapshots that they left, or by a pipeline made for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attempt, AttemptKind};
use crate::artifact::Artifact;
use crate::duration::Span;
use crate::ids::ReleaseId;
use crate::pipeline::StageSpec;
use crate::release::Release;

/// How long a whole rollback may take when its environment does not say (X4).
pub const ROLLBACK_TIMEOUT: Span = Span::from_secs(900);

/// One stage to take back.
///
/// Written as the stage's name alone when it belongs to the attempt that the rollback undoes, as
/// `{"stage": …, "attempt": …}` when it belongs to an earlier attempt of the same release, and with its `cluster` when
/// that is not the environment's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(from = "UndoStepWritten", into = "UndoStepWritten")]
#[schemars(with = "UndoStepWritten")]
pub struct UndoStep {
    /// The stage's name.
    pub stage: String,
    /// The attempt it ran in; `None`: the one that the rollback undoes.
    pub attempt: Option<u32>,
    /// The cluster account that it acted on; `None`: the environment's.
    pub cluster: Option<String>,
}

/// How [`UndoStep`] is stored.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "UndoStep")]
enum UndoStepWritten {
    /// A stage of the attempt that is undone.
    Name(String),
    /// A stage that acted on another cluster than the environment's.
    On {
        /// The stage's name.
        stage: String,
        /// The cluster account.
        cluster: String,
        /// The attempt's number, if it is an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
    },
    /// A stage of an earlier attempt.
    Of {
        /// The stage's name.
        stage: String,
        /// The attempt's number.
        attempt: u32,
    },
}

impl From<UndoStepWritten> for UndoStep {
    fn from(written: UndoStepWritten) -> Self {
        match written {
            UndoStepWritten::Name(stage) => Self { stage, attempt: None, cluster: None },
            UndoStepWritten::On { stage, cluster, attempt } => {
                Self { stage, attempt, cluster: Some(cluster) }
            }
            UndoStepWritten::Of { stage, attempt } => Self { stage, attempt: Some(attempt), cluster: None },
        }
    }
}

impl From<UndoStep> for UndoStepWritten {
    fn from(step: UndoStep) -> Self {
        match step {
            UndoStep { stage, attempt, cluster: Some(cluster) } => Self::On { stage, cluster, attempt },
            UndoStep { stage, attempt: None, cluster: None } => Self::Name(stage),
            UndoStep { stage, attempt: Some(attempt), cluster: None } => Self::Of { stage, attempt },
        }
    }
}

impl From<&str> for UndoStep {
    fn from(stage: &str) -> Self {
        Self { stage: stage.to_owned(), attempt: None, cluster: None }
    }
}

/// What a rollback works with beside the stages to take back, fixed when it is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackTerms {
    /// How long its stages may take together; [`ROLLBACK_TIMEOUT`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The release whose deployment the environment goes back to; absent when nothing was deployed there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<ReleaseId>,
    /// Why it does not do what its environment asks for: which pipeline could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The pipeline that it runs (V1, V7); absent: it restores what was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Box<RollbackPipeline>>,
}

/// A rollback pipeline as it was when the rollback began: a rollback under way finishes on that version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPipeline {
    /// Its name.
    pub name: String,
    /// Its revision.
    pub revision: u32,
    /// The stages of its environment.
    pub stages: Vec<StageSpec>,
    /// The release that is gone back to: `rollback.release` in expressions.
    pub release: ReleaseId,
    /// What that release carries (V7: the old image).
    pub artifacts: Vec<Artifact>,
    /// What the release carries that is taken back: `rollback.artifacts` in expressions. Empty in older records.
    #[serde(default)]
    pub taken_back: Vec<Artifact>,
    /// The parameters: the rollback pipeline's defaults, and those of the release that is taken back.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What triggered it: `rollback.trigger` in expressions.
    pub trigger: String,
    /// The stage that failed, if one did: `rollback.stage` in expressions, empty otherwise.
    #[serde(default)]
    pub stage: String,
}

impl Attempt {
    /// What this rollback works with; `None` for a deployment.
    #[must_use]
    pub fn rollback_terms(&self) -> Option<&RollbackTerms> {
        match &self.kind {
            AttemptKind::Rollback { terms, .. } => Some(terms),
            AttemptKind::Deploy | AttemptKind::Redeploy => None,
        }
    }

    /// The pipeline that this rollback runs.
    #[must_use]
    pub fn rollback_pipeline(&self) -> Option<&RollbackPipeline> {
        self.rollback_terms()?.pipeline.as_deref()
    }

    /// When all its stages must be at their end: set for a rollback once they began (X4). Its time stands still while it
    /// is paused or interrupted, and then there is none.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let terms = self.rollback_terms()?;
        self.held.put_off(terms.timeout.unwrap_or(ROLLBACK_TIMEOUT).after(self.started_at?))
    }
}

impl Release {
    /// The release as the stages of `attempt` see it: a rollback pipeline deploys the artifacts of the release that is
    /// gone back to (V7).
    #[must_use]
    pub fn seen_by(self, attempt: &Attempt) -> Self {
        match attempt.rollback_pipeline() {
            Some(pipeline) => Self {
                artifacts: pipeline.artifacts.clone(),
                parameters: pipeline.parameters.clone(),
                ..self
            },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_old_records_are_names_and_are_still_written_so() {
        let old: Vec<UndoStep> = serde_json::from_str(r#"["Deploy", "Config"]"#).unwrap();
        assert_eq!(old, [UndoStep::from("Deploy"), UndoStep::from("Config")]);
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"["Deploy","Config"]"#);
        let chain = vec![UndoStep { stage: "Deploy".to_owned(), attempt: Some(1), cluster: None }];
        let text = serde_json::to_string(&chain).unwrap();
        assert_eq!(text, r#"[{"stage":"Deploy","attempt":1}]"#);
        assert_eq!(serde_json::from_str::<Vec<UndoStep>>(&text).unwrap(), chain);
        let there =
            |attempt| UndoStep { attempt, cluster: Some("eu".to_owned()), ..UndoStep::from("Deploy (eu)") };
        let text = serde_json::to_string(&[there(None), there(Some(2))]).unwrap();
        assert_eq!(
            text,
            r#"[{"stage":"Deploy (eu)","cluster":"eu"},{"stage":"Deploy (eu)","cluster":"eu","attempt":2}]"#
        );
        assert_eq!(serde_json::from_str::<Vec<UndoStep>>(&text).unwrap(), [there(None), there(Some(2))]);
    }

    #[test]
    fn a_rollback_of_before_this_version_reads_with_the_usual_bound() {
        let kind: AttemptKind = serde_json::from_value(serde_json::json!({
            "kind": "rollback",
            "undoes": { "release": "rel_00000000010000000000000001", "environment": "prod", "number": 1 },
            "reason": { "why": "requested", "by": "ann" },
            "stages": ["Deploy"],
        }))
        .unwrap();
        let AttemptKind::Rollback { terms, stages, .. } = kind else { panic!("a rollback") };
        assert_eq!((terms, stages.len()), (RollbackTerms::default(), 1));
    }
}
