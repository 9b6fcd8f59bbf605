//! The steps of `stage.asl.json`: one function, told by `step` what to do.

use pilothouse_function_kit::StepError;
use pilothouse_operations::Context;
use pilothouse_operations::stage_steps::{self, StageInput, StageNext};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the definition sends: which stage, and the step with what belongs to it.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(flatten)]
    input: StageInput,
    #[serde(flatten)]
    step: Step,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Step {
    Begin,
    Observe,
    Await {
        token: String,
    },
    Answered,
    Fail {
        error: String,
        #[serde(default)]
        cause: Option<String>,
    },
}

/// Carries out one step.
///
/// # Errors
/// [`StepError`] `Superseded`, `Broken` or `Unavailable`, as the definition's `Retry` and `Catch` expect.
pub async fn handle(context: &Context, event: Value) -> Result<Value, StepError> {
    let Event { input, step } =
        serde_json::from_value(event).map_err(|e| StepError::broken(format!("the step's input: {e}")))?;
    match step {
        Step::Begin => give(&stage_steps::begin(context, &input).await?),
        Step::Observe => give(&stage_steps::observe(context, &input).await?),
        Step::Await { token } => {
            stage_steps::await_answer(context, &input, &token).await?;
            Ok(json!({}))
        }
        // Executions of earlier definitions say whether the wait ran out, too; the records decide.
        Step::Answered => give(&stage_steps::answered(context, &input).await?),
        Step::Fail { error, cause } => {
            stage_steps::fail(context, &input, &error, &cause.unwrap_or_default()).await?;
            Ok(json!({}))
        }
    }
}

fn give(next: &StageNext) -> Result<Value, StepError> {
    serde_json::to_value(next).map_err(|e| StepError::broken(format!("the step's output: {e}")))
}
