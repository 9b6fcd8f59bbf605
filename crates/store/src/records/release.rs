//! Releases: `RELEASE#id`, `META`; listed by application, newest last.

use pilothouse_domain::release::Release;

use super::release_partition;
use crate::{IndexKey, Key, Record};

impl Record for Release {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "release";

    fn key(&self) -> Key {
        Key::meta(release_partition(&self.id))
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(of_application(&self.application), self.id.as_str()))
    }
}

/// The group of an application's releases, in the order of their creation.
pub(crate) fn of_application(application: &str) -> String {
    format!("APP#{application}#RELEASES")
}
