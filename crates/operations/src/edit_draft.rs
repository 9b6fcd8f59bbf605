//! Changing what a draft carries, is given, and leaves out (A2).

use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::problem::Problems;
use pilothouse_domain::release::{DraftEdit, Release, ReleaseEvent};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;

use crate::start_release::of_release;
use crate::{Context, OperationError};

/// Applies the edit; the pipeline's revision stays. An edit that changes nothing writes nothing.
///
/// # Errors
/// [`OperationError::ReleaseRefused`] when it is no draft (A3: the artifacts of an active release cannot change);
/// [`OperationError::Invalid`] with everything that is wrong.
pub async fn edit_draft(
    context: &Context,
    id: &ReleaseId,
    edit: &DraftEdit,
    by: &str,
) -> Result<Release, OperationError> {
    for _ in 0..20 {
        let read = context.release(id).await?;
        let status = read.record.status.apply(&ReleaseEvent::Edited)?;
        let (next, changes) =
            read.record.edited(edit).map_err(|problems| OperationError::Invalid(Problems(problems)))?;
        if changes.is_empty() {
            return Ok(read.record);
        }
        let next = Release { status, ..next };
        let event = of_release(&next, context.now(), by, Happening::DraftEdited { changes });
        if context.commit(Transaction::new().replace(&read, &next).event(event)).await? {
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting("the draft changes too fast to be edited; try again".to_owned()))
}
