//! Previews: what a release would do.

use pilothouse_operations::preview::Preview;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which part of a release is previewed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewOf {
    /// Only this environment; all that are not skipped when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// What a release would do, by environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Previews {
    /// In the pipeline's order.
    pub environments: Vec<Preview>,
}
