//! Delivers what the outbox holds, one notice per event and receiver (T4, T12): never in the way of a release.

use pilothouse_function_kit::StepError;
use pilothouse_operations::{Context, notify};
use serde_json::Value;

/// Delivers all that is due; the event's content does not matter. Gives what it did.
///
/// # Errors
/// [`StepError`] when the outbox cannot be read.
pub async fn handle(context: &Context, event: Value) -> Result<Value, StepError> {
    drop(event);
    let done = notify(context).await?;
    let quiet = (done.delivered, done.postponed, done.dead, done.failed) == (0, 0, 0, 0);
    if !quiet {
        let (delivered, postponed, dead) = (done.delivered, done.postponed, done.dead);
        tracing::info!(operation = "notify", delivered, postponed, dead, failed = done.failed, "notified");
    }
    serde_json::to_value(done).map_err(|e| StepError::broken(e.to_string()))
}
