//! Cancelling a deployment (H4, A21, A28, A32).

use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptRef, AttemptState, RollbackRequest};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};
use serde_json::json;

use crate::advance::settle::ended;
use crate::wake::{answer, wake_stages};
use crate::{Context, OperationError};

/// Cancels the attempt: at once when nothing was changed yet, otherwise by asking what runs to end.
///
/// # Errors
/// [`OperationError::Refused`] when it has ended or is being cancelled.
pub async fn cancel_deployment(
    context: &Context,
    at: &AttemptRef,
    by: &str,
) -> Result<Attempt, OperationError> {
    cancel(context, at, by, None).await
}

/// Cancels, and notes that what was changed is to be taken back (H6).
pub(crate) async fn cancel(
    context: &Context,
    at: &AttemptRef,
    by: &str,
    rollback: Option<RollbackRequest>,
) -> Result<Attempt, OperationError> {
    for _ in 0..20 {
        let attempt = context.attempt(at).await?;
        let event = AttemptEvent::CancelRequested { by: by.to_owned() };
        let mut next = attempt.record.apply(event, by, context.now())?;
        next.rollback_request.clone_from(&rollback);
        if write(context, &attempt, &next, by).await? {
            wake_all(context, &next).await?;
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting("the deployment changes too fast to be cancelled; try again".to_owned()))
}

async fn write(
    context: &Context,
    attempt: &Versioned<Attempt>,
    next: &Attempt,
    by: &str,
) -> Result<bool, OperationError> {
    let mut tx = Transaction::new().replace(attempt, next).event(context.event(
        &next.at,
        by,
        Happening::CancelRequested {},
    ));
    for approval in context.approvals_of(&next.at).await? {
        let canceled = approval.record.cancel(by);
        if canceled != approval.record {
            tx = tx.replace(&approval, &canceled);
        }
    }
    if next.state.is_terminal() {
        tx = tx.event(ended(context, next));
    }
    match context.store.commit(tx).await {
        Ok(_) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Ends every wait of the attempt: its execution reads the records and finds that it is cancelled.
async fn wake_all(context: &Context, attempt: &Attempt) -> Result<(), OperationError> {
    if let AttemptState::CanceledBefore { .. } = attempt.state {
        answer(context, &attempt.at, &Awaited::Lane {}).await?;
        return answer(context, &attempt.at, &Awaited::Approval {}).await;
    }
    for callback in context.answer_callbacks(&attempt.at).await? {
        context.executions.answer(&callback.record.token, &json!({})).await?;
    }
    wake_stages(context, attempt).await
}
