//! Waiting for something outside: the token is written first, then the records are read again, so that one of the
//! two, who waits and who ends the wait, always sees the other.

use pilothouse_domain::attempt::{Admission, Attempt, AttemptState};
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_store::Transaction;
use serde::Deserialize;
use serde_json::json;

use crate::executions::ExecutionInput;
use crate::lanes::wake_line_of;
use crate::{Context, OperationError};

/// What a deployment's execution can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// A lane, the installation's limit or a slot of the cluster.
    Lane,
    /// An approval.
    Approval,
    /// A time to start at.
    Time,
    /// The next sample of the gates.
    Gates,
    /// The end of a freeze.
    Freeze,
    /// A person who resumes it.
    Resume,
}

impl Wait {
    fn awaited(self) -> Awaited {
        match self {
            Self::Lane => Awaited::Lane {},
            Self::Approval => Awaited::Approval {},
            Self::Time => Awaited::Time {},
            Self::Gates => Awaited::Gates {},
            Self::Freeze => Awaited::Freeze {},
            Self::Resume => Awaited::Resume {},
        }
    }
}

/// Stores the token of the step that waits, then looks whether what it waits for came before it.
///
/// # Errors
/// [`OperationError`].
pub async fn wait(
    context: &Context,
    input: &ExecutionInput,
    what: Wait,
    token: &str,
) -> Result<(), OperationError> {
    let attempt = context.current(input).await?.record;
    let callback = Callback {
        at: attempt.at.clone(),
        awaited: what.awaited(),
        token: token.to_owned(),
        created_at: context.now(),
    };
    context.store.commit(Transaction::new().put(&callback)).await?;
    let attempt = context.current(input).await?.record;
    if is_over(context, &attempt, &callback.awaited).await? {
        return Ok(context.executions.answer(token, &json!({})).await?);
    }
    match what {
        Wait::Lane => wake_line_of(context, &attempt).await.map(drop),
        _ => Ok(()),
    }
}

/// Whether the attempt does not wait for this any more: what came, or another state, or a deadline.
pub(crate) async fn is_over(
    context: &Context,
    attempt: &Attempt,
    awaited: &Awaited,
) -> Result<bool, OperationError> {
    let now = context.now();
    Ok(match awaited {
        Awaited::Lane {} => !matches!(
            attempt.state,
            AttemptState::Queued | AttemptState::QueuedForPipeline | AttemptState::QueuedForAgent
        ),
        Awaited::Approval {} => match attempt.state {
            AttemptState::PendingBefore
            | AttemptState::GatesFailedBefore { asks: true, .. }
            | AttemptState::PendingAfter { .. }
            | AttemptState::GatesFailedAfter { .. } => {
                let approval = context.approval_awaited(attempt).await?;
                approval.is_none_or(|a| !a.record.is_pending() || a.record.deadline <= now)
            }
            _ => true,
        },
        Awaited::Time {} => match attempt.state {
            AttemptState::Scheduled { at } | AttemptState::Deferred { until: at } => at <= now,
            _ => true,
        },
        Awaited::Gates {} => !matches!(
            attempt.state,
            AttemptState::EvaluatingGatesBefore | AttemptState::EvaluatingGatesAfter { .. }
        ),
        Awaited::Freeze {} => !super::freeze::is_frozen(context, attempt).await?,
        Awaited::Resume {} => attempt.admission() != Admission::Held,
        Awaited::Upstream { .. } | Awaited::Answer { .. } => false,
    })
}
