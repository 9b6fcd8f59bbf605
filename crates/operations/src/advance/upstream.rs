//! A stage waits for the stages before it (T26).

use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_domain::stage::{Readiness, readiness, stages_of};
use pilothouse_store::Transaction;
use serde_json::{Value, json};

use crate::executions::ExecutionInput;
use crate::load::outcomes;
use crate::wake::{pass_over, wake_stages};
use crate::{Context, OperationError};

/// Answers at once when the stage may begin or never will; otherwise stores the token and looks again.
///
/// # Errors
/// [`OperationError`].
pub async fn await_upstream(
    context: &Context,
    input: &ExecutionInput,
    stage: &str,
    token: &str,
) -> Result<(), OperationError> {
    let attempt = context.current(input).await?.record;
    if let Some(answer) = resolve(context, &attempt, stage).await? {
        return Ok(context.executions.answer(token, &answer).await?);
    }
    let callback = Callback {
        at: attempt.at,
        awaited: Awaited::Upstream { stage: stage.to_owned() },
        token: token.to_owned(),
        created_at: context.now(),
    };
    context.store.commit(Transaction::new().put(&callback)).await?;
    let attempt = context.current(input).await?.record;
    match resolve(context, &attempt, stage).await? {
        Some(answer) => Ok(context.executions.answer(token, &answer).await?),
        None => Ok(()),
    }
}

/// The answer for a waiting stage, if there is one yet. Records that the stage is passed over, if it is.
async fn resolve(context: &Context, attempt: &Attempt, stage: &str) -> Result<Option<Value>, OperationError> {
    if attempt.state.is_terminal() {
        return Ok(Some(not_run()));
    }
    let release = context.release(&attempt.at.release).await?.record;
    let stages = stages_of(&release, attempt);
    let spec = stages
        .iter()
        .find(|s| s.name == stage)
        .ok_or_else(|| OperationError::Inconsistent(format!("the attempt has no stage `{stage}`")))?;
    let runs = context.store.stage_runs(&attempt.at).await?;
    if let Some(run) = runs.iter().find(|r| r.record.stage == stage) {
        let over = run.record.status.is_terminal();
        return Ok(Some(if over { not_run() } else { run_it(attempt, &stages, stage) }));
    }
    match readiness(&stages, &outcomes(&runs), &attempt.admission(), spec) {
        Readiness::Wait => Ok(None),
        Readiness::Ready => Ok(Some(run_it(attempt, &stages, stage))),
        Readiness::Never { reason } => {
            pass_over(context, attempt, spec, &reason).await?;
            wake_stages(context, attempt).await?;
            Ok(Some(not_run()))
        }
    }
}

pub(crate) fn not_run() -> Value {
    json!({ "run": false })
}

/// The answer that starts a stage's execution, whose name says which execution of the attempt started it.
pub(crate) fn run_it(
    attempt: &Attempt,
    stages: &[pilothouse_domain::pipeline::StageSpec],
    stage: &str,
) -> Value {
    let index = stages.iter().position(|s| s.name == stage).unwrap_or(stages.len());
    json!({ "run": true, "execution": format!("{}-{index}", attempt.execution_name()) })
}
