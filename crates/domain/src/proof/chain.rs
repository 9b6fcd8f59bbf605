//! The chain of a timeline, checked on JSON as it was exported.

use serde_json::Value;

use crate::timeline::digest;

/// Where a chain breaks, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(.seq, .kind))]
pub struct Break {
    /// The place in the timeline, counted from 1: the number that the event there must have.
    pub seq: u64,
    /// How.
    pub kind: BreakKind,
}

/// How a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakKind {
    /// Another number stands there: an event is missing, was moved, or was added.
    Number {
        /// What stands there.
        found: Value,
    },
    /// It does not carry the hash of the event before it.
    Previous,
    /// Its hash is not that of its content.
    Content,
}

fn describe(seq: &u64, kind: &BreakKind) -> String {
    match kind {
        BreakKind::Number { found } => {
            format!("event {seq} is not in its place: event {found} stands there")
        }
        BreakKind::Previous => {
            format!("event {seq} does not continue the one before it: one of the two was replaced")
        }
        BreakKind::Content => format!("event {seq} was changed: its hash is not that of its content"),
    }
}

/// The first event whose number, previous hash or own hash is wrong.
#[must_use]
pub fn first_break(events: &[Value]) -> Option<Break> {
    let mut previous = digest(b"");
    for (seq, event) in (1_u64..).zip(events) {
        let kind = if event["seq"] != seq {
            BreakKind::Number { found: event["seq"].clone() }
        } else if event["previous"] != *previous {
            BreakKind::Previous
        } else if event["hash"] != *hash_of(event) {
            BreakKind::Content
        } else {
            previous = event["hash"].as_str().unwrap_or_default().to_owned();
            continue;
        };
        return Some(Break { seq, kind });
    }
    None
}

/// The hash that an event with this content has: over its JSON with an empty `hash` and all keys in order.
fn hash_of(event: &Value) -> String {
    let mut bare = event.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.insert("hash".to_owned(), Value::String(String::new()));
    }
    bare.sort_all_objects();
    digest(bare.to_string().as_bytes())
}
