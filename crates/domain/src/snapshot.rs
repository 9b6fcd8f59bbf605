//! What a stage is about to change, stored before it changes it (invariant 9, X4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attempt::AttemptRef;

/// A snapshot's record; the store compresses and splits its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRecord {
    /// The attempt that changes it.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The stage that changes it.
    pub stage: String,
    /// What was there, as the cluster crate wrote it.
    pub content: Value,
}
