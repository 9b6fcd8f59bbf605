//! What reads of many items give: a page of a list and where it goes on, or a partition.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::codec::{decode, kind_of, text_of};
use crate::{Item, Key, Record, StoreError, Versioned};

/// Where a list goes on: opaque to whoever carries it, and good only for the query that gave it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    pub(crate) fn of(position: &Item) -> Self {
        let names: BTreeMap<&str, &str> =
            position.keys().map(|name| (name.as_str(), text_of(position, name))).collect();
        Self(URL_SAFE_NO_PAD.encode(serde_json::json!(names).to_string()))
    }

    /// A place in the `list`-th of several lists that are read one after another.
    pub(crate) fn of_list(list: usize, inner: Option<&Self>) -> Self {
        Self(format!("{list}.{}", inner.map_or("", |inner| &inner.0)))
    }

    /// Which of `lists` lists the cursor stands in, and where.
    pub(crate) fn in_list(&self, lists: usize) -> Result<(usize, Option<Self>), StoreError> {
        let (list, inner) = self.0.split_once('.').ok_or(StoreError::InvalidCursor)?;
        let list = list.parse().ok().filter(|list| *list < lists).ok_or(StoreError::InvalidCursor)?;
        Ok((list, (!inner.is_empty()).then(|| Self(inner.to_owned()))))
    }

    /// The position in the query over `partition_name` = `partition`.
    pub(crate) fn position(&self, partition_name: &str, partition: &str) -> Result<Item, StoreError> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| StoreError::InvalidCursor)?;
        let names: BTreeMap<String, String> =
            serde_json::from_slice(&bytes).map_err(|_| StoreError::InvalidCursor)?;
        if names.get(partition_name).is_none_or(|given| given != partition) {
            return Err(StoreError::InvalidCursor);
        }
        Ok(names.into_iter().map(|(name, text)| (name, AttributeValue::S(text))).collect())
    }
}

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a list. A page may hold fewer items than were asked for, and yet have a next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The records, in the list's order.
    pub items: Vec<Versioned<T>>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The records without their versions.
    #[must_use]
    pub fn records(self) -> Vec<T> {
        self.items.into_iter().map(|item| item.record).collect()
    }
}

/// The items of one partition, from which records of any kind are drawn.
#[derive(Debug, Clone, Default)]
pub struct Partition {
    pub(crate) items: Vec<Item>,
}

impl Partition {
    /// Every record of kind `T`, in the order of their sort keys.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::NewerSchema`] for the first that cannot be read.
    pub fn all<T: Record>(&self) -> Result<Vec<Versioned<T>>, StoreError> {
        self.items.iter().filter(|item| kind_of(item) == T::KIND).map(decode).collect()
    }

    /// The record at `key`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::NewerSchema`] if it cannot be read as a `T`.
    pub fn get<T: Record>(&self, key: &Key) -> Result<Option<Versioned<T>>, StoreError> {
        let found =
            self.items.iter().find(|item| text_of(item, "sk") == key.sk && text_of(item, "pk") == key.pk);
        found.map(decode).transpose()
    }

    /// Whether the partition holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
