//! Callback tokens of waiting steps: `RELEASE#id`, `TOKEN#name#0003#upstream#stage`.

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::callback::{Awaited, Callback};

use super::{attempt_path, release_partition};
use crate::{Key, Record};

/// What the sort keys of an attempt's callbacks begin with.
pub(crate) fn prefix(at: &AttemptRef) -> String {
    format!("TOKEN#{}#", attempt_path(at))
}

/// Where the token of one wait of an attempt stands.
#[must_use]
pub fn key(at: &AttemptRef, awaited: &Awaited) -> Key {
    Key::new(release_partition(&at.release), format!("{}{}", prefix(at), awaited.key()))
}

impl Record for Callback {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "callback";

    fn key(&self) -> Key {
        key(&self.at, &self.awaited)
    }
}
