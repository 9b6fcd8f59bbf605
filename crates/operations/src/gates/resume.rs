//! A gate goes on: what held its attempt is over.

use pilothouse_domain::attempt::{Attempt, AttemptState};
use pilothouse_domain::gate::GateSide;
use pilothouse_store::Transaction;

use crate::{Context, OperationError};

/// Adds to `tx` that the gate in which the attempt stands, if it does, is given the time in which the attempt was held.
/// Whoever ends a freeze, a pause or an interruption does so.
///
/// # Errors
/// The table's.
pub(crate) async fn resuming(
    context: &Context,
    attempt: &Attempt,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let side = match attempt.state {
        AttemptState::EvaluatingGatesBefore => GateSide::Before,
        AttemptState::EvaluatingGatesAfter { .. } => GateSide::After,
        _ => return Ok(tx),
    };
    let Some(gate) = context.store.gate(&attempt.at, side).await? else { return Ok(tx) };
    let resumed = gate.record.resumed(context.now());
    Ok(if resumed == gate.record { tx } else { tx.replace(&gate, &resumed) })
}
