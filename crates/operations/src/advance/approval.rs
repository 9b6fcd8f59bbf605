//! Approvals before and after deployment, as the attempt's execution sees them (A15-A18, A25, A33).

use pilothouse_domain::approval::Verdict;
use pilothouse_domain::attempt::{Attempt, AttemptEvent, Hurdle};
use pilothouse_store::{Transaction, Versioned};

use super::Next;
use super::next::commit_or_reload;
use super::pass::pass;
use super::planned::ask_again;
use super::settle::finish;
use crate::approvals::attempt_event;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// Where the approval that the attempt waits for stands: waits, or moves the attempt on (`None`: look again).
pub(super) async fn pending(
    context: &Context,
    attempt: &Versioned<Attempt>,
) -> Result<Option<Next>, OperationError> {
    let approval = context.approval_awaited(&attempt.record).await?.ok_or_else(|| {
        OperationError::Inconsistent(format!("attempt {} is pending without an approval", attempt.record.id))
    })?;
    let event = match approval.record.verdict() {
        None if approval.record.deadline <= context.now() => {
            super::expire::expire_approval(context, attempt, &approval).await?;
            return Ok(None);
        }
        None => {
            let timeout_seconds = context.seconds_until(approval.record.deadline);
            return Ok(Some(Next::Approval { timeout_seconds }));
        }
        Some(verdict) => attempt_event(verdict),
    };
    finish(context, attempt, event).await?;
    Ok(None)
}

/// Moves on from A16: to the time that it was deferred to (A18), or to what comes next.
pub(super) async fn approved(context: &Context, attempt: &Versioned<Attempt>) -> Result<(), OperationError> {
    let approval = context.approval_before(&attempt.record.at).await?;
    let wanted = match approval.and_then(|a| a.verdict()) {
        Some(Verdict::Approved { defer_until, .. }) => defer_until,
        _ => None,
    };
    if Box::pin(ask_again(context, attempt)).await? {
        return Ok(());
    }
    let now = context.now();
    if let Some(until) = wanted.filter(|until| *until > now) {
        let next = attempt.record.apply(AttemptEvent::Deferred { until }, SYSTEM, now)?;
        return commit_or_reload(context, Transaction::new().replace(attempt, &next)).await;
    }
    let tx = pass(context, attempt, &attempt.record, Hurdle::Approval, Transaction::new()).await?;
    commit_or_reload(context, tx).await
}
