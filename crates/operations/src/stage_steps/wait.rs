//! A stage waits: for a person's answer, or for the end of a wait that may be skipped (T35, T37).

use pilothouse_domain::approval::{NOBODY, Verdict};
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_domain::stage::{Readiness, StageRun, StageStatus, readiness};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};
use serde_json::json;

use super::cancel::{Cancel, cancel_of, deadline, end_canceled};
use super::end::{end_run, told_again};
use super::{Loaded, StageInput, StageNext};
use crate::load::{SYSTEM, outcomes};
use crate::stages::{Answer, wait};
use crate::{Context, OperationError};

/// Whole seconds until the run must have ended, at least one.
pub(super) fn seconds_left(context: &Context, attempt: &Attempt, run: &StageRun) -> i64 {
    context.seconds_until(deadline(attempt, run))
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
    let over = match &loaded.run {
        None => loaded.attempt.record.state.is_terminal() || !is_held(context, &loaded, &input.stage).await?,
        Some(run) => {
            run.record.status.is_terminal()
                || asked_to_end(context, &loaded, input, run).await?.is_some()
                || is_answered(context, run).await?
        }
    };
    if over {
        context.executions.answer(token, &json!({})).await?;
    }
    Ok(())
}

async fn asked_to_end(
    context: &Context,
    loaded: &Loaded,
    input: &StageInput,
    run: &Versioned<StageRun>,
) -> Result<Option<Cancel>, OperationError> {
    let spec = loaded.spec(&input.stage)?;
    cancel_of(context, loaded, &loaded.attempt.record, spec, &run.record).await
}

/// Whether a stage that was let through, and has not begun, has to wait nevertheless.
async fn is_held(context: &Context, loaded: &Loaded, stage: &str) -> Result<bool, OperationError> {
    let attempt = &loaded.attempt.record;
    let runs = context.store.stage_runs(&attempt.at).await?;
    let ready = readiness(&loaded.stages, &outcomes(&runs), &attempt.admission(), loaded.spec(stage)?);
    Ok(ready == Readiness::Wait)
}

/// Reads what was answered from the records and ends the stage accordingly.
///
/// # Errors
/// [`OperationError`].
pub async fn answered(context: &Context, input: &StageInput) -> Result<StageNext, OperationError> {
    let loaded = Loaded::new(context, input).await?;
    let Some(run) = &loaded.run else { return Ok(StageNext::Begin) };
    if run.record.status.is_terminal() {
        return told_again(context, &loaded).await;
    }
    if let Some(cancel) = asked_to_end(context, &loaded, input, run).await? {
        return end_canceled(context, &loaded, run, &cancel).await;
    }
    let kind = context.stages.get(&run.record.stage_type)?;
    if let Some(end) = kind.come(context, &run.record).await? {
        end_run(context, run, end.status, Some(end.output), SYSTEM).await?;
        return Ok(StageNext::Ended);
    }
    // Whatever woke it: a deadline that passed is over, also one that was brought nearer while the token had more time.
    let Some(answer) = answer_of(context, run).await? else {
        let timeout_seconds = seconds_left(context, &loaded.attempt.record, &run.record);
        return Ok(StageNext::Await { timeout_seconds });
    };
    if answer == Answer::TimedOut {
        expire(context, run).await?;
    }
    let actor = match &answer {
        Answer::Approved { by, .. } | Answer::Rejected { by, .. } | Answer::Skipped { by } => by.clone(),
        Answer::TimedOut => SYSTEM.to_owned(),
    };
    let stage = loaded.stage(context, &run.record)?;
    let end = match answer {
        Answer::TimedOut => kind.timed_out(&stage).await?,
        answer => kind.answered(&stage, answer),
    };
    end_run(context, run, end.status, Some(end.output), &actor).await?;
    Ok(StageNext::Ended)
}

/// Whether the records have an answer for a run that waits, what it waits for has come, or its deadline passed.
pub(crate) async fn is_answered(
    context: &Context,
    run: &Versioned<StageRun>,
) -> Result<bool, OperationError> {
    if answer_of(context, run).await?.is_some() {
        return Ok(true);
    }
    Ok(context.stages.get(&run.record.stage_type)?.come(context, &run.record).await?.is_some())
}

/// What the records say was answered, if anything.
async fn answer_of(context: &Context, run: &Versioned<StageRun>) -> Result<Option<Answer>, OperationError> {
    let over = run.record.deadline <= context.now();
    if let StageStatus::AwaitingAnswer { approval: Some(id) } = &run.record.status {
        let approval = context.store.approval(&run.record.at.release, id).await?;
        let approval =
            approval.ok_or_else(|| OperationError::Inconsistent(format!("approval {id} is gone")))?;
        let approval = approval.record;
        let comment = approval.decisions.last().and_then(|d| d.comment.clone());
        return Ok(match approval.verdict() {
            Some(Verdict::Approved { by, .. }) => {
                let input = approval.input().map(str::to_owned);
                Some(Answer::Approved { by, input, comment })
            }
            Some(Verdict::Rejected { by }) if by != NOBODY => Some(Answer::Rejected { by, comment }),
            _ if over => Some(Answer::TimedOut),
            _ => None,
        });
    }
    if let Some(by) = run.record.action.get(wait::SKIPPED_BY).and_then(serde_json::Value::as_str) {
        return Ok(Some(Answer::Skipped { by: by.to_owned() }));
    }
    Ok(over.then_some(Answer::TimedOut))
}

async fn expire(context: &Context, run: &Versioned<StageRun>) -> Result<(), OperationError> {
    let StageStatus::AwaitingAnswer { approval: Some(id) } = &run.record.status else { return Ok(()) };
    let Some(approval) = context.store.approval(&run.record.at.release, id).await? else { return Ok(()) };
    if !approval.record.is_pending() {
        return Ok(());
    }
    let over = approval.record.expire();
    let expired_as = (!over.on_expiry.is_default()).then_some(over.on_expiry);
    let (at, stage) = (&run.record.at, &run.record.stage);
    let expired = context.stage_event(at, stage, SYSTEM, Happening::ApprovalExpired { expired_as });
    // A conflict is an answer that came at the last moment: the step is repeated, and finds it.
    context.store.commit(Transaction::new().replace(&approval, &over).event(expired)).await?;
    Ok(())
}
