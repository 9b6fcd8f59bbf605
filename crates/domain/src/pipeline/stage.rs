//! A stage of an environment: the keys that every stage has, and those of its type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::FREE_NAME;
use crate::duration::Span;

/// One step of an environment's work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageSpec {
    /// The stage's name, unique in its environment.
    #[schemars(regex(pattern = FREE_NAME), length(max = 100))]
    pub name: String,
    /// What the stage does: the name of a stage type.
    #[serde(rename = "type")]
    pub stage_type: String,
    /// The stages that must have ended first (T26); none: it starts with the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// What its failure does to the others (T27).
    #[serde(default, skip_serializing_if = "FailurePolicy::is_default")]
    pub on_failure: FailurePolicy,
    /// How long it may take before it fails (T29); its type's own limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// An expression, `${ … }`; the stage is skipped when it is false (T31).
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The keys of the stage's type.
    #[serde(flatten)]
    #[schemars(skip)]
    pub options: Map<String, Value>,
}

/// What the failure of a stage does to the others (T27).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// Nothing new starts and the attempt fails.
    #[default]
    FailPipeline,
    /// This branch ends, the others finish, then the attempt fails.
    FailBranch,
    /// This branch ends, the others finish, and the attempt can still succeed.
    StopBranch,
    /// The stages after it go on; the attempt ends partially succeeded.
    Ignore,
}

impl FailurePolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::FailPipeline
    }
}
