//! The stage that started a release (T36).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRef;
use crate::ids::{ReleaseId, StageRunId};

/// The stage of another release that started this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentStage {
    /// The release that it belongs to.
    pub release: ReleaseId,
    /// That release's application.
    pub application: String,
    /// That release's pipeline.
    pub pipeline: String,
    /// The environment that it runs in.
    pub environment: String,
    /// The number of its deployment attempt there.
    pub attempt: u32,
    /// The stage's name.
    pub stage: String,
    /// The stage's run.
    pub run: StageRunId,
    /// Whether it waits for this release: then it is cancelled with it.
    pub waited: bool,
    /// Who or what had started the release above.
    pub by: String,
    /// The people who started the release above or its deployment: where that is forbidden (`selfApproval`), none of them
    /// approves here either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub started_by: Vec<String>,
}

impl ParentStage {
    /// The attempt that the stage runs in.
    #[must_use]
    pub fn at(&self) -> AttemptRef {
        AttemptRef {
            release: self.release.clone(),
            environment: self.environment.clone(),
            number: self.attempt,
        }
    }

    /// One phrase for people: ``stage `Deploy db` of rel_… (shop/web, dev)``.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { stage, release, application, pipeline, environment, .. } = self;
        format!("stage `{stage}` of {release} ({application}/{pipeline}, {environment})")
    }
}
