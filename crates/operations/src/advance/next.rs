//! The step that asks the records what comes next.

use pilothouse_domain::attempt::{
    Admission, Aftermath, Attempt, AttemptEvent, AttemptState, AttemptStatus, Hurdle,
};
use pilothouse_domain::gate::GateSide;
use pilothouse_domain::pipeline::topological_order;
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::stages_of;
use pilothouse_store::{Transaction, Versioned};

use super::approval::{approved, pending};
use super::carry_over::carry_over;
use super::freeze::{Hold, hold};
use super::lane::enter_lane;
use super::pass::{opening, pass};
use super::planned::ask_again;
use super::settle::finish;
use super::{LONGEST_SECONDS, Next};
use crate::control_deployment::end_overdue_pause;
use crate::executions::ExecutionInput;
use crate::gates::{self, GateStep};
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// More rounds than an attempt has states to go through, conflicts with what people do meanwhile included.
const ROUNDS: u32 = 40;

/// What comes next for the attempt; moves it on where nobody has to be waited for.
///
/// # Errors
/// [`OperationError`]; `Superseded` when a newer execution has taken over.
pub async fn advance(context: &Context, input: &ExecutionInput) -> Result<Next, OperationError> {
    for _ in 0..ROUNDS {
        let attempt = context.current(input).await?;
        if let Some(next) = step(context, &attempt).await? {
            return Ok(next);
        }
    }
    Err(OperationError::Contended(format!("attempt {} of `{}`", input.at.number, input.at.environment)))
}

/// One state on; `None`: look again.
async fn step(context: &Context, attempt: &Versioned<Attempt>) -> Result<Option<Next>, OperationError> {
    let record = &attempt.record;
    if record.state.is_terminal() {
        return after_end(context, record).await.map(Some);
    }
    if record.state.status() == AttemptStatus::NotDeployed && record.admission() == Admission::Held {
        return held(context, record).await;
    }
    match hold(context, attempt).await? {
        Hold::Free => {}
        Hold::Changed => return Ok(None),
        Hold::Wait(next) => return Ok(Some(next)),
    }
    match &record.state {
        AttemptState::Scheduled { at } => at_time(context, attempt, *at, Hurdle::Schedule).await,
        AttemptState::Deferred { until } => at_time(context, attempt, *until, Hurdle::Approval).await,
        AttemptState::Queued | AttemptState::QueuedForPipeline | AttemptState::QueuedForAgent => {
            enter_lane(context, attempt).await
        }
        AttemptState::PendingBefore
        | AttemptState::GatesFailedBefore { .. }
        | AttemptState::PendingAfter { .. }
        | AttemptState::GatesFailedAfter { .. } => pending(context, attempt).await,
        AttemptState::ApprovedBefore => approved(context, attempt).await.map(|()| None),
        AttemptState::PhaseInProgress
        | AttemptState::ManualInterventionPending
        | AttemptState::QueuedForPipelineAgain
        | AttemptState::QueuedForAgentAgain
        | AttemptState::Cancelling { .. } => stages(context, record).await.map(Some),
        AttemptState::PhaseSucceeded { .. } => follow(context, attempt).await.map(|()| None),
        AttemptState::EvaluatingGatesBefore => evaluate(context, attempt, GateSide::Before).await,
        AttemptState::EvaluatingGatesAfter { .. } => evaluate(context, attempt, GateSide::After).await,
        other => Err(OperationError::Inconsistent(format!(
            "attempt {} is {other:?}, which this version does not know how to go on from",
            record.id
        ))),
    }
}

/// It has not begun, and is paused or interrupted: waits until it is resumed, or its time for that is over.
async fn held(context: &Context, attempt: &Attempt) -> Result<Option<Next>, OperationError> {
    if end_overdue_pause(context, &attempt.at).await? {
        return Ok(None);
    }
    let timeout_seconds = attempt.resume_by.map_or(LONGEST_SECONDS, |until| context.seconds_until(until));
    Ok(Some(Next::Resume { timeout_seconds }))
}

async fn at_time(
    context: &Context,
    attempt: &Versioned<Attempt>,
    at: jiff::Timestamp,
    hurdle: Hurdle,
) -> Result<Option<Next>, OperationError> {
    if at > context.now() {
        return Ok(Some(Next::Time { timeout_seconds: context.seconds_until(at) }));
    }
    if hurdle == Hurdle::Approval && Box::pin(ask_again(context, attempt)).await? {
        return Ok(None);
    }
    let tx = pass(context, attempt, &attempt.record, hurdle, Transaction::new()).await?;
    commit_or_reload(context, tx).await.map(|()| None)
}

/// What an attempt's environment wants after its stages. A rollback is followed by nothing.
pub(super) fn aftermath(release: &Release, attempt: &Attempt) -> Option<Aftermath> {
    if attempt.is_rollback() {
        return None;
    }
    if gates::policy(release, attempt, GateSide::After).is_some() {
        return Some(Aftermath::Gates);
    }
    approves_after(release, attempt).then_some(Aftermath::Approval)
}

fn approves_after(release: &Release, attempt: &Attempt) -> bool {
    let spec = release.environment(&attempt.at.environment);
    spec.and_then(|s| s.approvals.as_ref()).is_some_and(|a| a.after.is_some())
}

/// Samples the gates of a side when it is time, and moves on by what they came to (A34-A38).
async fn evaluate(
    context: &Context,
    attempt: &Versioned<Attempt>,
    side: GateSide,
) -> Result<Option<Next>, OperationError> {
    let release = context.release(&attempt.record.at.release).await?.record;
    match (gates::step(context, &release, &attempt.record, side).await?, side) {
        (GateStep::Wait { seconds }, _) => return Ok(Some(Next::Gates { timeout_seconds: seconds })),
        (GateStep::Passed, GateSide::Before) => {
            // What was approved before the gates may be another plan by now.
            let approved = attempt.record.passed.contains(&Hurdle::Approval);
            if approved && Box::pin(ask_again(context, attempt)).await? {
                return Ok(None);
            }
            let tx = pass(context, attempt, &attempt.record, Hurdle::Gates, Transaction::new()).await?;
            commit_or_reload(context, tx).await?;
        }
        (GateStep::Passed, GateSide::After) => {
            let needs_approval = approves_after(&release, &attempt.record);
            finish(context, attempt, AttemptEvent::GatesPassed { needs_approval }).await?;
        }
        (GateStep::Failed { reason, ask }, _) => {
            finish(context, attempt, AttemptEvent::GatesFailed { reason, asks: ask }).await?;
        }
    }
    Ok(None)
}

async fn follow(context: &Context, attempt: &Versioned<Attempt>) -> Result<(), OperationError> {
    let release = context.release(&attempt.record.at.release).await?.record;
    let then = aftermath(&release, &attempt.record).ok_or_else(|| {
        OperationError::Inconsistent(format!("nothing follows the stages of attempt {}", attempt.record.id))
    })?;
    let next = attempt.record.apply(AttemptEvent::Followed { then }, SYSTEM, context.now())?;
    let tx = opening(context, &release, &next, Transaction::new().replace(attempt, &next)).await?;
    commit_or_reload(context, tx).await
}

/// Commits; a conflict is no error here, as the caller reads the records again and decides anew.
pub(super) async fn commit_or_reload(context: &Context, tx: Transaction) -> Result<(), OperationError> {
    context.commit(tx).await.map(drop)
}

async fn stages(context: &Context, attempt: &Attempt) -> Result<Next, OperationError> {
    let release = context.release(&attempt.at.release).await?;
    let stages = stages_of(&release.record, attempt);
    carry_over(context, attempt, &stages).await?;
    let names = topological_order(&stages).into_iter().map(|i| stages[i].name.clone()).collect();
    // Each stage has its deadline, and what a rollback may take bounds those of all of them (X4). A bound here would go on
    // while it is paused.
    Ok(Next::Stages { stages: names, timeout_seconds: LONGEST_SECONDS })
}

/// What follows a terminal state: the rollback it led to, what follows the end, or nothing.
pub(super) async fn after_end(context: &Context, attempt: &Attempt) -> Result<Next, OperationError> {
    if attempt.completed_at.is_some() {
        return Ok(Next::Done);
    }
    if let Some(at) = &attempt.rolled_back_by {
        let rollback = context.attempt(at).await?.record;
        if rollback.completed_at.is_none() {
            let execution = rollback.execution_name();
            return Ok(Next::Rollback { rollback: ExecutionInput::of(&rollback), execution });
        }
    }
    Ok(Next::Complete)
}
