//! The API itself, and small answers.

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

/// A wait that was ended early (T37).
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
}
