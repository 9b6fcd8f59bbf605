//! What is held in an environment (X4).

use pilothouse_domain::ids::ReleaseId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pilothouse_domain::hold::Hold;
pub use pilothouse_operations::view_release::HoldView;

/// Which holds of an environment to lift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LiftHold {
    /// The one that the rollback of this release put there; all of the environment when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// Why; at most 500 characters.
    pub reason: String,
}
