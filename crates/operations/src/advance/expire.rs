//! A wait reached its deadline (X3).

use pilothouse_domain::approval::{Approval, ApprovalEvent};
use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptState};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use crate::control_deployment::end_overdue_pause;
use crate::executions::ExecutionInput;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// Ends the wait the attempt is in: an approval that nobody gave, a lane that never came free, a pause that nobody
/// ended. Does nothing when the attempt has moved on, or only waits for a time: the step after this looks again.
///
/// # Errors
/// [`OperationError`].
pub async fn expire(context: &Context, input: &ExecutionInput) -> Result<(), OperationError> {
    if end_overdue_pause(context, &input.at).await? {
        return Ok(());
    }
    let attempt = context.current(input).await?;
    match attempt.record.state {
        AttemptState::PendingBefore
        | AttemptState::GatesFailedBefore { asks: true, .. }
        | AttemptState::PendingAfter { .. }
        | AttemptState::GatesFailedAfter { .. } => {
            let Some(approval) = context.approval_awaited(&attempt.record).await? else { return Ok(()) };
            expire_approval(context, &attempt, &approval).await
        }
        // In line, but paused: it is the pause that has an end.
        _ if attempt.record.control.is_held() => Ok(()),
        // In line, but frozen: how long that may last is told in `freeze`.
        _ if attempt.record.frozen.is_some() => Ok(()),
        AttemptState::Queued | AttemptState::QueuedForPipeline | AttemptState::QueuedForAgent => {
            let Some(stand) = context.stand_of(&attempt.record).await? else { return Ok(()) };
            let place = context.store.place_in_line(&stand.place(context, &attempt.record)).await?;
            match place {
                Some(place) if super::lane::LANE_PATIENCE.after(place.record.since) <= context.now() => {
                    give_up(context, &attempt, "it waited too long in line").await
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Ends an approval whose deadline passed, as its policy chose; the attempt moves on by what that means. Does nothing
/// when it has ended or its time has not come: a decision in the same moment wins or loses as a whole.
pub(super) async fn expire_approval(
    context: &Context,
    attempt: &Versioned<Attempt>,
    approval: &Versioned<Approval>,
) -> Result<(), OperationError> {
    let now = context.now();
    let Ok(over) = approval.record.apply(ApprovalEvent::Expire { now }) else { return Ok(()) };
    let expired_as = (!over.on_expiry.is_default()).then_some(over.on_expiry);
    let expired = context.event(&attempt.record.at, SYSTEM, Happening::ApprovalExpired { expired_as });
    let tx = Transaction::new().check(attempt).replace(approval, &over).event(expired);
    super::next::commit_or_reload(context, tx).await
}

/// Ends an attempt that has changed nothing.
pub(crate) async fn give_up(
    context: &Context,
    attempt: &Versioned<Attempt>,
    why: &str,
) -> Result<(), OperationError> {
    let event = AttemptEvent::CancelRequested {
        by: "the system".to_owned(),
        reason: Some(why.to_owned()),
        until: None,
    };
    let next = attempt.record.apply(event, SYSTEM, context.now())?;
    let tx = Transaction::new().replace(attempt, &next).event(super::settle::ended(context, &next));
    let tx = crate::lanes::leaving(context, &attempt.record, tx).await?;
    super::next::commit_or_reload(context, tx).await
}
