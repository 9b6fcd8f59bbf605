//! Cancelling a deployment (H4, A21, A28, A32).

use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptRef, Control, RollbackRequest};
use pilothouse_domain::duration::Span;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use crate::advance::settle::{ended, ending};
use crate::lanes::leaving;
use crate::wake::wake_again;
use crate::{Context, OperationError};

/// How long a cancel may take when the environment does not say (X3).
const CANCEL_WITHIN: Span = Span::from_secs(60);

/// Cancels the attempt: at once when nothing was changed yet, otherwise by asking what runs to end.
///
/// # Errors
/// [`OperationError::Refused`] when it has ended or is being cancelled.
pub async fn cancel_deployment(
    context: &Context,
    at: &AttemptRef,
    by: &str,
) -> Result<Attempt, OperationError> {
    cancel(context, at, by, Why::default()).await
}

/// Why a cancel is asked for, and what follows it.
#[derive(Default)]
pub(crate) struct Why {
    /// What is told of it, just before that it was asked for.
    pub(crate) told: Option<Happening>,
    /// The rollback that follows (H6).
    pub(crate) rollback: Option<RollbackRequest>,
}

/// Cancels, and says why; and notes that what was changed is to be taken back, if it is (H6). Where the cancel is over at
/// once, the rollback is created with it.
pub(crate) async fn cancel(
    context: &Context,
    at: &AttemptRef,
    by: &str,
    why: Why,
) -> Result<Attempt, OperationError> {
    for _ in 0..20 {
        let attempt = context.attempt(at).await?;
        let release = context.release(&at.release).await?.record;
        let within = release.environment(&at.environment).and_then(|e| e.cancel_timeout);
        let until = Some(within.unwrap_or(CANCEL_WITHIN).after(context.now()));
        let event = AttemptEvent::CancelRequested { by: by.to_owned(), reason: None, until };
        let mut next = attempt.record.apply(event, by, context.now())?;
        next.rollback_request.clone_from(&why.rollback);
        let interrupted = attempt.record.control == Control::Interrupted;
        if interrupted {
            next.restarts += 1;
        }
        if write(context, &attempt, &mut next, by, why.told.clone()).await? {
            if interrupted {
                context.executions.start_or_leave(&next).await;
            }
            wake_all(context, &next).await?;
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting("the deployment changes too fast to be cancelled; try again".to_owned()))
}

async fn write(
    context: &Context,
    attempt: &Versioned<Attempt>,
    next: &mut Attempt,
    by: &str,
    told: Option<Happening>,
) -> Result<bool, OperationError> {
    let rollback = next.rollback_request.is_some().then_some(Happening::RollbackRequested {});
    let happened = told.into_iter().chain([Happening::CancelRequested {}]).chain(rollback);
    let told = happened.map(|what| context.event(&next.at, by, what));
    let mut tx = leaving(context, &attempt.record, Transaction::new().events(told)).await?;
    if next.state.is_terminal() && next.started_at.is_some() {
        // Its stages are behind it: what was asked for with the cancel, or the policy, may take them back.
        let release = context.release(&next.at.release).await?.record;
        let runs = context.store.stage_runs(&next.at).await?;
        tx = tx.and(ending(context, next, &release, &runs).await?);
    } else {
        tx = canceling(context, next, by, tx).await?;
        if next.state.is_terminal() {
            tx = tx.event(ended(context, next));
        }
    }
    context.commit(tx.replace(attempt, next)).await
}

/// Closes what the attempt asks people.
pub(crate) async fn canceling(
    context: &Context,
    attempt: &Attempt,
    by: &str,
    mut tx: Transaction,
) -> Result<Transaction, OperationError> {
    for approval in context.approvals_of(&attempt.at).await? {
        let canceled = approval.record.cancel(by, context.now());
        if canceled != approval.record {
            tx = tx.replace(&approval, &canceled);
        }
    }
    Ok(tx)
}

/// Ends every wait of the attempt that is over, whatever it waits for: its execution reads the records and finds out.
pub(crate) async fn wake_all(context: &Context, attempt: &Attempt) -> Result<(), OperationError> {
    wake_again(context, attempt).await.map(drop)
}
