//! Stores what a stage is about to change (invariant 9, X4).

use pilothouse_cluster::Snapshot;
use pilothouse_domain::snapshot::SnapshotRecord;
use pilothouse_domain::stage::StageRun;
use pilothouse_store::{Committed, StoreError, Transaction, Versioned};

use crate::stages::StageEnd;
use crate::{Context, OperationError};

/// Stores the snapshot with the run that it belongs to, in one write. What stands around the objects is left out where there is
/// no room for it, and that is said in the snapshot.
///
/// # Errors
/// The table's; inside, the end of the stage when even the objects themselves are too much to be kept.
pub(super) async fn store(
    context: &Context,
    run: &Versioned<StageRun>,
    next: &StageRun,
    mut taken: Snapshot,
) -> Result<Result<Committed, StageEnd>, OperationError> {
    loop {
        let content = serde_json::to_value(&taken)
            .map_err(|e| OperationError::Inconsistent(format!("the snapshot cannot be written: {e}")))?;
        let record = SnapshotRecord { at: next.at.clone(), stage: next.stage.clone(), content };
        let tx = Transaction::new().create_snapshot(&record).replace(run, next);
        match context.store.commit(tx).await {
            Err(StoreError::TooLarge { bytes, .. }) if taken.context.is_empty() => {
                return Ok(Err(StageEnd::failed(format!(
                    "what this stage would change has {} KB even compressed, and at most 4194 KB are kept for a rollback: \
                     deploy less in one stage; nothing was changed",
                    bytes / 1000
                ))));
            }
            Err(StoreError::TooLarge { .. }) => {
                let left_out = taken.context.drain(..).map(|entry| entry.object.to_string());
                let left_out: Vec<String> = left_out.collect();
                taken.missed.push(format!("{}, for want of room", left_out.join(", ")));
            }
            done => return Ok(Ok(done?)),
        }
    }
}
