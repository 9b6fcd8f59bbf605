//! Pipeline revisions that were read before: the only large records that many deliveries need, and they never change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_domain::saved::PipelineRevision;
use tokio::sync::OnceCell;

use crate::{Key, StoreError};

/// How many are kept; beyond that all are forgotten, which costs one read each.
const MOST: usize = 256;

type Slot = Arc<OnceCell<Arc<PipelineRevision>>>;

/// What was read, shared by clones. Only what exists is kept, and a revision is written once: nothing here is ever stale.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revisions(Arc<Mutex<HashMap<Key, Slot>>>);

impl Revisions {
    /// The revision at `key`, by `read` unless it is known. Those who ask while it is being read wait for that one read.
    pub(crate) async fn get<F>(&self, key: Key, read: F) -> Result<Option<Arc<PipelineRevision>>, StoreError>
    where
        F: AsyncFnOnce(&Key) -> Result<Option<PipelineRevision>, StoreError>,
    {
        let slot = self.slot(&key);
        let found = slot
            .get_or_try_init(async || match read(&key).await {
                Ok(Some(revision)) => Ok(Arc::new(revision)),
                Ok(None) => Err(None),
                Err(error) => Err(Some(error)),
            })
            .await;
        match found {
            Ok(revision) => Ok(Some(Arc::clone(revision))),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    fn slot(&self, key: &Key) -> Slot {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.get(key) {
            return Arc::clone(slot);
        }
        if known.len() >= MOST {
            known.clear();
        }
        Arc::clone(known.entry(key.clone()).or_default())
    }
}
