//! The main of every function that takes an event and gives a value.

use std::future::Future;

use lambda_runtime::{LambdaEvent, service_fn};
use pilothouse_operations::Context;
use serde_json::Value;

use crate::{StepError, context_from_env};

/// Logs as JSON lines, filtered by `PILOTHOUSE_LOG` (default `info`).
pub fn init_logs() {
    let filter = std::env::var("PILOTHOUSE_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().json().with_env_filter(filter).without_time().init();
}

/// Runs `handle` for every event until the environment is shut down.
///
/// # Errors
/// The installation's settings are missing, or the runtime API is gone.
pub async fn serve<H, F>(operation: &'static str, handle: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Context, Value) -> F,
    F: Future<Output = Result<Value, StepError>>,
{
    init_logs();
    let context = context_from_env().await?;
    let handle = &handle;
    let context = &context;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        // In a box: a use case's future inside the runtime's own is nested deeper than the compiler follows.
        let result = Box::pin(handle(context.clone(), event.payload)).await;
        if let Err(error) = &result {
            tracing::warn!(operation, error_type = %error.error_type, message = %error.message, "the step failed");
        }
        result
    }))
    .await
}
