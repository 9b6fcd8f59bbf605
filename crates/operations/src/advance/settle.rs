//! The verdict over an attempt's stages, and the rollback that a failure starts (V1, V2, H6).

use pilothouse_domain::attempt::{
    Admission, Attempt, AttemptEvent, AttemptState, Control, RollbackReason, StagesVerdict,
};
use pilothouse_domain::pipeline::{RollbackCause, RollbackMode, StageSpec};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::{StageEvent, StageOutcomes, StageRun, StageStatus, stages_of, verdict};
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Transaction, Versioned};

use super::Next;
use super::next::{advance, after_end, aftermath};
use super::pass::opening;
use crate::control_deployment::changed;
use crate::executions::ExecutionInput;
use crate::lanes::{lane_of_environment, leaving_line};
use crate::load::{SYSTEM, outcomes};
use crate::rollback::plan_rollback;
use crate::stage_steps::close_question;
use crate::{Context, OperationError};

/// How often a step decides anew after the records changed under it. The definition tries again after that.
pub(super) const TRIES: u32 = 20;

/// Ends the stages of the attempt with what they came to, and says what follows.
///
/// # Errors
/// [`OperationError`].
pub async fn settle(context: &Context, input: &ExecutionInput) -> Result<Next, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.current(input).await?;
        if !attempt.record.state.runs_stages() {
            return advance(context, input).await;
        }
        let release = context.release(&attempt.record.at.release).await?.record;
        let stages = stages_of(&release, &attempt.record);
        let known = outcomes(&context.store.stage_runs(&attempt.record.at).await?);
        if attempt.record.admission() == Admission::Held
            && stages.iter().any(|s| !known.contains_key(&s.name))
        {
            return Err(OperationError::Inconsistent(
                "stages that are held back cannot be settled".to_owned(),
            ));
        }
        let came_to = overdue(context, &attempt.record, &stages, &known)
            .or_else(|| stopped(&attempt.record, &known))
            .unwrap_or_else(|| verdict(&stages, &known));
        let then = aftermath(&release, &attempt.record);
        if finish(context, &attempt, AttemptEvent::StagesEnded { verdict: came_to, then }).await? {
            return advance(context, input).await;
        }
    }
    Err(too_fast(input))
}

fn too_fast(input: &ExecutionInput) -> OperationError {
    OperationError::Contended(format!("attempt {} of `{}`", input.at.number, input.at.environment))
}

/// The verdict over a rollback whose time was over before all of its stages were (X4).
fn overdue(
    context: &Context,
    attempt: &Attempt,
    stages: &[StageSpec],
    outcomes: &StageOutcomes,
) -> Option<StagesVerdict> {
    let deadline = attempt.deadline()?;
    let well = |s: &StageSpec| {
        matches!(outcomes.get(&s.name), Some(StageStatus::Succeeded | StageStatus::Skipped { .. }))
    };
    if deadline > context.now() || attempt.is_canceling() || stages.iter().all(well) {
        return None;
    }
    let reason = match verdict(stages, outcomes) {
        StagesVerdict::Failed { reason } => format!("the rollback did not end in its time: {reason}"),
        _ => "the rollback did not end in its time".to_owned(),
    };
    Some(StagesVerdict::Failed { reason })
}

/// The verdict over stages that a stop kept from beginning, if no stage failed (N12, N15: a failure meanwhile counts).
fn stopped(attempt: &Attempt, outcomes: &StageOutcomes) -> Option<StagesVerdict> {
    let kept = outcomes.values().any(|s| matches!(s, StageStatus::NotRun { .. }));
    let failed = outcomes.values().any(|s| matches!(s, StageStatus::Failed { .. }));
    let by = attempt.controlled_by.clone().unwrap_or_else(|| attempt.last_modified_by.clone());
    let reason = attempt.control_reason.clone().or_else(|| Some("it was stopped".to_owned()));
    (attempt.control == Control::Stopping && !attempt.is_canceling() && kept && !failed)
        .then_some(StagesVerdict::Stopped { by, reason })
}

/// Applies an event that may end the attempt, and writes what that brings with it. `false`: the records changed
/// meanwhile, and it is to be decided anew.
pub(crate) async fn finish(
    context: &Context,
    attempt: &Versioned<Attempt>,
    event: AttemptEvent,
) -> Result<bool, OperationError> {
    let release = context.release(&attempt.record.at.release).await?.record;
    let mut runs = context.store.stage_runs(&attempt.record.at).await?;
    let mut next = attempt.record.apply(event, SYSTEM, context.now())?;
    let tx = if next.state.is_terminal() {
        if running(&runs).len() > ENDED_WITH_IT {
            if !end_what_does_not_fit(context, attempt, &next, &runs).await? {
                return Ok(false);
            }
            runs = context.store.stage_runs(&attempt.record.at).await?;
        }
        let tx = end_running_stages(context, &next, &running(&runs));
        tx.and(ending(context, &mut next, &release, &runs).await?)
    } else {
        opening(context, &release, &next, Transaction::new()).await?
    };
    let mut tx = leaving_line(context, &attempt.record, tx).await?;
    if next.control != attempt.record.control && !next.state.is_terminal() {
        // A pause that found nothing left to hold back.
        next.control_reason = Some("no stage was left to begin".to_owned());
        tx = tx.event(changed(context, &next, SYSTEM));
    }
    context.commit(tx.replace(attempt, &next)).await
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
    for _ in 0..TRIES {
        let attempt = context.current(input).await?;
        if attempt.record.state.is_terminal() {
            return after_end(context, &attempt.record).await;
        }
        let reason = crate::cause::in_words(error, cause);
        if finish(context, &attempt, AttemptEvent::MachineryFailed { reason }).await? {
            let ended = context.current(input).await?;
            return after_end(context, &ended.record).await;
        }
    }
    Err(too_fast(input))
}

/// How many runs are ended in one transaction: each may take four of its 100 items, with its event, its message and its
/// question.
const ENDED_AT_ONCE: usize = 20;

/// How many of them end in the transaction that ends the attempt, which has more to write.
const ENDED_WITH_IT: usize = 8;

fn running(runs: &[Versioned<StageRun>]) -> Vec<&Versioned<StageRun>> {
    runs.iter().filter(|run| !run.record.status.is_terminal()).collect()
}

/// Ends those of the running stages that do not fit in the transaction that ends the attempt: the definition runs as many as
/// 40 at once. `false`: something changed meanwhile.
async fn end_what_does_not_fit(
    context: &Context,
    attempt: &Versioned<Attempt>,
    next: &Attempt,
    runs: &[Versioned<StageRun>],
) -> Result<bool, OperationError> {
    let running = running(runs);
    let early = running.len().saturating_sub(ENDED_WITH_IT);
    for some in running[..early].chunks(ENDED_AT_ONCE) {
        let mut tx = end_running_stages(context, next, some).check(attempt);
        for run in some {
            tx = close_question(context, &run.record, SYSTEM, tx).await?;
        }
        if !context.commit(tx).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends what still runs when its attempt ends for another reason.
fn end_running_stages(context: &Context, attempt: &Attempt, running: &[&Versioned<StageRun>]) -> Transaction {
    let reason = attempt.state.reason().unwrap_or_default();
    running.iter().fold(Transaction::new(), |tx, run| {
        let status = StageStatus::Failed { reason: reason.clone(), evidence: None };
        match run.record.apply(StageEvent::Ended(status), context.now()) {
            Ok(ended) => tx.replace(run, &ended).event(crate::stage_steps::event(context, &ended, SYSTEM)),
            Err(_) => tx,
        }
    })
}

/// What the end of an attempt brings with it: the rollback that it leads to, and the end of what it asked.
pub(crate) async fn ending(
    context: &Context,
    next: &mut Attempt,
    release: &Release,
    runs: &[Versioned<StageRun>],
) -> Result<Transaction, OperationError> {
    let mut tx = Transaction::new();
    let rollback = match rollback_reason(release, next, runs) {
        Some(reason) => Some(plan_rollback(context, release, next, runs, reason).await?),
        None => None,
    };
    match rollback {
        None => tx = tx.event(ended(context, next)),
        Some(None) => {
            let nothing = context.event(&next.at, SYSTEM, Happening::NothingToRollBack {});
            tx = tx.event(ended(context, next)).event(nothing);
        }
        Some(Some(rollback)) => {
            let lease = context.store.lease(&lane_of_environment(next)).await?;
            let handed = lease
                .as_ref()
                .and_then(|lease| lease.record.hand_over(&next.at, &rollback.attempt.at, context.now()));
            if let (Some(lease), Some(handed)) = (&lease, &handed) {
                next.rolled_back_by = Some(rollback.attempt.at.clone());
                tx = tx.replace(lease, handed);
            }
            tx = tx.event(ended(context, next));
            if next.rolled_back_by.is_some() {
                tx = rollback.add_to(context, &next.at, SYSTEM, tx);
            }
        }
    }
    for approval in context.approvals_of(&next.at).await? {
        let closed = approval.record.cancel(&next.last_modified_by, context.now());
        if closed != approval.record {
            tx = tx.replace(&approval, &closed);
        }
    }
    Ok(tx)
}

fn rollback_reason(
    release: &Release,
    attempt: &Attempt,
    runs: &[Versioned<StageRun>],
) -> Option<RollbackReason> {
    if attempt.is_rollback() {
        return None;
    }
    if let Some(request) = &attempt.rollback_request {
        return Some(RollbackReason::Requested { by: request.by.clone(), force: request.force });
    }
    let policy = &release.environment(&attempt.at.environment)?.rollback;
    let counts = |cause| policy.policy == RollbackMode::OnFailure && policy.causes.contains(&cause);
    let reason = attempt.state.reason().unwrap_or_default();
    match &attempt.state {
        AttemptState::PhaseFailed { .. }
            if counts(RollbackCause::StageFailed)
                || (counts(RollbackCause::StageTimedOut)
                    && runs.iter().any(|r| r.record.ran_out_of_time())) =>
        {
            Some(RollbackReason::StageFailed { reason })
        }
        AttemptState::RejectedAfter { .. } if counts(RollbackCause::ApprovalRejected) => {
            Some(RollbackReason::ApprovalRejected { reason })
        }
        AttemptState::GatesFailedFinally { .. } if counts(RollbackCause::GateFailed) => {
            Some(RollbackReason::GateFailed { reason })
        }
        AttemptState::CanceledAfter { .. } if counts(RollbackCause::Canceled) => {
            Some(RollbackReason::Canceled { reason })
        }
        _ => None,
    }
}

/// The event that an attempt ended.
pub(crate) fn ended(context: &Context, attempt: &Attempt) -> EventDraft {
    let (status, operation) = attempt.state.pair();
    let what = Happening::DeploymentEnded {
        status: format!("{status:?}"),
        operation_status: format!("{operation:?}"),
        reason: attempt.state.reason(),
        rollback: attempt.is_rollback(),
    };
    context.event(&attempt.at, &attempt.last_modified_by, what)
}
