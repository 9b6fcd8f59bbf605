//! A stage waits: for a person's answer, or for the end of a wait that may be skipped (T35, T37).

use pilothouse_domain::approval::{Approval, ApprovalStatus};
use pilothouse_domain::attempt::Control;
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_domain::stage::{StageRun, StageStatus};
use pilothouse_store::{Transaction, Versioned};
use serde_json::json;

use super::begin::canceled;
use super::end::{end_run, told_again};
use super::{Loaded, StageInput, StageNext};
use crate::load::SYSTEM;
use crate::stages::Answer;
use crate::{Context, OperationError};

/// Whole seconds until the run's deadline, at least one.
pub(super) fn seconds_left(context: &Context, run: &StageRun) -> i64 {
    let left = run.deadline.as_millisecond() - context.now().as_millisecond();
    left.saturating_add(999).div_euclid(1000).clamp(1, crate::advance::LONGEST_SECONDS)
}

pub(super) fn awaiting(approval: Option<&Approval>) -> StageStatus {
    StageStatus::AwaitingAnswer { approval: approval.map(|a| a.id.clone()) }
}

/// Stores the token of the step that waits, then looks whether the answer came before it.
///
/// # Errors
/// [`OperationError`].
pub async fn await_answer(context: &Context, input: &StageInput, token: &str) -> Result<(), OperationError> {
    let at = &context.current(&input.execution).await?.record.at;
    let callback = Callback {
        at: at.clone(),
        awaited: Awaited::Answer { stage: input.stage.clone() },
        token: token.to_owned(),
        created_at: context.now(),
    };
    context.store.commit(Transaction::new().put(&callback)).await?;
    let loaded = Loaded::new(context, input).await?;
    let Some(run) = &loaded.run else { return Ok(()) };
    let stopped = loaded.attempt.record.control != Control::Running;
    if stopped || run.record.status.is_terminal() || answer_of(context, run, false).await?.is_some() {
        context.executions.answer(token, &json!({})).await?;
    }
    Ok(())
}

/// Reads what was answered from the records and ends the stage accordingly.
///
/// # Errors
/// [`OperationError`].
pub async fn answered(
    context: &Context,
    input: &StageInput,
    timed_out: bool,
) -> Result<StageNext, OperationError> {
    let loaded = Loaded::new(context, input).await?;
    let run = loaded.run.as_ref().ok_or_else(|| {
        OperationError::Inconsistent(format!("stage `{}` was answered, but never began", input.stage))
    })?;
    if run.record.status.is_terminal() {
        return told_again(context, &loaded).await;
    }
    if loaded.attempt.record.control != Control::Running {
        end_run(context, run, canceled(&loaded), None, SYSTEM).await?;
        return Ok(StageNext::Ended);
    }
    let over = timed_out && run.record.deadline <= context.now();
    let Some(answer) = answer_of(context, run, over).await? else {
        return Ok(StageNext::Await { timeout_seconds: seconds_left(context, &run.record) });
    };
    if answer == Answer::TimedOut {
        expire(context, run).await?;
    }
    let actor = match &answer {
        Answer::Approved { by, .. } | Answer::Rejected { by } | Answer::Skipped { by } => by.clone(),
        Answer::TimedOut => SYSTEM.to_owned(),
    };
    let kind = context.stages.get(&run.record.stage_type)?;
    let end = kind.answered(&loaded.stage(context, &run.record)?, answer);
    end_run(context, run, end.status, Some(end.output), &actor).await?;
    Ok(StageNext::Ended)
}

/// Whether the records have an answer for a run that waits.
pub(crate) async fn is_answered(
    context: &Context,
    run: &Versioned<StageRun>,
) -> Result<bool, OperationError> {
    Ok(answer_of(context, run, false).await?.is_some())
}

/// What the records say was answered, if anything.
async fn answer_of(
    context: &Context,
    run: &Versioned<StageRun>,
    over: bool,
) -> Result<Option<Answer>, OperationError> {
    if let StageStatus::AwaitingAnswer { approval: Some(id) } = &run.record.status {
        let approval = context.store.approval(&run.record.at.release, id).await?;
        let approval =
            approval.ok_or_else(|| OperationError::Inconsistent(format!("approval {id} is gone")))?;
        let input = approval.record.decisions.last().and_then(|d| d.input.clone());
        return Ok(match approval.record.status {
            ApprovalStatus::Approved { by } => Some(Answer::Approved { by, input }),
            ApprovalStatus::Rejected { by } => Some(Answer::Rejected { by }),
            _ if over => Some(Answer::TimedOut),
            _ => None,
        });
    }
    if let Some(by) = run.record.action.get("skippedBy").and_then(serde_json::Value::as_str) {
        return Ok(Some(Answer::Skipped { by: by.to_owned() }));
    }
    Ok(over.then_some(Answer::TimedOut))
}

async fn expire(context: &Context, run: &Versioned<StageRun>) -> Result<(), OperationError> {
    let StageStatus::AwaitingAnswer { approval: Some(id) } = &run.record.status else { return Ok(()) };
    let Some(approval) = context.store.approval(&run.record.at.release, id).await? else { return Ok(()) };
    // A conflict is an answer that came at the last moment: the step is repeated, and finds it.
    context.store.commit(Transaction::new().replace(&approval, &approval.record.expire())).await?;
    Ok(())
}
