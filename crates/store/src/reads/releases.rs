//! Releases and what belongs to one.

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::release::Release;
use pilothouse_domain::snapshot::SnapshotRecord;

use crate::records::release::of_application;
use crate::records::{release_partition, snapshot, timeline};
use crate::{Cursor, Key, Page, Partition, Store, StoreError, Versioned};

impl Store {
    /// A release.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn release(&self, id: &ReleaseId) -> Result<Option<Versioned<Release>>, StoreError> {
        self.get(&Key::meta(release_partition(id))).await
    }

    /// All that a release came to: its record, attempts, stage runs, approvals and callbacks, each drawn
    /// with [`Partition::all`]; without the events and snapshots, which are long.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn release_records(&self, id: &ReleaseId) -> Result<Partition, StoreError> {
        self.partition_without(&release_partition(id), &[timeline::PREFIX, snapshot::PREFIX]).await
    }

    /// The releases of an application, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn releases_of(
        &self,
        application: &str,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Release>, StoreError> {
        self.query_group(&of_application(application), "", true, limit, cursor).await
    }

    /// What a stage stored before it changed anything (invariant 9), whole.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read; [`StoreError::Corrupt`] when a part of it is missing or damaged.
    pub async fn snapshot(
        &self,
        attempt: &AttemptRef,
        stage: &str,
    ) -> Result<Option<SnapshotRecord>, StoreError> {
        let pk = release_partition(&attempt.release);
        let stored = self.partition_under(&pk, &snapshot::prefix(attempt, stage)).await?;
        snapshot::join(&stored, stage)
    }
}
