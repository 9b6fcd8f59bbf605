//! Approvals.

pub use pilothouse_operations::view_release::ApprovalView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decide {
    /// What the decider says; the timeline keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The answer, where answers are offered (T35).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// Which open approvals to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListApprovals {
    /// At most so many; 50 when absent, 100 at most.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
}
