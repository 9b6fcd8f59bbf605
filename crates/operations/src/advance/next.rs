//! The step that asks the records what comes next.

use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptState};
use pilothouse_domain::pipeline::topological_order;
use pilothouse_domain::stage::stages_of;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use super::lane::enter_lane;
use super::{LONGEST_SECONDS, Next};
use crate::executions::ExecutionInput;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// What comes next for the attempt; moves it on where nobody has to be waited for.
///
/// # Errors
/// [`OperationError`]; `Superseded` when a newer execution has taken over.
pub async fn advance(context: &Context, input: &ExecutionInput) -> Result<Next, OperationError> {
    // Each round moves the attempt one state on, and there are fewer states than rounds.
    for _ in 0..8 {
        let attempt = context.current(input).await?;
        match &attempt.record.state {
            state if state.is_terminal() => return after_end(context, &attempt.record).await,
            AttemptState::Queued => {
                if let Some(wait) = enter_lane(context, &attempt).await? {
                    return Ok(wait);
                }
            }
            AttemptState::PendingBefore => return pending(context, &attempt.record).await,
            AttemptState::ApprovedBefore => start_stages(context, &attempt).await?,
            AttemptState::PhaseInProgress
            | AttemptState::ManualInterventionPending
            | AttemptState::Cancelling { .. } => return stages(context, &attempt.record).await,
            other => {
                return Err(OperationError::Inconsistent(format!(
                    "attempt {} is {other:?}, which this version does not know how to go on from",
                    attempt.record.id
                )));
            }
        }
    }
    Err(OperationError::Inconsistent(format!("attempt {} does not come to rest", input.at.number)))
}

async fn pending(context: &Context, attempt: &Attempt) -> Result<Next, OperationError> {
    let approval = context.approval_before(&attempt.at).await?.ok_or_else(|| {
        OperationError::Inconsistent(format!("attempt {} is pending without an approval", attempt.id))
    })?;
    Ok(Next::Approval { timeout_seconds: seconds_until(context, approval.record.deadline) })
}

pub(super) fn seconds_until(context: &Context, deadline: jiff::Timestamp) -> i64 {
    let left = deadline.as_millisecond() - context.now().as_millisecond();
    left.saturating_add(999).div_euclid(1000).clamp(1, LONGEST_SECONDS)
}

async fn start_stages(context: &Context, attempt: &Versioned<Attempt>) -> Result<(), OperationError> {
    let next = attempt.record.apply(AttemptEvent::StagesStarted, SYSTEM, context.now())?;
    let started = context.event(&next.at, SYSTEM, Happening::DeploymentStarted {});
    commit_or_reload(context, Transaction::new().replace(attempt, &next).event(started)).await
}

/// Commits; a conflict is no error here, as the caller reads the records again and decides anew.
pub(super) async fn commit_or_reload(context: &Context, tx: Transaction) -> Result<(), OperationError> {
    match context.store.commit(tx).await {
        Ok(_) => Ok(()),
        Err(e) if e.is_conflict() => Ok(()),
        Err(e) => Err(e.into()),
    }
}

async fn stages(context: &Context, attempt: &Attempt) -> Result<Next, OperationError> {
    let release = context.release(&attempt.at.release).await?;
    let stages = stages_of(&release.record, attempt);
    let names = topological_order(&stages).into_iter().map(|i| stages[i].name.clone()).collect();
    Ok(Next::Stages { stages: names, timeout_seconds: LONGEST_SECONDS })
}

/// What follows a terminal state: the rollback it led to, what follows the end, or nothing.
pub(super) async fn after_end(context: &Context, attempt: &Attempt) -> Result<Next, OperationError> {
    if attempt.completed_at.is_some() {
        return Ok(Next::Done);
    }
    if let Some(at) = &attempt.rolled_back_by {
        let rollback = context.attempt(at).await?.record;
        if rollback.completed_at.is_none() {
            let execution = rollback.execution_name();
            return Ok(Next::Rollback { rollback: ExecutionInput::of(&rollback), execution });
        }
    }
    Ok(Next::Complete)
}
