//! Deployment attempts: `RELEASE#id`, `ATTEMPT#name#0003`; listed by environment (H1), and while work is left (X3).

use pilothouse_domain::attempt::{Attempt, AttemptRef};
use serde_json::{Map, Value};

use super::{attempt_path, release_partition};
use crate::{IndexKey, Key, Record};

/// What the sort keys of attempts begin with.
pub(crate) const PREFIX: &str = "ATTEMPT#";
/// The open list of attempts that have not completed.
pub(crate) const OPEN: &str = "ATTEMPTS";

/// Where an attempt stands.
#[must_use]
pub fn key(at: &AttemptRef) -> Key {
    Key::new(release_partition(&at.release), format!("{PREFIX}{}", attempt_path(at)))
}

impl Record for Attempt {
    /// 2: a rollback's stages name their attempt, and its terms are in the record. 3: they name their cluster; who does not know that
    /// would undo them in the environment's.
    const SCHEMA: u32 = 3;
    const KIND: &'static str = "attempt";

    fn key(&self) -> Key {
        key(&self.at)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(of_environment(&self.application, &self.at.environment), self.id.as_str()))
    }

    fn upgrade(_: u32, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        // What came since has a default, and steps that are only names still read.
        Ok(fields)
    }

    fn open(&self) -> Option<IndexKey> {
        self.completed_at.is_none().then(|| IndexKey::new(OPEN, self.id.as_str()))
    }
}

/// The group of an environment's attempts, over all releases, in the order of their creation.
pub(crate) fn of_environment(application: &str, environment: &str) -> String {
    format!("APP#{application}#ENV#{environment}")
}
