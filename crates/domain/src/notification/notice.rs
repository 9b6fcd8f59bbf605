//! What a receiver is told: small, and the same for every channel.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Message, Severity, Topic};
use crate::ids::ReleaseId;
use crate::release::Release;
use crate::timeline::{Event, Happening};

/// One event, told. Keys are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// `rel_…/12`: the release and the event's number. The same whenever it is sent again.
    pub id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub topic: Topic,
    /// How urgent it is.
    pub severity: Severity,
    /// When it happened.
    pub timestamp: Timestamp,
    /// All of it in one line, for people.
    pub summary: String,
    /// The application.
    pub application: String,
    /// The pipeline.
    pub pipeline: String,
    /// The release.
    pub release: ReleaseId,
    /// What the release carries: `shop/web:1.1.0`.
    pub artifacts: String,
    /// The environment it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The attempt it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The stage it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Who or what did it.
    pub actor: String,
    /// What happened, as the timeline has it, without the evidence and without where a decision came from.
    pub event: Value,
    /// The event's number in the timeline: messages may arrive in another order.
    pub seq: u64,
    /// The event's hash: whoever keeps it can prove later that the timeline is the one it was told of
    /// (`release verify --noted SEQ:HASH`).
    pub hash: String,
}

impl Notice {
    /// What is told of `event`.
    #[must_use]
    pub fn new(release: &Release, event: &Event, topic: Topic) -> Self {
        let mut what = serde_json::to_value(&event.what).unwrap_or_default();
        if let Some(fields) = what.as_object_mut() {
            fields.remove("evidence");
            // From where somebody decided is for the record, not for third parties.
            fields.remove("via");
        }
        Self {
            id: Message::id_of(&event.release, event.seq),
            topic,
            severity: topic.severity(),
            timestamp: event.at,
            summary: summary(release, event, topic),
            application: release.application.clone(),
            pipeline: release.pipeline.clone(),
            release: event.release.clone(),
            artifacts: release.artifact_summary(),
            environment: event.environment.clone(),
            attempt: event.attempt,
            stage: event.stage.clone(),
            actor: event.actor.clone(),
            event: what,
            seq: event.seq,
            hash: event.hash.clone(),
        }
    }
}

/// `shop/web to prod #1: deployment failed: stage …`.
fn summary(release: &Release, event: &Event, topic: Topic) -> String {
    let mut text = format!("{}/{}", release.application, release.pipeline);
    if let Some(environment) = &event.environment {
        let _ = write!(text, " to {environment}");
    }
    if let Some(attempt) = event.attempt {
        let _ = write!(text, " #{attempt}");
    }
    if let Some(stage) = &event.stage {
        let _ = write!(text, ", stage `{stage}`");
    }
    let _ = write!(text, ": {}", topic.name().replace('_', " "));
    if let Some(more) = detail(event) {
        let _ = write!(text, ": {more}");
    }
    text
}

fn detail(event: &Event) -> Option<String> {
    match &event.what {
        Happening::ReleaseStarted { cause, .. } => Some(cause.clone()),
        Happening::ApprovalRequested { approvers, deadline, .. } => {
            Some(format!("asked of {approvers}, until {deadline:.0}"))
        }
        Happening::ApprovalReassigned { to, .. } => Some(format!("asked of {to}")),
        Happening::EnvironmentHeld { held, reason } => Some(format!("{held} was rolled back here: {reason}")),
        Happening::ApprovalDecided { approve, comment, .. } => {
            let verb = if *approve { "approved" } else { "rejected" };
            let said = comment.as_ref().map(|c| format!(": “{c}”")).unwrap_or_default();
            Some(format!("{verb} by {}{said}", event.actor))
        }
        Happening::StageEnded { reason, .. }
        | Happening::GatesEnded { reason, .. }
        | Happening::DeploymentEnded { reason, .. } => reason.clone(),
        Happening::RollbackStarted { trigger, .. } => Some(trigger.clone()),
        _ => None,
    }
}
