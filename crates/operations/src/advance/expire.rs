//! A wait reached its deadline (X3).

use pilothouse_domain::attempt::{AttemptEvent, AttemptState};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;

use crate::executions::ExecutionInput;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// Ends the wait the attempt is in: an approval that nobody gave counts as rejected, a lane that never came free as
/// a cancel. Does nothing when the attempt has moved on.
///
/// # Errors
/// [`OperationError`].
pub async fn expire(context: &Context, input: &ExecutionInput) -> Result<(), OperationError> {
    let attempt = context.current(input).await?;
    match attempt.record.state {
        AttemptState::PendingBefore => {
            let Some(approval) = context.approval_before(&attempt.record.at).await? else { return Ok(()) };
            if approval.record.deadline > context.now() {
                return Ok(());
            }
            let by = "nobody: it expired".to_owned();
            let next = attempt.record.apply(AttemptEvent::Rejected { by }, SYSTEM, context.now())?;
            let expired = context.event(&next.at, SYSTEM, Happening::ApprovalExpired {});
            let tx = Transaction::new()
                .replace(&attempt, &next)
                .replace(&approval, &approval.record.expire())
                .event(expired)
                .event(crate::advance::settle::ended(context, &next));
            super::next::commit_or_reload(context, tx).await
        }
        AttemptState::Queued => {
            let by = "the system: it waited too long for its environment".to_owned();
            let next = attempt.record.apply(AttemptEvent::CancelRequested { by }, SYSTEM, context.now())?;
            let tx = Transaction::new()
                .replace(&attempt, &next)
                .event(crate::advance::settle::ended(context, &next));
            super::next::commit_or_reload(context, tx).await
        }
        _ => Ok(()),
    }
}
