//! Lanes, limits and freezes (X2, A19, A20, X14).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pilothouse_domain::settings::{FreezeOverride, Frozen, LineStop as FreezeView};
pub use pilothouse_operations::lanes::{HolderView, LaneView, PlaceView, WaitingView};

/// Which lanes to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListLanes {
    /// Only those of this application's environments.
    pub application: Option<String>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetLimit {
    /// How many deployments may be under way at once, at least 1.
    #[schemars(range(min = 1))]
    pub at_once: u32,
}

/// What is to be frozen, and why. With several of application, environment and cluster all must fit; with none everything
/// is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddFreeze {
    /// One application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The environments of one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The deployments to one cluster account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Why: it is shown to all whose deployments wait.
    pub reason: String,
    /// When it ends by itself; when somebody lifts it, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
