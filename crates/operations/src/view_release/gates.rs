//! Gates as they are shown with their attempt (A34-A38).

use jiff::Timestamp;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::gate::{GateRun, GateSide, GateStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GateState {
    /// Samples are taken.
    Evaluating,
    /// All checks passed for long enough.
    Passed,
    /// It did not pass in its time.
    Failed,
    /// Its attempt ended before it did.
    Canceled,
}

/// A gate of an attempt, with the sample that was taken last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    /// On which side of the stages it stands.
    pub side: GateSide,
    /// Where it stands.
    pub status: GateState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// When it passed or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How many samples were taken.
    pub samples: u32,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sample_at: Option<Timestamp>,
    /// Since when every sample passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passing_since: Option<Timestamp>,
    /// For how long every sample must pass, as `10m`; `0s` when one is enough.
    pub stable_for: String,
    /// Its checks, with what they came to in the last sample.
    pub checks: Vec<GateCheckView>,
}

/// A check of a gate, as it came out last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateCheckView {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub check_type: String,
    /// Whether it passed; absent before the first sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// What was found, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The gates of an attempt, the one before the stages first.
pub(super) fn gates_of(gates: &[GateRun], attempt: &Attempt) -> Vec<GateView> {
    let mut found: Vec<&GateRun> = gates.iter().filter(|gate| gate.at == attempt.at).collect();
    found.sort_by_key(|gate| gate.side);
    found.into_iter().map(|gate| gate_view(gate, attempt)).collect()
}

fn gate_view(gate: &GateRun, attempt: &Attempt) -> GateView {
    let (status, reason) = match &gate.status {
        GateStatus::Evaluating if attempt.state.is_terminal() => (GateState::Canceled, None),
        GateStatus::Evaluating => (GateState::Evaluating, None),
        GateStatus::Passed => (GateState::Passed, None),
        GateStatus::Failed { reason } => (GateState::Failed, Some(reason.clone())),
    };
    let checks = gate.checks.iter().map(|check| {
        let last = gate.last.iter().find(|result| result.name == check.name);
        GateCheckView {
            name: check.name.clone(),
            check_type: check.check_type.clone(),
            passed: last.map(|result| result.passed),
            value: last.map(|result| result.value.clone()).unwrap_or_default(),
            detail: last.map(|result| result.detail.clone()),
        }
    });
    GateView {
        side: gate.side,
        status,
        reason,
        started_at: gate.started_at,
        deadline: gate.deadline,
        ended_at: gate.ended_at,
        samples: gate.samples,
        next_sample_at: (status == GateState::Evaluating).then_some(gate.next_sample_at),
        passing_since: gate.passing_since,
        stable_for: gate.stable_for.to_string(),
        checks: checks.collect(),
    }
}
