//! Reads of many items: a partition, a part of it, an index.

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use crate::backoff::Budget;
use crate::codec::{decode, key_item, key_of};
use crate::failure::{Failure, classify};
use crate::table::{BY_GROUP, OPEN};
use crate::{Cursor, Item, Key, Page, Partition, Record, Store, StoreError};

/// The largest page: what one batch read takes.
const LARGEST_PAGE: u32 = 100;

/// One Query: which index, which keys, which way, how many.
struct Range<'a> {
    index: Option<&'static str>,
    partition: &'a str,
    sort: Sort<'a>,
    newest_first: bool,
    limit: Option<u32>,
}

enum Sort<'a> {
    All,
    Prefix(&'a str),
    /// Both ends included.
    Between(&'a str, &'a str),
}

impl Range<'_> {
    fn names(&self) -> (&'static str, &'static str) {
        match self.index {
            Some(OPEN) => ("g2pk", "g2sk"),
            Some(_) => ("g1pk", "g1sk"),
            None => ("pk", "sk"),
        }
    }
}

impl Store {
    /// The records of kind `T` in partition `pk` whose sort key begins with `prefix`, strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read, or an item there is not a `T`.
    pub async fn query_prefix<T: Record>(
        &self,
        pk: &str,
        prefix: &str,
        newest_first: bool,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, StoreError> {
        let range = Range {
            index: None,
            partition: pk,
            sort: Sort::Prefix(prefix),
            newest_first,
            limit: Some(limit),
        };
        let (items, next) = self.query(&range, cursor).await?;
        Ok(Page { items: items.iter().map(decode).collect::<Result<_, _>>()?, next })
    }

    /// The records of kind `T` in partition `pk` with sort keys from `first` to `last`, both included, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read, or an item there is not a `T`.
    pub async fn query_between<T: Record>(
        &self,
        pk: &str,
        first: &str,
        last: &str,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, StoreError> {
        let sort = Sort::Between(first, last);
        let range = Range { index: None, partition: pk, sort, newest_first: false, limit: Some(limit) };
        let (items, next) = self.query(&range, cursor).await?;
        Ok(Page { items: items.iter().map(decode).collect::<Result<_, _>>()?, next })
    }

    /// Every item of partition `pk`, strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn partition(&self, pk: &str) -> Result<Partition, StoreError> {
        Ok(Partition { items: self.query_all(pk, Sort::All).await? })
    }

    /// Every item of partition `pk` whose sort key begins with `prefix`, strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn partition_under(&self, pk: &str, prefix: &str) -> Result<Partition, StoreError> {
        Ok(Partition { items: self.query_all(pk, Sort::Prefix(prefix)).await? })
    }

    /// The first `limit` items of partition `pk`, strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn partition_head(&self, pk: &str, limit: u32) -> Result<Partition, StoreError> {
        let range =
            Range { index: None, partition: pk, sort: Sort::All, newest_first: false, limit: Some(limit) };
        Ok(Partition { items: self.query(&range, None).await?.0 })
    }

    /// Every item of partition `pk` but those whose sort keys begin with one of `skipped` (in ascending order): what
    /// is long and not wanted is not read and not paid for.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn partition_without(&self, pk: &str, skipped: &[&str]) -> Result<Partition, StoreError> {
        // Sort keys begin with a letter and are ASCII; `~` comes after all of them.
        let starts = std::iter::once("!".to_owned()).chain(skipped.iter().map(|prefix| format!("{prefix}~")));
        let ends = skipped.iter().copied().chain(std::iter::once("~"));
        let gaps: Vec<(String, &str)> = starts.zip(ends).collect();
        let reads = gaps.iter().map(|(first, last)| self.query_all(pk, Sort::Between(first, last)));
        let items = futures::future::try_join_all(reads).await?.into_iter().flatten().collect();
        Ok(Partition { items })
    }

    /// The records of group `g1pk` whose place in it begins with `prefix` (empty: all), in the order of their places.
    /// The list may miss what was written in the last moments;
    /// the records themselves are read strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read, the cursor is of another list, or an item is not a `T`.
    pub async fn query_group<T: Record>(
        &self,
        g1pk: &str,
        prefix: &str,
        newest_first: bool,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, StoreError> {
        let limit = Some(limit.clamp(1, LARGEST_PAGE));
        let range =
            Range { index: Some(BY_GROUP), partition: g1pk, sort: Sort::Prefix(prefix), newest_first, limit };
        self.query_index(&range, cursor).await
    }

    /// The records that are open under `g2pk` at places that begin with `prefix` (empty: all), the first first. One that was closed a moment ago is left
    /// out; one that was opened a moment ago may be missing.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read, the cursor is of another list, or an item is not a `T`.
    pub async fn query_open<T: Record>(
        &self,
        g2pk: &str,
        prefix: &str,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, StoreError> {
        let limit = Some(limit.clamp(1, LARGEST_PAGE));
        let range = Range {
            index: Some(OPEN),
            partition: g2pk,
            sort: Sort::Prefix(prefix),
            newest_first: false,
            limit,
        };
        let mut page = self.query_index::<T>(&range, cursor).await?;
        page.items.retain(|item| item.record.open().is_some_and(|place| place.pk == g2pk));
        Ok(page)
    }

    async fn query_index<T: Record>(
        &self,
        range: &Range<'_>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, StoreError> {
        let (found, next) = self.query(range, cursor).await?;
        let keys: Vec<Key> = found.iter().map(key_of).collect();
        let mut items = self.get_many(&keys).await?;
        items.sort_by_cached_key(|item| keys.iter().position(|key| *key == key_of(item)));
        Ok(Page { items: items.iter().map(decode).collect::<Result<_, _>>()?, next })
    }

    /// The items at `keys` (at most 100, no key twice) that exist, strongly consistent, in no order.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut wanted: Vec<Item> = keys.iter().map(key_item).collect();
        let mut found = Vec::with_capacity(wanted.len());
        let mut budget = Budget::new(&self.dice);
        while !wanted.is_empty() {
            let keys =
                KeysAndAttributes::builder().consistent_read(true).set_keys(Some(wanted.clone())).build();
            let keys =
                keys.map_err(|error| StoreError::Refused { operation: "get many", source: error.into() })?;
            match self.client.batch_get_item().request_items(&*self.table, keys).send().await {
                Ok(mut answer) => {
                    let given = answer.responses.as_mut().and_then(|tables| tables.remove(&*self.table));
                    found.extend(given.unwrap_or_default());
                    let left =
                        answer.unprocessed_keys.as_mut().and_then(|tables| tables.remove(&*self.table));
                    wanted = left.map(|left| left.keys).unwrap_or_default();
                    if !wanted.is_empty() {
                        let source = "the table left some of the keys for later".into();
                        budget.wait_after(Failure::Throttled(source), "get many").await?;
                    }
                }
                Err(error) => budget.wait_after(classify(error), "get many").await?,
            }
        }
        Ok(found)
    }

    async fn query_all(&self, pk: &str, sort: Sort<'_>) -> Result<Vec<Item>, StoreError> {
        let range = Range { index: None, partition: pk, sort, newest_first: false, limit: None };
        let (mut items, mut next) = self.query(&range, None).await?;
        while let Some(cursor) = next {
            let (more, after) = self.query(&range, Some(&cursor)).await?;
            items.extend(more);
            next = after;
        }
        Ok(items)
    }

    async fn query(
        &self,
        range: &Range<'_>,
        cursor: Option<&Cursor>,
    ) -> Result<(Vec<Item>, Option<Cursor>), StoreError> {
        let (partition_name, sort_name) = range.names();
        let start = cursor.map(|cursor| cursor.position(partition_name, range.partition)).transpose()?;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut budget = Budget::new(&self.dice);
        loop {
            let request = self
                .client
                .query()
                .table_name(&*self.table)
                .set_index_name(range.index.map(str::to_owned))
                .consistent_read(range.index.is_none())
                .scan_index_forward(!range.newest_first)
                .set_limit(range.limit.map(|limit| i32::try_from(limit.max(1)).unwrap_or(i32::MAX)))
                .set_exclusive_start_key(start.clone())
                .expression_attribute_values(":pk", text(range.partition));
            let request = match &range.sort {
                Sort::All | Sort::Prefix("") => {
                    request.key_condition_expression(format!("{partition_name} = :pk"))
                }
                Sort::Prefix(prefix) => request
                    .key_condition_expression(format!(
                        "{partition_name} = :pk AND begins_with({sort_name}, :sk)"
                    ))
                    .expression_attribute_values(":sk", text(prefix)),
                Sort::Between(first, last) => request
                    .key_condition_expression(format!(
                        "{partition_name} = :pk AND {sort_name} BETWEEN :a AND :z"
                    ))
                    .expression_attribute_values(":a", text(first))
                    .expression_attribute_values(":z", text(last)),
            };
            match request.send().await {
                Ok(answer) => {
                    let next = answer.last_evaluated_key.as_ref().map(Cursor::of);
                    return Ok((answer.items.unwrap_or_default(), next));
                }
                Err(error) => budget.wait_after(classify(error), "query").await?,
            }
        }
    }
}
