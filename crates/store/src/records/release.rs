//! Releases: `RELEASE#id`, `META`; listed by application, newest last.

use pilothouse_domain::release::Release;
use serde_json::{Map, Value};

use super::release_partition;
use crate::{IndexKey, Key, Record};

impl Record for Release {
    /// 2: stages of its pipeline may name their cluster, and may be several that were written as one.
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "release";

    fn key(&self) -> Key {
        Key::meta(release_partition(&self.id))
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(of_application(&self.application), self.id.as_str()))
    }

    fn upgrade(_: u32, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        // Before, every stage acted on its environment's cluster: so the defaults say.
        Ok(fields)
    }
}

/// The group of an application's releases, in the order of their creation.
pub(crate) fn of_application(application: &str) -> String {
    format!("APP#{application}#RELEASES")
}
