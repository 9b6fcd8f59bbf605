//! Waiting for the approval before deployment (A15).

use pilothouse_domain::attempt::AttemptState;
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_store::Transaction;
use serde_json::json;

use crate::executions::ExecutionInput;
use crate::{Context, OperationError};

/// Stores the token of the step that waits, then looks whether the decision came before it.
///
/// # Errors
/// [`OperationError`].
pub async fn await_approval(
    context: &Context,
    input: &ExecutionInput,
    token: &str,
) -> Result<(), OperationError> {
    let attempt = context.current(input).await?.record;
    let callback = Callback {
        at: attempt.at,
        awaited: Awaited::Approval {},
        token: token.to_owned(),
        created_at: context.now(),
    };
    context.store.commit(Transaction::new().put(&callback)).await?;
    if context.current(input).await?.record.state != AttemptState::PendingBefore {
        context.executions.answer(token, &json!({})).await?;
    }
    Ok(())
}
