//! The verdict over an attempt's stages, and the rollback that a failure starts (V1, V2, H6).

use pilothouse_domain::attempt::{
    Attempt, AttemptEvent, AttemptKind, AttemptRef, AttemptState, Control, RollbackReason,
};
use pilothouse_domain::ids::AttemptId;
use pilothouse_domain::pipeline::{RollbackCause, RollbackMode, topological_order};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::{StageRun, StageStatus, stages_of, verdict};
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Transaction, Versioned};

use super::Next;
use super::next::after_end;
use crate::executions::ExecutionInput;
use crate::load::{SYSTEM, outcomes};
use crate::{Context, OperationError};

/// Ends the attempt with what its stages came to.
///
/// # Errors
/// [`OperationError`].
pub async fn settle(context: &Context, input: &ExecutionInput) -> Result<Next, OperationError> {
    loop {
        let attempt = context.current(input).await?;
        if attempt.record.state.is_terminal() {
            return after_end(context, &attempt.record).await;
        }
        let release = context.release(&attempt.record.at.release).await?.record;
        let runs = context.store.stage_runs(&attempt.record.at).await?;
        let came_to = verdict(&stages_of(&release, &attempt.record), &outcomes(&runs));
        let event = AttemptEvent::StagesEnded(came_to);
        if let Some(next) = end(context, &attempt, event, &release, &runs).await? {
            return after_end(context, &next).await;
        }
    }
}

/// Ends the attempt because the machinery broke; what its stages changed is rolled back as after any failure.
///
/// # Errors
/// [`OperationError`].
pub async fn fail(
    context: &Context,
    input: &ExecutionInput,
    error: &str,
    cause: &str,
) -> Result<Next, OperationError> {
    loop {
        let attempt = context.current(input).await?;
        if attempt.record.state.is_terminal() {
            return after_end(context, &attempt.record).await;
        }
        let release = context.release(&attempt.record.at.release).await?.record;
        let reason = format!("{error}: {}", cause.chars().take(500).collect::<String>());
        end_running_stages(context, &attempt.record, &reason).await?;
        let runs = context.store.stage_runs(&attempt.record.at).await?;
        let event = AttemptEvent::MachineryFailed { reason };
        if let Some(next) = end(context, &attempt, event, &release, &runs).await? {
            return after_end(context, &next).await;
        }
    }
}

async fn end_running_stages(
    context: &Context,
    attempt: &Attempt,
    reason: &str,
) -> Result<(), OperationError> {
    for run in context.store.stage_runs(&attempt.at).await? {
        if !run.record.status.is_terminal() {
            let status = StageStatus::Failed { reason: reason.to_owned(), evidence: None };
            crate::stage_steps::end_run(context, &run, status, None, SYSTEM).await?;
        }
    }
    Ok(())
}

/// Writes the end of the attempt, with the rollback it leads to. `None`: somebody else wrote it meanwhile.
async fn end(
    context: &Context,
    attempt: &Versioned<Attempt>,
    event: AttemptEvent,
    release: &Release,
    runs: &[Versioned<StageRun>],
) -> Result<Option<Attempt>, OperationError> {
    let mut next = attempt.record.apply(event, SYSTEM, context.now())?;
    let mut tx = Transaction::new();
    if let Some(reason) = rollback_reason(release, &next) {
        let lease = context.store.lease(&next.application, &next.at.environment).await?;
        let number = context.last_attempt_number(&next.at.release, &next.at.environment).await? + 1;
        if let (Some(lease), Some(rollback)) =
            (lease, rollback_of(context, release, &next, runs, number, reason))
            && let Some(handed) = lease.record.hand_over(&next.at, &rollback.at, context.now())
        {
            next.rolled_back_by = Some(rollback.at.clone());
            let trigger = next.state.reason().unwrap_or_default();
            let started = Happening::RollbackStarted { rollback: rollback.at.number, trigger };
            tx = tx
                .replace(&lease, &handed)
                .create(&rollback)
                .event(ended(context, &next))
                .event(context.event(&next.at, SYSTEM, started))
                .event(queued(context, &rollback));
        }
    }
    if next.rolled_back_by.is_none() {
        tx = tx.event(ended(context, &next));
    }
    for approval in context.approvals_of(&next.at).await? {
        let closed = approval.record.cancel(SYSTEM);
        if closed != approval.record {
            tx = tx.replace(&approval, &closed);
        }
    }
    match context.store.commit(tx.replace(attempt, &next)).await {
        Ok(_) => Ok(Some(next)),
        Err(e) if e.is_conflict() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn rollback_reason(release: &Release, attempt: &Attempt) -> Option<RollbackReason> {
    if attempt.is_rollback() {
        return None;
    }
    if let Some(request) = &attempt.rollback_request {
        return Some(RollbackReason::Requested { by: request.by.clone() });
    }
    let policy = &release.environment(&attempt.at.environment)?.rollback;
    let counts =
        policy.policy == RollbackMode::OnFailure && policy.causes.contains(&RollbackCause::StageFailed);
    match &attempt.state {
        AttemptState::PhaseFailed { reason } if counts => {
            Some(RollbackReason::StageFailed { reason: reason.clone() })
        }
        _ => None,
    }
}

/// The attempt that takes `attempt` back, if it changed anything.
pub(crate) fn rollback_of(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
    runs: &[Versioned<StageRun>],
    number: u32,
    reason: RollbackReason,
) -> Option<Attempt> {
    let stages = stages_of(release, attempt);
    let changed = |name: &str| runs.iter().find(|r| r.record.stage == name && r.record.has_snapshot);
    // Stages of different branches may have changed the same object: what counts is which came last in time.
    let mut undo: Vec<_> = topological_order(&stages)
        .into_iter()
        .filter_map(|i| Some((changed(&stages[i].name)?.record.started_at, stages[i].name.clone())))
        .collect();
    undo.reverse();
    undo.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
    let undo: Vec<String> = undo.into_iter().map(|(_, name)| name).collect();
    if undo.is_empty() {
        return None;
    }
    let by = match &reason {
        RollbackReason::StageFailed { .. } => SYSTEM.to_owned(),
        RollbackReason::Requested { by } => by.clone(),
    };
    let kind = AttemptKind::Rollback { undoes: attempt.at.clone(), reason, stages: undo };
    Some(new_attempt(context, release, &attempt.at.environment, number, kind, &by))
}

/// An attempt that waits to enter its lane.
pub(crate) fn new_attempt(
    context: &Context,
    release: &Release,
    environment: &str,
    number: u32,
    kind: AttemptKind,
    by: &str,
) -> Attempt {
    let at = AttemptRef { release: release.id.clone(), environment: environment.to_owned(), number };
    Attempt {
        id: AttemptId::new(context.ids.ulid()),
        at,
        application: release.application.clone(),
        kind,
        state: AttemptState::Queued,
        control: Control::Running,
        fence: None,
        restarts: 0,
        rolled_back_by: None,
        rollback_request: None,
        created_at: context.now(),
        created_by: by.to_owned(),
        started_at: None,
        ended_at: None,
        completed_at: None,
        last_modified_by: by.to_owned(),
    }
}

/// The event that an attempt was created.
pub(crate) fn queued(context: &Context, attempt: &Attempt) -> EventDraft {
    let kind = match attempt.kind {
        AttemptKind::Deploy => "deploy",
        AttemptKind::Redeploy => "redeploy",
        AttemptKind::Rollback { .. } => "rollback",
    };
    context.event(&attempt.at, &attempt.created_by, Happening::DeploymentQueued { kind: kind.to_owned() })
}

/// The event that an attempt ended.
pub(crate) fn ended(context: &Context, attempt: &Attempt) -> EventDraft {
    let (status, operation) = attempt.state.pair();
    let what = Happening::DeploymentEnded {
        status: format!("{status:?}"),
        operation_status: format!("{operation:?}"),
        reason: attempt.state.reason(),
    };
    context.event(&attempt.at, &attempt.last_modified_by, what)
}
