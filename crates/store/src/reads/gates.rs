//! Gates of attempts, and their samples.

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::gate::{GateRun, GateSample, GateSide};

use crate::records::gate;
use crate::{Cursor, Page, Store, StoreError, Versioned};

impl Store {
    /// The gate on one side of an attempt, if it was opened.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn gate(
        &self,
        at: &AttemptRef,
        side: GateSide,
    ) -> Result<Option<Versioned<GateRun>>, StoreError> {
        self.get(&gate::key(at, side)).await
    }

    /// The samples of a gate, the latest first.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn gate_samples(
        &self,
        at: &AttemptRef,
        side: GateSide,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<GateSample>, StoreError> {
        self.query_prefix(&gate::samples(at, side), gate::SAMPLE, true, limit, cursor).await
    }
}
