//! A stage ends: its status is written first, then those that wait for it are woken.

use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptState, Control};
use pilothouse_domain::stage::{StageEvent, StageRefused, StageRun, StageStatus};
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Transaction, Versioned};
use serde_json::Value;

use super::begin::blank;
use super::cancel::broken;
use super::together::ends_others;
use super::{Loaded, StageInput, StageNext};
use crate::control_deployment::after_run_ended;
use crate::load::SYSTEM;
use crate::stage_workloads::keep_evidence_of_begin;
use crate::stages::StageEnd;
use crate::wake::{wake_stages, wake_waits};
use crate::{Context, OperationError};

/// Ends a run, unless it has ended; wakes its dependents in either case.
pub(crate) async fn end_run(
    context: &Context,
    run: &Versioned<StageRun>,
    status: StageStatus,
    output: Option<Value>,
    actor: &str,
) -> Result<(), OperationError> {
    let mut seen = run.clone();
    let mut tries = 0;
    while !seen.record.status.is_terminal() {
        let ended = seen.record.apply(StageEvent::Ended(status.clone()), context.now());
        let mut next = ended.map_err(|e| not_allowed(&seen.record, &e))?;
        if let Some(output) = output.clone() {
            next.output = output;
        }
        let mut tx = Transaction::new().replace(&seen, &next).event(event(context, &next, actor));
        tx = answer_intervention(context, &next, tx).await?;
        tx = close_question(context, &seen.record, actor, tx).await?;
        match context.store.commit(tx).await {
            Ok(_) => break,
            Err(e) if e.is_conflict() && tries < 20 => {
                tries += 1;
                let missing = || OperationError::Inconsistent(format!("stage run {} is gone", next.id));
                seen = context.store.stage_run(&next.at, &next.stage).await?.ok_or_else(missing)?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    let attempt = context.attempt(&run.record.at).await?.record;
    after(context, &attempt, &seen.record.stage, &status).await
}

/// What follows a stage's end: a deployment that was pausing may be paused now, others may begin, and those that are the
/// same in other clusters may have to end.
async fn after(
    context: &Context,
    attempt: &Attempt,
    stage: &str,
    status: &StageStatus,
) -> Result<(), OperationError> {
    if attempt.control == Control::Pausing {
        after_run_ended(context, &attempt.at).await?;
    }
    if ends_others(context, attempt, stage, status).await? {
        return wake_waits(context, attempt).await;
    }
    wake_stages(context, attempt).await
}

/// What no step may ask of a run.
pub(super) fn not_allowed(run: &StageRun, refused: &StageRefused) -> OperationError {
    OperationError::Inconsistent(format!("stage `{}`: {refused}", run.stage))
}

/// A stage that is at its end, however it came there, asks nobody any more.
pub(crate) async fn close_question(
    context: &Context,
    run: &StageRun,
    actor: &str,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let StageStatus::AwaitingAnswer { approval: Some(id) } = &run.status else { return Ok(tx) };
    let Some(approval) = context.store.approval(&run.at.release, id).await? else { return Ok(tx) };
    if !approval.record.is_pending() {
        return Ok(tx);
    }
    Ok(tx.replace(&approval, &approval.record.cancel(actor, context.now())))
}

/// The end of a stage that ended in an earlier step, or call of this one: that may have died before it woke those that wait.
pub(super) async fn told_again(context: &Context, loaded: &Loaded) -> Result<StageNext, OperationError> {
    if let Some(run) = &loaded.run {
        after(context, &loaded.attempt.record, &run.record.stage, &run.record.status).await?;
    }
    Ok(StageNext::Ended)
}

/// When no other stage waits for a person any more, the attempt goes on (A24 back to A22).
async fn answer_intervention(
    context: &Context,
    ended: &StageRun,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let attempt = context.attempt(&ended.at).await?;
    if attempt.record.state != AttemptState::ManualInterventionPending {
        return Ok(tx);
    }
    let asks = |r: &StageRun| matches!(r.status, StageStatus::AwaitingAnswer { approval: Some(_) });
    let runs = context.store.stage_runs(&ended.at).await?;
    if runs.iter().any(|r| r.record.stage != ended.stage && asks(&r.record)) {
        // Written although nothing changes: the other may be answered just now too, and one of the two must see that it is
        // the last.
        return Ok(tx.replace(&attempt, &attempt.record));
    }
    match attempt.record.apply(AttemptEvent::InterventionAnswered, SYSTEM, context.now()) {
        Ok(next) => Ok(tx.replace(&attempt, &next)),
        Err(_) => Ok(tx),
    }
}

pub(crate) fn event(context: &Context, run: &StageRun, actor: &str) -> EventDraft {
    let evidence = match &run.status {
        StageStatus::Failed { evidence, .. } => evidence.clone(),
        _ => None,
    };
    let ended = Happening::StageEnded {
        status: run.status.name().to_owned(),
        reason: run.status.explanation().or_else(|| told_besides(run)),
        evidence,
    };
    context.stage_event(&run.at, &run.stage, actor, ended)
}

/// What a stage that ended well tells nevertheless, for the timeline.
fn told_besides(run: &StageRun) -> Option<String> {
    let notes = run.notes();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// A stage that ends as it begins: it was skipped, or its options cannot be evaluated.
pub(super) async fn start_and_end(
    context: &Context,
    attempt: &Attempt,
    run: &StageRun,
    end: StageEnd,
) -> Result<(), OperationError> {
    let status = StageStatus::first(StageEvent::Ended(end.status)).map_err(|e| not_allowed(run, &e))?;
    let ended = StageRun { status, output: end.output, ended_at: Some(context.now()), ..run.clone() };
    let tx = Transaction::new().create(&ended).event(event(context, &ended, SYSTEM));
    context.commit(tx).await?;
    wake_stages(context, attempt).await
}

/// The machinery gave no verdict: the stage fails and says what broke.
///
/// # Errors
/// [`OperationError`].
pub async fn fail(
    context: &Context,
    input: &StageInput,
    error: &str,
    cause: &str,
) -> Result<(), OperationError> {
    let loaded = Loaded::new(context, input).await?;
    let end = StageEnd::failed(crate::cause::in_words(error, cause));
    let attempt = &loaded.attempt.record;
    match &loaded.run {
        Some(run) => {
            let kind = context.stages.get(&run.record.stage_type);
            let stage = loaded.stage(context, &run.record);
            if let (false, Ok(kind), Ok(stage)) = (run.record.status.is_terminal(), kind, stage) {
                keep_evidence_of_begin(&stage, kind).await;
            }
            end_run(context, run, broken(attempt, &run.record, end.status), None, SYSTEM).await
        }
        None => {
            let run = blank(context, &loaded, loaded.spec(&input.stage)?);
            start_and_end(context, attempt, &run, end).await
        }
    }
}
