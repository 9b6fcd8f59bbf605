//! What is still to be delivered to those who are told, and what could not be.

use jiff::Timestamp;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::notification::{Delivery, DeliveryState, Message, Topic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which messages to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListNotifications {
    /// The dead letters instead of those that are still to be delivered.
    pub dead: Option<bool>,
    /// At most so many; 50 when absent, 100 at most.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationView {
    /// `rel_…/12`: what receivers know it by.
    pub id: String,
    /// The release.
    pub release: ReleaseId,
    /// The event's number in its timeline.
    pub seq: u64,
    /// What it is told as.
    pub topic: Topic,
    /// When it happened.
    pub at: Timestamp,
    /// Whether nothing more is tried.
    pub dead: bool,
    /// Those who are told.
    pub deliveries: Vec<DeliveryStanding>,
}

/// How far one of those who are told is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryStanding {
    /// The notification's name in the pipeline.
    pub to: String,
    /// How it stands.
    pub state: DeliveryOutcome,
    /// When it is tried next, was taken, or was given up.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryOutcome {
    /// It is still tried.
    Pending,
    /// It was taken.
    Delivered,
    /// It is not tried any more.
    GivenUp,
}

impl From<&Message> for NotificationView {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id(),
            release: message.release.clone(),
            seq: message.seq,
            topic: message.topic,
            at: message.created_at,
            dead: message.dead,
            deliveries: message.deliveries.iter().map(DeliveryStanding::from).collect(),
        }
    }
}

impl From<&Delivery> for DeliveryStanding {
    fn from(delivery: &Delivery) -> Self {
        let (state, at) = match delivery.state {
            DeliveryState::Pending { next } => (DeliveryOutcome::Pending, next),
            DeliveryState::Delivered { at } => (DeliveryOutcome::Delivered, at),
            DeliveryState::GivenUp { at } => (DeliveryOutcome::GivenUp, at),
        };
        let (to, error) = (delivery.to.clone(), delivery.error.clone());
        Self { to, state, at, attempts: delivery.attempts, error }
    }
}
