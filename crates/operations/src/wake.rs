//! Waking what waits: whoever ends a wait writes its record first, then reads the tokens of those that wait for it.

use std::collections::BTreeSet;

use pilothouse_domain::attempt::{Admission, Attempt, Control};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::stage::{Readiness, StageRun, StageStatus, readiness, stages_of};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;
use serde_json::{Value, json};

use crate::advance::{is_over, not_run, run_it};
use crate::control_deployment::after_run_ended;
use crate::lanes::wake_line_of;
use crate::load::{SYSTEM, outcomes};
use crate::stage_steps::{is_answered, is_ended_by_another};
use crate::{Context, OperationError};

/// Wakes whatever of the attempt waits for what has come already. Whoever ends a wait wakes it, but may die in between:
/// `sweep` does it again, so that nothing waits out its deadline. Gives how many leases were freed that nobody held.
pub(crate) async fn wake_again(context: &Context, attempt: &Attempt) -> Result<u32, OperationError> {
    let freed = wake_line_of(context, attempt).await?;
    if attempt.control == Control::Pausing {
        after_run_ended(context, &attempt.at).await?;
    }
    wake_waits(context, attempt).await?;
    Ok(freed)
}

/// The same for those that wait on a token: the steps of the attempt's execution, and its stages, also one that was let
/// through just before a pause and has not begun.
pub(crate) async fn wake_waits(context: &Context, attempt: &Attempt) -> Result<(), OperationError> {
    for callback in context.store.callbacks(&attempt.at).await? {
        if has_come(context, attempt, &callback.record.awaited).await? {
            context.executions.answer(&callback.record.token, &json!({})).await?;
        }
    }
    if attempt.state.runs_stages() {
        wake_stages(context, attempt).await?;
    }
    Ok(())
}

/// Whether what is waited for has come, or does not matter any more.
async fn has_come(context: &Context, attempt: &Attempt, awaited: &Awaited) -> Result<bool, OperationError> {
    let Awaited::Answer { stage } = awaited else { return is_over(context, attempt, awaited).await };
    // An answer too many is harmless: the step looks again, and waits on.
    match context.store.stage_run(&attempt.at, stage).await? {
        // It was let through, and a pause came in between.
        None => Ok(attempt.admission() != Admission::Held),
        Some(_) if attempt.is_canceling() => Ok(true),
        Some(run) if run.record.status.is_terminal() => Ok(false),
        Some(run) => {
            Ok(is_answered(context, &run).await? || is_ended_by_another(context, attempt, stage).await?)
        }
    }
}

/// Answers the token of one wait, if somebody waits.
pub(crate) async fn answer(
    context: &Context,
    at: &pilothouse_domain::attempt::AttemptRef,
    awaited: &Awaited,
) -> Result<(), OperationError> {
    if let Some(callback) = context.store.callback(at, awaited).await? {
        context.executions.answer(&callback.record.token, &json!({})).await?;
    }
    Ok(())
}

/// Answers every stage of the attempt that waits for others and may now begin, or never will.
pub(crate) async fn wake_stages(context: &Context, attempt: &Attempt) -> Result<(), OperationError> {
    let release = context.release(&attempt.at.release).await?.record;
    let stages = stages_of(&release, attempt);
    let callbacks = context.upstream_callbacks(&attempt.at).await?;
    if callbacks.is_empty() {
        return Ok(());
    }
    let mut told = BTreeSet::new();
    loop {
        let runs = context.store.stage_runs(&attempt.at).await?;
        let known = outcomes(&runs);
        let mut passed_over = false;
        for callback in &callbacks {
            let Awaited::Upstream { stage } = &callback.record.awaited else { continue };
            let Some(spec) = stages.iter().find(|s| &s.name == stage) else { continue };
            match known.get(stage) {
                // Whoever passed it over may have died before telling it.
                Some(StageStatus::NotRun { .. }) if told.insert(stage) => {
                    context.executions.answer(&callback.record.token, &not_run()).await?;
                    continue;
                }
                Some(_) => continue,
                None => {}
            }
            match readiness(&stages, &known, &attempt.admission(), spec) {
                Readiness::Wait => {}
                Readiness::Ready => {
                    context
                        .executions
                        .answer(&callback.record.token, &run_it(attempt, &stages, stage))
                        .await?;
                }
                Readiness::Never { reason } => {
                    pass_over(context, attempt, spec, &reason).await?;
                    context.executions.answer(&callback.record.token, &not_run()).await?;
                    told.insert(stage);
                    passed_over = true;
                }
            }
        }
        if !passed_over {
            return Ok(());
        }
    }
}

/// Records that a stage will not run. Harmless when it has a record.
pub(crate) async fn pass_over(
    context: &Context,
    attempt: &Attempt,
    stage: &StageSpec,
    reason: &str,
) -> Result<(), OperationError> {
    let now = context.now();
    let run = StageRun {
        id: StageRunId::new(context.ids.ulid()),
        at: attempt.at.clone(),
        stage: stage.name.clone(),
        stage_type: stage.stage_type.clone(),
        status: StageStatus::NotRun { reason: reason.to_owned() },
        started_at: now,
        deadline: now,
        ended_at: Some(now),
        progress: None,
        options: Value::Null,
        plan: Value::Null,
        action: Value::Null,
        output: Value::Null,
        cluster: stage.cluster.clone(),
        carried_from: None,
        has_snapshot: false,
        touched: Vec::new(),
    };
    let ended = Happening::StageEnded {
        status: run.status.name().to_owned(),
        reason: Some(reason.to_owned()),
        evidence: None,
    };
    let event = context.stage_event(&attempt.at, &stage.name, SYSTEM, ended);
    context.commit(Transaction::new().create(&run).event(event)).await.map(drop)
}
