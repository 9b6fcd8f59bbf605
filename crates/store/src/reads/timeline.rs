//! The timeline of a release.

use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::timeline::Event;

use crate::records::release_partition;
use crate::records::timeline::sort_key;
use crate::{Store, StoreError};

/// The last sequence number that a sort key can carry.
const LAST: u64 = 99_999_999;

impl Store {
    /// The events of a release after number `seq` (0: from the first), in order, at most `limit`. To follow a
    /// timeline, ask again with the number of the last event that was given.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn events_after(
        &self,
        release: &ReleaseId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        if seq >= LAST {
            return Ok(Vec::new());
        }
        let (first, last) = (sort_key(seq + 1), sort_key(LAST));
        Ok(self.query_between(&release_partition(release), &first, &last, limit, None).await?.records())
    }

    /// The whole timeline of a release, in order.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn timeline(&self, release: &ReleaseId) -> Result<Vec<Event>, StoreError> {
        let pk = release_partition(release);
        let events = self.partition_under(&pk, crate::records::timeline::PREFIX).await?.all::<Event>()?;
        Ok(events.into_iter().map(|event| event.record).collect())
    }
}
