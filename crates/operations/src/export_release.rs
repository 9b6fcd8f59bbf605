//! The record of a release as one document, to be kept and verified elsewhere (X10).

use pilothouse_domain::approval::Approval;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::gate::GateRun;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::proof::{Export, FORMAT, Head};
use pilothouse_domain::stage::StageRun;
use pilothouse_store::Partition;

use crate::{Context, OperationError};

/// How often a release that moves on while it is read is read again.
const TRIES: u32 = 20;

/// Everything that is recorded of a release, as it stood at one moment.
///
/// # Errors
/// [`OperationError::NotFound`]; [`OperationError::Conflicting`] when it changes too fast to be read.
pub async fn export_release(context: &Context, id: &ReleaseId) -> Result<Export, OperationError> {
    let mut events = context.store.timeline(id).await?;
    for _ in 0..TRIES {
        let release = context.release(id).await?.record;
        let records = context.store.release_records(id).await?;
        // Records and events are several reads. What ends something writes its event in the same transaction, so records
        // that were read between two equal timelines belong to them.
        let since = context.store.events_after(id, events.last().map_or(0, |e| e.seq), 100).await?;
        if since.is_empty() {
            return Ok(Export {
                format: FORMAT,
                exported_at: context.now(),
                release,
                attempts: all::<Attempt>(&records)?,
                stage_runs: all::<StageRun>(&records)?,
                approvals: all::<Approval>(&records)?,
                gates: Some(all::<GateRun>(&records)?),
                head: Head::of(&events),
                events,
            });
        }
        events = context.store.timeline(id).await?;
    }
    Err(OperationError::Conflicting("the release changes too fast to be exported; try again".to_owned()))
}

fn all<T: pilothouse_store::Record>(records: &Partition) -> Result<Vec<T>, OperationError> {
    Ok(records.all::<T>()?.into_iter().map(|item| item.record).collect())
}
