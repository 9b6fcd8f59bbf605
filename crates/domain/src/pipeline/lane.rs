//! How many deployments an environment takes at once, and what becomes of the others (X2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an environment's deployments take turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LaneSpec {
    /// What becomes of a deployment while the environment is taken.
    #[serde(default)]
    pub policy: LanePolicy,
    /// How many may be in the environment at once; 1 when absent. Not with the policy `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: Option<u32>,
}

/// What becomes of a deployment while its environment is taken. A rollback always waits, before all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LanePolicy {
    /// It waits for its turn: first come, first served.
    #[default]
    Sequential,
    /// The environment is never taken: all go in at once.
    All,
    /// It waits, and those that waited before it are canceled.
    LatestOnly,
    /// It is canceled.
    Reject,
}

impl LaneSpec {
    /// How many may be in the environment at once; `None`: any number.
    #[must_use]
    pub fn at_once(&self) -> Option<u32> {
        match self.policy {
            LanePolicy::All => None,
            _ => Some(self.at_once.unwrap_or(1).max(1)),
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
