//! Ending a wait early (T37).

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;
use serde_json::json;

use crate::stages::wait;
use crate::wake::answer;
use crate::{Context, OperationError};

/// Marks the wait as skipped and wakes it.
///
/// # Errors
/// [`OperationError::Conflicting`] when the stage is no wait, may not be skipped, or does not wait now.
pub async fn skip_wait(
    context: &Context,
    at: &AttemptRef,
    stage: &str,
    by: &str,
) -> Result<StageRun, OperationError> {
    for _ in 0..20 {
        let run = context.store.stage_run(at, stage).await?.ok_or_else(|| OperationError::NotFound {
            what: format!("a run of stage `{stage}` in attempt {} of `{}`", at.number, at.environment),
            hint: "it has not begun".to_owned(),
        })?;
        let record = &run.record;
        if record.stage_type != wait::NAME || !matches!(record.status, StageStatus::AwaitingAnswer { .. }) {
            let why =
                format!("cannot skip: stage `{stage}` ({}) is {}", record.stage_type, record.status.name());
            return Err(OperationError::Conflicting(why));
        }
        if record.options.get("skippable") == Some(&json!(false)) {
            return Err(OperationError::Conflicting(format!(
                "cannot skip: stage `{stage}` is not skippable"
            )));
        }
        let next = StageRun { action: json!({ "skippedBy": by }), ..record.clone() };
        let event = context.stage_event(at, stage, by, Happening::WaitSkipped {});
        match context.store.commit(Transaction::new().replace(&run, &next).event(event)).await {
            Ok(_) => {
                answer(context, at, &Awaited::Answer { stage: stage.to_owned() }).await?;
                return Ok(next);
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OperationError::Conflicting("the stage changes too fast; try again".to_owned()))
}
