//! Waking what waits: whoever ends a wait writes its record first, then reads the tokens of those that wait for it.

use pilothouse_domain::attempt::{Attempt, AttemptState};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::stage::{Readiness, StageRun, StageStatus, readiness, stages_of};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;
use serde_json::{Value, json};

use crate::advance::{not_run, run_it};
use crate::load::{SYSTEM, outcomes};
use crate::{Context, OperationError};

/// Answers the token of whoever is first in line for a lane that is free.
pub(crate) async fn wake_lane(
    context: &Context,
    application: &str,
    environment: &str,
) -> Result<(), OperationError> {
    while let Some(waiting) = context.store.first_waiting(application, environment).await? {
        let waiting = waiting.record;
        let free = match context.store.lease(application, environment).await? {
            Some(lease) => lease.record.holder.is_none_or(|h| h == waiting.attempt),
            None => true,
        };
        if !free {
            return Ok(());
        }
        let attempt = context.store.attempt(&waiting.attempt).await?;
        if attempt.is_some_and(|a| a.record.state == AttemptState::Queued) {
            return answer(context, &waiting.attempt, &Awaited::Lane {}).await;
        }
        // It left the line another way (a cancel): it must not keep the others from moving up.
        let gone = pilothouse_store::Record::key(&waiting);
        context.store.commit(Transaction::new().delete_key(gone)).await?;
    }
    Ok(())
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
    if stages.len() < 2 {
        return Ok(());
    }
    let callbacks = context.upstream_callbacks(&attempt.at).await?;
    loop {
        let runs = context.store.stage_runs(&attempt.at).await?;
        let known = outcomes(&runs);
        let mut passed_over = false;
        for callback in &callbacks {
            let Awaited::Upstream { stage } = &callback.record.awaited else { continue };
            let Some(spec) = stages.iter().find(|s| &s.name == stage) else { continue };
            if known.contains_key(stage) {
                continue;
            }
            match readiness(&stages, &known, attempt.control, spec) {
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
        action: Value::Null,
        output: Value::Null,
        has_snapshot: false,
    };
    let ended = Happening::StageEnded {
        status: run.status.name().to_owned(),
        reason: Some(reason.to_owned()),
        evidence: None,
    };
    let event = context.stage_event(&attempt.at, &stage.name, SYSTEM, ended);
    match context.store.commit(Transaction::new().create(&run).event(event)).await {
        Err(e) if !e.is_conflict() => Err(e.into()),
        _ => Ok(()),
    }
}
