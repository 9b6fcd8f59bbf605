//! Where an item stands: in the table, and in an index.

use std::fmt;

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key, for example `RELEASE#rel_01...`.
    pub pk: String,
    /// Sort key, for example `ENV#prod`.
    pub sk: String,
}

impl Key {
    /// The key (`pk`, `sk`).
    #[must_use]
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key of the one item of its partition: sort key `META`.
    #[must_use]
    pub fn meta(pk: impl Into<String>) -> Self {
        Self::new(pk, "META")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pk, self.sk)
    }
}

/// The place of an item in one of the two indexes. A record without one is not in the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey {
    /// Partition key of the index, for example `APP#shop#RELEASES`.
    pub pk: String,
    /// Sort key of the index: what the index is read in the order of.
    pub sk: String,
}

impl IndexKey {
    /// The index key (`pk`, `sk`).
    #[must_use]
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}
