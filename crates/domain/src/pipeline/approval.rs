//! Who must say yes before (later also after) an environment's stages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// The approvals of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approvals {
    /// Asked for before the first stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ApprovalPolicy>,
    /// Asked for after the last stage. Not supported yet: refused when the pipeline is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ApprovalPolicy>,
}

/// One approval: who may give it, how many must, and for how long it waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// Who may approve: any of these.
    #[schemars(length(min = 1))]
    pub approvers: Vec<Approver>,
    /// How many different people must approve; 1 when absent.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub required: u32,
    /// How long the approval waits; then it is rejected. `7d` when absent.
    #[serde(default = "a_week")]
    pub timeout: Span,
    /// What the approvers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// Someone who may approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Approver {
    /// Everyone with this role.
    Role(String),
    /// This member.
    User(String),
}

const fn one() -> u32 {
    1
}

const fn a_week() -> Span {
    Span::from_secs(7 * 86_400)
}
