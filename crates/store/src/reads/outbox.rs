//! The outbox: what is due, what is waiting, what could not be delivered.

use jiff::Timestamp;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::notification::{Message, SHARDS};
use pilothouse_domain::timeline::Event;

use crate::records::message::{DEAD, DUE, due_at, partition};
use crate::records::{release_partition, timeline};
use crate::{Cursor, Key, Page, Store, StoreError, Versioned};

impl Store {
    /// The messages of one part of the outbox that are due at `now`, the longest due first. Some may be in the hands of
    /// another worker.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn messages_due(
        &self,
        shard: u8,
        now: Timestamp,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Message>, StoreError> {
        let last = format!("{}~", due_at(now));
        self.query_between(&partition(shard), DUE, &last, limit, cursor).await
    }

    /// The messages that are still to be delivered, or with `dead` the dead letters: part by part of the outbox, in each in
    /// the order of their times.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn messages(
        &self,
        dead: bool,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Message>, StoreError> {
        let prefix = if dead { DEAD } else { DUE };
        let limit = limit.max(1);
        let shards = usize::from(SHARDS);
        let (mut shard, mut inner) = cursor.map_or(Ok((0, None)), |cursor| cursor.in_list(shards))?;
        let mut items: Vec<Versioned<Message>> = Vec::new();
        while shard < shards {
            let left = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
            if left == 0 {
                break;
            }
            let pk = partition(u8::try_from(shard).unwrap_or(u8::MAX));
            let page = self.query_prefix(&pk, prefix, false, left, inner.as_ref()).await?;
            items.extend(page.items);
            inner = page.next;
            if inner.is_none() {
                shard += 1;
            }
        }
        let next = (shard < shards).then(|| Cursor::of_list(shard, inner.as_ref()));
        Ok(Page { items, next })
    }

    /// One event of a timeline.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn event(&self, release: &ReleaseId, seq: u64) -> Result<Option<Event>, StoreError> {
        let key = Key::new(release_partition(release), timeline::sort_key(seq));
        Ok(self.get(&key).await?.map(|event| event.record))
    }
}
