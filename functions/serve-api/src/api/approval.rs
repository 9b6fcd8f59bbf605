//! Approvals.

use jiff::Timestamp;
use pilothouse_domain::approval::{LinkAction, Shown};
use pilothouse_domain::duration::Span;
use pilothouse_domain::ids::LinkId;
use pilothouse_domain::pipeline::Approver;
pub use pilothouse_operations::view_release::{ApprovalView, Asks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decide {
    /// What the decider says; the timeline keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The answer, where answers are offered (T35).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// When the deployment is to start: in the future, within 364 days (A18). Only before deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub defer_until: Option<Timestamp>,
    /// The `shownHash` of what the decider saw: another one than it is now is refused with `plan_changed` (X6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saw: Option<String>,
}

/// Others to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reassign {
    /// Who is asked from now on: `{"user": "bob"}`, `{"role": "approver"}`. In sequence they follow on those who said yes.
    pub approvers: Vec<Approver>,
}

/// A single-use link to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateLink {
    /// The person whose decision it gives: the name of an API token. An approver makes links for themself only.
    #[serde(rename = "for")]
    pub person: String,
    /// What it may do; both when absent.
    #[serde(default = "both")]
    pub actions: Vec<LinkAction>,
    /// How long it can be used; `1h` when absent, and never longer than the approval waits.
    #[serde(default = "an_hour")]
    pub expires_in: Span,
}

fn both() -> Vec<LinkAction> {
    vec![LinkAction::Approve, LinkAction::Reject]
}

const fn an_hour() -> Span {
    Span::from_secs(3600)
}

/// A link that was made. It is shown once, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedLink {
    /// Its id.
    pub id: LinkId,
    /// The person whose decision it gives.
    #[serde(rename = "for")]
    pub person: String,
    /// What it may do.
    pub actions: Vec<LinkAction>,
    /// Until when it can be used.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// Its address, as the caller addressed this API; only the path when that is not known.
    pub url: String,
}

/// What a link is for: `GET` shows this and decides nothing, `POST` to one of `actions` decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkPage {
    /// The person whose decision it gives.
    #[serde(rename = "for")]
    pub person: String,
    /// What it may do.
    pub actions: Vec<LinkAction>,
    /// Until when it can be used.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// What is asked for.
    pub asks: Asks,
    /// The stage that asks, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The answers to choose from; empty: approve or reject.
    pub inputs: Vec<String>,
    /// How the approval stands.
    pub standing: String,
    /// What is to be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Box<Shown>>,
}

/// A decision by a link, as JSON or as a form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecideByLink {
    /// What the decider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The answer, where answers are offered (T35).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// What a decision by a link came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecidedByLink {
    /// How the approval stands now.
    pub standing: String,
}

/// Which open approvals to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListApprovals {
    /// At most so many; 50 when absent, 100 at most.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
}
