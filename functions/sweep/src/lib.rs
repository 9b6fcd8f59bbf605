//! Every minute: what lost its execution gets a new one from the records (invariant 1).

use pilothouse_domain::duration::Span;
use pilothouse_function_kit::StepError;
use pilothouse_operations::{Context, sweep};
use serde_json::Value;

/// How long whoever created an attempt has to start it.
const GRACE: Span = Span::from_secs(60);

/// Sweeps once; the event's content does not matter. Gives what it did.
///
/// # Errors
/// [`StepError`] when the open attempts cannot be listed.
pub async fn handle(context: &Context, event: Value) -> Result<Value, StepError> {
    drop(event);
    let swept = sweep(context, GRACE).await?;
    tracing::info!(operation = "sweep", examined = swept.examined, started = swept.started, "swept");
    serde_json::to_value(swept).map_err(|e| StepError::broken(e.to_string()))
}
