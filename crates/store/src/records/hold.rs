//! Holds of an environment: `HOLD#a#env`, one for each release that was taken back there (X4).

use pilothouse_domain::hold::Hold;
use pilothouse_domain::ids::ReleaseId;

use crate::{Key, Record};

/// The partition of an environment's holds.
pub(crate) fn partition(application: &str, environment: &str) -> String {
    format!("HOLD#{application}#{environment}")
}

/// Where the hold stands that the rollback of `release` put on an environment.
#[must_use]
pub fn key(application: &str, environment: &str, release: &ReleaseId) -> Key {
    Key::new(partition(application, environment), release.to_string())
}

impl Record for Hold {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "hold";

    fn key(&self) -> Key {
        key(&self.application, &self.environment, &self.release)
    }
}
