//! Lanes: who holds them, who waits; and the settings that limit them.

use pilothouse_domain::lane::{LaneName, Lease, Waiting};
use pilothouse_domain::settings::Settings;

use crate::records::{lane, settings};
use crate::{Store, StoreError, Versioned};

/// The head of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneHead {
    /// The lease; `None` if nobody ever held it.
    pub lease: Option<Versioned<Lease>>,
    /// Those first in line, in order.
    pub line: Vec<Versioned<Waiting>>,
}

impl Store {
    /// The lease of a lane; `None` if nobody ever held it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn lease(&self, of: &LaneName) -> Result<Option<Versioned<Lease>>, StoreError> {
        self.get(&lane::lease_key(of)).await
    }

    /// The lease of a lane and the first `most` who wait for it, in one read. The lease is read before the line.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn lane(&self, of: &LaneName, most: u32) -> Result<LaneHead, StoreError> {
        // `LEASE` sorts before `WAITING#`.
        let head = self.partition_head(&lane::partition(of), most.saturating_add(1)).await?;
        Ok(LaneHead { lease: head.all()?.pop(), line: head.all()? })
    }

    /// Those who wait for a lane, the first first.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn waiting(&self, of: &LaneName) -> Result<Vec<Versioned<Waiting>>, StoreError> {
        self.partition_under(&lane::partition(of), lane::WAITING).await?.all()
    }

    /// The last in line of those who do not go first.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn last_waiting(&self, of: &LaneName) -> Result<Option<Versioned<Waiting>>, StoreError> {
        let page = self.query_prefix(&lane::partition(of), lane::IN_TURN, true, 1, None).await?;
        Ok(page.items.into_iter().next())
    }

    /// A place in line as it stands, if it is taken.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn place_in_line(&self, place: &Waiting) -> Result<Option<Versioned<Waiting>>, StoreError> {
        self.get(&crate::Record::key(place)).await
    }

    /// The installation's settings; `None` while nobody set anything.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn settings(&self) -> Result<Option<Versioned<Settings>>, StoreError> {
        self.get(&settings::key()).await
    }
}
