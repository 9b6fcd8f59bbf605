//! The samples of gates (A34-A38).

use jiff::Timestamp;
use pilothouse_domain::gate::{CheckResult, GateSample, GateSide};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pilothouse_operations::view_release::{GateCheckView, GateState, GateView};

/// One sample of a gate: every check at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateSampleView {
    /// The environment.
    pub environment: String,
    /// The attempt.
    pub attempt: u32,
    /// On which side of the stages the gate stands.
    pub side: GateSide,
    /// Counted from 1.
    pub sample: u32,
    /// When it began.
    pub taken_at: Timestamp,
    /// Whether every check passed.
    pub passed: bool,
    /// What the checks came to.
    pub checks: Vec<CheckResult>,
}

impl From<GateSample> for GateSampleView {
    fn from(sample: GateSample) -> Self {
        Self {
            environment: sample.at.environment,
            attempt: sample.at.number,
            side: sample.side,
            sample: sample.sample,
            taken_at: sample.taken_at,
            passed: sample.passed,
            checks: sample.checks,
        }
    }
}

/// Which samples to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListSamples {
    /// At most so many; 50 when absent, 100 at most.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
}
