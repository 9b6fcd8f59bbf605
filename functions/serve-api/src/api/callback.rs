//! Callbacks of webhook stages (T38).

use pilothouse_domain::ids::ReleaseId;
use pilothouse_operations::stages::webhook::CallbackStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was called back was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallbackTaken {
    /// The release.
    pub release: ReleaseId,
    /// The environment.
    pub environment: String,
    /// The attempt there.
    pub attempt: u32,
    /// The stage that waited.
    pub stage: String,
    /// What was said.
    pub status: CallbackStatus,
}
