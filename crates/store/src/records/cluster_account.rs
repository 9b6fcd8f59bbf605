//! Cluster accounts: `CLUSTER#name`, `META`.

use pilothouse_domain::cluster_account::ClusterAccount;

use crate::{IndexKey, Key, Record};

/// The group of all cluster accounts, by name.
pub(crate) const ALL: &str = "CLUSTERS";

/// Where a cluster account stands.
#[must_use]
pub fn key(name: &str) -> Key {
    Key::meta(format!("CLUSTER#{name}"))
}

impl Record for ClusterAccount {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "cluster";

    fn key(&self) -> Key {
        key(&self.name)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(ALL, self.name.as_str()))
    }
}
