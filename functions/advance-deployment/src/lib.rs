//! The steps of `deployment.asl.json`: one function, told by `step` what to do.

use pilothouse_function_kit::StepError;
use pilothouse_operations::advance::Wait;
use pilothouse_operations::executions::ExecutionInput;
use pilothouse_operations::{Context, advance};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the definition sends: the execution's input, and the step with what belongs to it.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(flatten)]
    input: ExecutionInput,
    #[serde(flatten)]
    step: Step,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
enum Step {
    Advance,
    Await {
        what: Wait,
        token: String,
    },
    /// As executions of the first definition say it.
    AwaitLane {
        token: String,
    },
    /// As executions of the first definition say it.
    AwaitApproval {
        token: String,
    },
    AwaitUpstream {
        token: String,
        stage: String,
    },
    Expire,
    Settle,
    Fail {
        error: String,
        #[serde(default)]
        cause: Option<String>,
    },
    Complete,
}

/// Carries out one step.
///
/// # Errors
/// [`StepError`] `Superseded`, `Broken` or `Unavailable`, as the definition's `Retry` and `Catch` expect.
pub async fn handle(context: &Context, event: Value) -> Result<Value, StepError> {
    let Event { input, step } =
        serde_json::from_value(event).map_err(|e| StepError::broken(format!("the step's input: {e}")))?;
    match step {
        Step::Advance => give(&advance::advance(context, &input).await?),
        Step::Await { what, token } => done(advance::wait(context, &input, what, &token).await?),
        Step::AwaitLane { token } => done(advance::wait(context, &input, Wait::Lane, &token).await?),
        Step::AwaitApproval { token } => done(advance::wait(context, &input, Wait::Approval, &token).await?),
        Step::AwaitUpstream { token, stage } => {
            done(advance::await_upstream(context, &input, &stage, &token).await?)
        }
        Step::Expire => done(advance::expire(context, &input).await?),
        Step::Settle => give(&advance::settle(context, &input).await?),
        Step::Fail { error, cause } => {
            give(&advance::fail(context, &input, &error, &cause.unwrap_or_default()).await?)
        }
        Step::Complete => done(advance::complete(context, &input).await?),
    }
}

fn give<T: Serialize>(next: &T) -> Result<Value, StepError> {
    serde_json::to_value(next).map_err(|e| StepError::broken(format!("the step's output: {e}")))
}

#[expect(clippy::unnecessary_wraps, reason = "the arms of one match have one type")]
fn done((): ()) -> Result<Value, StepError> {
    Ok(json!({}))
}
