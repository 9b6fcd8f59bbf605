//! Point operations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One stage in one environment, carried out as a release of its own (T3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PointOperation {
    /// What is done: `scale`, `restart`, `stop`, `start` or `undo-rollout`.
    #[serde(rename = "type")]
    pub stage_type: String,
    /// The keys of that stage type, and `trafficGuard`, `timeout` and `cluster`: `{"workload": "web", "replicas": 5}`.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// Whose environment of that name is meant, when several pipelines have one and they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
}
