//! A message of the outbox: what is still to be delivered of one event, to whom, and when next.
//!
//! It is written in the transaction that writes its event, once, whatever is repeated: an event has one place in its
//! timeline. It is gone when all who wanted it have it, and stays as a dead letter when one could not be told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Topic;
use crate::duration::Span;
use crate::ids::ReleaseId;
use crate::pipeline::NotificationSpec;
use crate::timeline::Event;

/// Into how many parts the outbox is divided.
pub const SHARDS: u8 = 4;
/// How long a worker has a message for itself: longer than the longest call.
pub const LEASE: Span = Span::from_secs(60);
/// How long a message is tried for.
pub const GIVEN_UP_AFTER: Span = Span::from_secs(24 * 3600);
/// How long a dead letter is kept.
const KEPT: Span = Span::from_secs(30 * 86_400);
/// The pause after the first try; it doubles with each further one.
const FIRST_PAUSE: Span = Span::from_secs(5);
const LONGEST_PAUSE: Span = Span::from_secs(3600);

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The release.
    pub release: ReleaseId,
    /// The event's number in its timeline.
    pub seq: u64,
    /// What it is told as.
    pub topic: Topic,
    /// When it happened.
    pub created_at: Timestamp,
    /// When something is to be done about it next; when it became a dead letter, for one that is.
    pub due: Timestamp,
    /// Until when a worker has it for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
    /// Whether nothing more is tried, and somebody was not told.
    #[serde(default)]
    pub dead: bool,
    /// Those who are told.
    pub deliveries: Vec<Delivery>,
}

/// How far one of those who are told is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The notification's name in the pipeline.
    pub to: String,
    /// How it stands.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong the last time, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum DeliveryState {
    /// It is tried at that time.
    Pending {
        /// Not before.
        next: Timestamp,
    },
    /// It was taken.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// It is not tried any more.
    GivenUp {
        /// Since when.
        at: Timestamp,
    },
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It was taken.
    Taken,
    /// It was not.
    Refused {
        /// Why, without secrets.
        error: String,
        /// Whether it may be taken later.
        retryable: bool,
    },
    /// It was not tried: the same receiver did not take another message just before.
    Postponed,
}

/// Where a message stands after its tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// All have it: it can go.
    Done,
    /// Somebody does not have it yet, or will never have it.
    Open(Message),
}

impl Message {
    /// The message of `event` to these. Its id is the event's: the release and the number.
    #[must_use]
    pub fn new(event: &Event, topic: Topic, listeners: &[&NotificationSpec]) -> Self {
        let delivery = |to: &&NotificationSpec| Delivery {
            to: to.name.clone(),
            state: DeliveryState::Pending { next: event.at },
            attempts: 0,
            error: None,
        };
        Self {
            release: event.release.clone(),
            seq: event.seq,
            topic,
            created_at: event.at,
            due: event.at,
            claimed_until: None,
            dead: false,
            deliveries: listeners.iter().map(delivery).collect(),
        }
    }

    /// What a receiver knows a repetition by: the same however often it is sent.
    #[must_use]
    pub fn id(&self) -> String {
        Self::id_of(&self.release, self.seq)
    }

    /// The id of the message of an event: `rel_…/12`.
    #[must_use]
    pub fn id_of(release: &ReleaseId, seq: u64) -> String {
        format!("{release}/{seq}")
    }

    /// The part of the outbox that it stands in: that of its release.
    #[must_use]
    pub fn shard(&self) -> u8 {
        let sum = self.release.as_str().bytes().fold(0_u8, u8::wrapping_add);
        sum % SHARDS
    }

    /// The message in the hands of one worker until [`LEASE`] is over; `None` when it is in another's, or not due.
    #[must_use]
    pub fn claim(&self, now: Timestamp) -> Option<Self> {
        let taken = self.claimed_until.is_some_and(|until| until > now);
        let free = !self.dead && !taken && self.due <= now;
        free.then(|| Self { claimed_until: Some(LEASE.after(now)), ..self.clone() })
    }

    /// The names of those to be told now.
    #[must_use]
    pub fn recipients(&self, now: Timestamp) -> Vec<String> {
        let due = |d: &&Delivery| matches!(d.state, DeliveryState::Pending { next } if next <= now);
        self.deliveries.iter().filter(due).map(|d| d.to.clone()).collect()
    }

    /// Whether its time is over: what fails now is not tried again.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now >= GIVEN_UP_AFTER.after(self.created_at)
    }

    /// Where it stands at `now` after these tries, by name. `jitter` (0 to 1) spreads what failed at one time.
    #[must_use]
    pub fn after(&self, tries: &[(String, Came)], now: Timestamp, jitter: f64) -> Standing {
        let mut next = self.clone();
        next.claimed_until = None;
        for (to, came) in tries {
            for delivery in next.deliveries.iter_mut().filter(|d| d.to == *to) {
                delivery.note(came, self.created_at, now, jitter);
            }
        }
        let pending = next.deliveries.iter().filter_map(|d| match d.state {
            DeliveryState::Pending { next } => Some(next),
            _ => None,
        });
        match pending.min() {
            Some(due) => next.due = due,
            None if next.deliveries.iter().all(|d| matches!(d.state, DeliveryState::Delivered { .. })) => {
                return Standing::Done;
            }
            None => {
                next.due = now;
                next.dead = true;
            }
        }
        Standing::Open(next)
    }

    /// When the table may drop it: dead letters only.
    #[must_use]
    pub fn kept_until(&self) -> Option<Timestamp> {
        self.dead.then(|| KEPT.after(self.due))
    }
}

impl Delivery {
    fn note(&mut self, came: &Came, since: Timestamp, now: Timestamp, jitter: f64) {
        let deadline = GIVEN_UP_AFTER.after(since);
        match came {
            Came::Taken => {
                self.attempts += 1;
                self.error = None;
                self.state = DeliveryState::Delivered { at: now };
            }
            Came::Refused { error, retryable } => {
                self.attempts += 1;
                self.error = Some(error.clone());
                self.state = match *retryable && now < deadline {
                    // The last try is made when the time is over, not an hour before.
                    true => DeliveryState::Pending { next: self.pause(jitter).after(now).min(deadline) },
                    false => DeliveryState::GivenUp { at: now },
                };
            }
            // It stays due, and is tried as soon as the receiver takes anything again.
            Came::Postponed if now < deadline => {}
            Came::Postponed => {
                self.error.get_or_insert_with(|| "the receiver took no other message either".to_owned());
                self.state = DeliveryState::GivenUp { at: now };
            }
        }
    }

    /// The pause before the next try: doubled each time up to an hour, and up to a quarter shorter or longer.
    fn pause(&self, jitter: f64) -> Span {
        let doubled = FIRST_PAUSE.as_millis().saturating_mul(1 << self.attempts.saturating_sub(1).min(20));
        let pause = doubled.min(LONGEST_PAUSE.as_millis());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most an hour in milliseconds, times at most 1.25"
        )]
        let spread = (pause as f64 * (0.75 + jitter.clamp(0.0, 1.0) / 2.0)) as u64;
        Span::from_millis(spread)
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
