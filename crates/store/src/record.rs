//! What a stored type says about itself, and a record together with its version.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Committed, IndexKey, Key};

/// A type that is stored as one item.
///
/// The item carries, beside the record's own fields: `pk`, `sk`, the index keys, `ttl`, `kind`, `schema`, `v` (how
/// often the item was written) and `w` (which write left it so).
pub trait Record: Serialize + DeserializeOwned {
    /// The version of the record's shape. A change that old code could not read raises it.
    const SCHEMA: u32;
    /// The record's name in the item's `kind`, unique among records, for example `release`.
    const KIND: &'static str;

    /// Where the item stands.
    fn key(&self) -> Key;

    /// Its place in the index `by_group` (lists by time); never changes during the record's life where it can be helped.
    fn group(&self) -> Option<IndexKey> {
        None
    }

    /// Its place in the index `open`: what somebody still has to do something about. `None` takes it out.
    fn open(&self) -> Option<IndexKey> {
        None
    }

    /// When the table may drop the item (TTL, rounded up to whole seconds); DynamoDB may take two days longer.
    fn expires(&self) -> Option<jiff::Timestamp> {
        None
    }

    /// Bytes that belong to the record but not into JSON: they become a binary attribute.
    fn binary(&self) -> Option<&[u8]> {
        None
    }

    /// Takes back the bytes that [`Record::binary`] gave.
    fn set_binary(&mut self, bytes: Vec<u8>) {
        let _ = bytes;
    }

    /// Brings the fields of an item written with the older `schema` to today's shape.
    ///
    /// # Errors
    /// A text that says what cannot be read; it becomes [`StoreError::Corrupt`](crate::StoreError::Corrupt).
    fn upgrade(schema: u32, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let _ = fields;
        Err(format!("schema {schema} is older than {} and no upgrade from it is known", Self::SCHEMA))
    }
}

/// A record as it was read, with what a later write needs in order to notice that it changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub record: T,
    /// How often the item was written, from 1; grows by one with each replacement.
    pub version: u64,
    /// Which write left the item so: two items that are deleted and created again both have version 1.
    pub(crate) write: u64,
}

impl<T> Versioned<T> {
    /// The record as it stands after `committed` replaced this one by `record`, without reading it again.
    #[must_use]
    pub fn replaced_by(&self, record: T, committed: &Committed) -> Self {
        Self { record, version: self.version + 1, write: committed.write }
    }

    /// The record as it stands after `committed` created or put it, without reading it again.
    #[must_use]
    pub fn created_by(record: T, committed: &Committed) -> Self {
        Self { record, version: 1, write: committed.write }
    }

    /// The same version of something made from the record.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Versioned<U> {
        Versioned { record: make(self.record), version: self.version, write: self.write }
    }
}
