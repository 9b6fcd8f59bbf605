//! The API itself, and small answers.

use jiff::Timestamp;
use pilothouse_domain::duration::Span;
use pilothouse_domain::token::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StageState;

/// That the API answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The version of Pilothouse.
    pub version: String,
}

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whoami {
    /// The token's name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// What the role allows: `read`, `operate`, `decide`, `administer`.
    pub permissions: Vec<String>,
}

/// Rolling back by hand (H6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollBack {
    /// Take back fields that others have changed since the deployment, too. Without it they are left, and told (X4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Ending a wait early (T37).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SkipStage {
    /// What may be left of the wait from now on: `30s`. Nothing when absent. It never becomes longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Span>,
    /// Whether whoever asks has read the wait's warning: needed where it has one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
}

/// A wait that was ended early, or shortened (T37).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedStage {
    /// The environment.
    pub environment: String,
    /// The attempt.
    pub attempt: u32,
    /// The stage.
    pub stage: String,
    /// Where the stage stood when its wait was ended: it goes on by itself.
    pub status: StageState,
    /// When the wait ends, if it was shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
