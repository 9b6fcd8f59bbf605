//! Timeline events: `RELEASE#id`, `EVENT#00000042`.

use pilothouse_domain::timeline::Event;

use super::release_partition;
use crate::{Key, Record};

/// What the sort keys of events begin with.
pub const PREFIX: &str = "EVENT#";

/// The sort key of a release's event number `seq`.
#[must_use]
pub fn sort_key(seq: u64) -> String {
    format!("{PREFIX}{seq:08}")
}

impl Record for Event {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "event";

    fn key(&self) -> Key {
        Key::new(release_partition(&self.release), sort_key(self.seq))
    }
}
