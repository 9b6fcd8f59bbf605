//! Gates of an environment: checks that are sampled until all of them pass (A34-A38).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::FREE_NAME;
use crate::duration::Span;

/// The most checks of one gate.
pub(super) const MOST_CHECKS: usize = 20;
/// The most samples of one gate. Step Functions ends an execution at its 25,000th event: one sample takes 18 of them, and the
/// gates before and after share a history with up to 200 stages.
pub const MOST_SAMPLES: u64 = 500;
/// The shortest interval between two samples.
pub(super) const SHORTEST_INTERVAL: Span = Span::from_secs(5);

/// The gates of an environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gates {
    /// Must pass before the first stage (A34, A35).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<GatePolicy>,
    /// Must pass after the last stage (A36-A38).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<GatePolicy>,
}

/// Checks that are sampled together until all pass in the same sample and stay so, or until time is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatePolicy {
    /// What is looked at, all of it in each sample.
    #[schemars(length(min = 1, max = MOST_CHECKS))]
    pub checks: Vec<CheckSpec>,
    /// How long to wait before the first sample; not at all when absent.
    #[serde(default = "no_time", skip_serializing_if = "is_no_time")]
    pub delay: Span,
    /// From one sample to the next, at least `5s`; `1m` when absent.
    #[serde(default = "a_minute")]
    pub interval: Span,
    /// For how long every sample must pass; when absent, one that passes is enough.
    #[serde(default = "no_time", skip_serializing_if = "is_no_time")]
    pub stable_for: Span,
    /// When the gate fails unless it has passed, counted from its opening; `1h` when absent.
    #[serde(default = "an_hour")]
    pub timeout: Span,
    /// What follows when it fails.
    #[serde(default, skip_serializing_if = "GateFailure::is_default")]
    pub on_failure: GateFailure,
    /// Only in `before`: whether it comes before the approval or after it.
    #[serde(default, skip_serializing_if = "GateOrder::is_default")]
    pub order: GateOrder,
}

/// One check of a gate: the keys that every check has, and those of its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckSpec {
    /// The check's name, unique in its gate.
    #[schemars(regex(pattern = FREE_NAME), length(max = 100))]
    pub name: String,
    /// What it looks at: the name of a check type.
    #[serde(rename = "type")]
    pub check_type: String,
    /// The keys of the check's type.
    #[serde(flatten)]
    #[schemars(skip)]
    pub options: Map<String, Value>,
}

/// What follows when a gate fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateFailure {
    /// The attempt fails (A35, A38).
    #[default]
    Fail,
    /// The approvers of that side are asked nevertheless (A35, A37).
    Ask,
}

impl GateFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::Fail
    }
}

/// Whether the gate before the stages comes before the approval or after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateOrder {
    /// The approvers are asked once it has passed.
    #[default]
    BeforeApproval,
    /// It is evaluated once the approval was given.
    AfterApproval,
}

impl GateOrder {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_default(&self) -> bool {
        *self == Self::BeforeApproval
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_no_time(span: &Span) -> bool {
    span.as_millis() == 0
}

const fn no_time() -> Span {
    Span::from_secs(0)
}

const fn a_minute() -> Span {
    Span::from_secs(60)
}

const fn an_hour() -> Span {
    Span::from_secs(3600)
}
