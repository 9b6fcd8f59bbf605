//! Who must say yes before and after an environment's stages (A15, A25, X7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// The approvals of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approvals {
    /// Asked for before the first stage (A15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ApprovalPolicy>,
    /// Asked for after the last stage has succeeded (A25): a rejection ends the deployment as failed (A33).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ApprovalPolicy>,
}

/// One approval: who may give it, how many must, and for how long it waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// Who may approve: any of these, or with `order: in_sequence` each of these in turn.
    #[schemars(length(min = 1, max = MOST_APPROVERS))]
    pub approvers: Vec<Approver>,
    /// How many different people must approve; 1 when absent, and all of them in turn with `order: in_sequence`.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub required: u32,
    /// Whether the approvers are asked all at once or one after the other.
    #[serde(default, skip_serializing_if = "Order::is_default")]
    pub order: Order,
    /// Whether the one who started the release, or the deployment by hand, may decide; true when absent.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub self_approval: bool,
    /// How long the approval waits; `7d` when absent.
    #[serde(default = "a_week")]
    pub timeout: Span,
    /// What it comes to when nobody decided in time.
    #[serde(default, skip_serializing_if = "OnExpiry::is_default")]
    pub on_expiry: OnExpiry,
    /// Show the approvers what the deployment would do, asked of its cluster as a dry run, and bind their yes to that: when the
    /// plan is another one by the time it was approved, they are asked again (X6). Only before a deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// What the approvers are told. May have `${ … }`, evaluated when the approval is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The answers to choose from (T35); stages read the chosen one as `approvals.before.input`. None: approve or reject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_APPROVERS))]
    pub inputs: Vec<String>,
}

/// The most approvers, and the most answers, of one approval.
pub const MOST_APPROVERS: usize = 50;

/// Someone who may approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Approver {
    /// Everyone with this role.
    Role(String),
    /// This member.
    User(String),
}

/// In which order approvers are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// All at once: as many as are required, whoever they are.
    #[default]
    Any,
    /// Every listed approver in turn: the next one is asked only after the one before said yes.
    InSequence,
}

impl Order {
    /// Whether it is what an approval has that names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::Any
    }
}

/// What an approval comes to that nobody decided in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// A rejection.
    #[default]
    Reject,
    /// An approval.
    Approve,
    /// The end of the deployment as canceled.
    Cancel,
}

impl OnExpiry {
    /// Whether it is what an approval has that names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::Reject
    }
}

const fn one() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_true(flag: &bool) -> bool {
    *flag
}

const fn a_week() -> Span {
    Span::from_secs(7 * 86_400)
}
