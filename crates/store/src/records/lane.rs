//! The lane of an environment: `LANE#a#env`, `LEASE` and `WAITING#dep_…` in the order of arrival (X2).

use pilothouse_domain::ids::AttemptId;
use pilothouse_domain::lane::{Lease, Waiting};

use crate::{Key, Record};

/// What the sort keys of those who wait begin with.
pub(crate) const WAITING: &str = "WAITING#";

/// The partition of an environment's lane.
pub(crate) fn partition(application: &str, environment: &str) -> String {
    format!("LANE#{application}#{environment}")
}

/// Where the lease of an environment stands.
#[must_use]
pub fn lease_key(application: &str, environment: &str) -> Key {
    Key::new(partition(application, environment), "LEASE")
}

/// Where an attempt's place in the line stands.
#[must_use]
pub fn waiting_key(application: &str, environment: &str, attempt: &AttemptId) -> Key {
    Key::new(partition(application, environment), format!("{WAITING}{attempt}"))
}

impl Record for Lease {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "lease";

    fn key(&self) -> Key {
        lease_key(&self.application, &self.environment)
    }
}

impl Record for Waiting {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "waiting";

    fn key(&self) -> Key {
        waiting_key(&self.application, &self.environment, &self.id)
    }
}
