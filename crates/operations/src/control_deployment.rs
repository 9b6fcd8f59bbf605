//! Pausing, stopping and resuming a deployment (N12-N15).

use pilothouse_domain::attempt::{
    Attempt, AttemptEvent, AttemptRef, AttemptState, AttemptStatus, Control, ControlEvent,
};
use pilothouse_domain::duration::Span;
use pilothouse_domain::lane::LaneName;
use pilothouse_domain::stage::StageRun;
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Record as _, Transaction, Versioned};

use crate::advance::settle::ended;
use crate::advance::{LANE_PATIENCE, coming_back, is_frozen};
use crate::cancel_deployment::{canceling, wake_all};
use crate::gates::resuming;
use crate::lanes::{frozen_place, leaving, leaving_line, letting_go, limits_held, wake_lane};
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// How often a change is decided anew when the records change under it.
const TRIES: u32 = 20;

/// How long a pause lasts when its environment does not say (X3).
const PAUSE_TIMEOUT: Span = Span::from_secs(30 * 86_400);

/// Lets what runs come to its end and starts nothing new until it is resumed (N13). It keeps its environment.
///
/// First it pauses, then it looks whether anything runs: a stage that began before that is seen, and one that begins after it
/// is refused by the condition of its own write.
///
/// # Errors
/// [`OperationError::ControlRefused`] when it is paused or stopped, [`OperationError::Refused`] when it has ended or
/// only what follows its stages is left.
pub async fn pause_deployment(
    context: &Context,
    at: &AttemptRef,
    by: &str,
) -> Result<Attempt, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        check_has_work(&attempt.record, "pause")?;
        let next = controlled(context, &attempt.record, ControlEvent::PauseRequested, by).await?;
        let mut tx = Transaction::new().replace(&attempt, &next).event(changed(context, &next, by));
        // It does not keep those behind it in line from moving up; its place is its own when it comes back.
        tx = leaving_line(context, &attempt.record, tx).await?;
        if context.commit(tx).await? {
            if let Some(stand) = context.stand_of(&attempt.record).await? {
                wake_lane(context, &stand.lane).await?;
            }
            after_run_ended(context, at).await?;
            return Ok(context.attempt(at).await?.record);
        }
    }
    Err(too_fast(at))
}

/// Lets what runs come to its end and starts nothing more (N12). What has changed nothing yet ends at once.
///
/// # Errors
/// As for [`pause_deployment`].
pub async fn stop_deployment(
    context: &Context,
    at: &AttemptRef,
    by: &str,
) -> Result<Attempt, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        check_has_work(&attempt.record, "stop")?;
        if let Some(stopped) = stop(context, &attempt, by, None).await? {
            return Ok(stopped);
        }
    }
    Err(too_fast(at))
}

/// Stops a deployment that nobody resumed in its time (X3): what it changed stays, its environment becomes free, and it ends
/// as canceled. Whether it did so: nothing is done to one that was resumed, or has time left.
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn end_overdue_pause(context: &Context, at: &AttemptRef) -> Result<bool, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        if !attempt.record.is_hold_over(context.now()) {
            return Ok(false);
        }
        let held = if attempt.record.control == Control::Interrupted { "interrupted" } else { "paused" };
        let patience = patience(context, &attempt.record).await?;
        let why = format!("it was {held}, and nobody resumed it in {patience}");
        if stop(context, &attempt, SYSTEM, Some(why)).await?.is_some() {
            return Ok(true);
        }
    }
    Err(too_fast(at))
}

/// Stops a deployment that went on after a pause and found no room for too long (A26, A27, invariant 5). Whether it did so.
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn end_overdue_wait(context: &Context, at: &AttemptRef) -> Result<bool, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        if attempt.record.state.status() != AttemptStatus::InProgress
            || attempt.record.control != Control::Running
        {
            return Ok(false);
        }
        let Some(stand) = context.stand_of(&attempt.record).await? else { return Ok(false) };
        let place = context.store.place_in_line(&stand.place(context, &attempt.record)).await?;
        if place.is_none_or(|place| LANE_PATIENCE.after(place.record.since) > context.now()) {
            return Ok(false);
        }
        let why = format!("it waited {LANE_PATIENCE} for {}", stand.lane);
        if stop(context, &attempt, SYSTEM, Some(why)).await?.is_some() {
            return Ok(true);
        }
    }
    Err(too_fast(at))
}

/// `None`: the records changed meanwhile.
async fn stop(
    context: &Context,
    attempt: &Versioned<Attempt>,
    by: &str,
    why: Option<String>,
) -> Result<Option<Attempt>, OperationError> {
    let mut next = controlled(context, &attempt.record, ControlEvent::StopRequested, by).await?;
    next.control_reason.clone_from(&why);
    let interrupted = attempt.record.control == Control::Interrupted;
    if interrupted {
        next.restarts += 1;
    }
    let mut tx = Transaction::new().event(changed(context, &next, by));
    if next.state.status() == AttemptStatus::NotDeployed {
        let reason = why.or_else(|| Some("it was stopped before it began".to_owned()));
        let event = AttemptEvent::CancelRequested { by: by.to_owned(), reason, until: None };
        next = next.apply(event, by, context.now())?;
        tx = canceling(context, &next, by, tx).await?.event(ended(context, &next));
    }
    tx = leaving(context, &attempt.record, tx).await?;
    if !context.commit(tx.replace(attempt, &next)).await? {
        return Ok(None);
    }
    if interrupted {
        context.executions.start_or_leave(&next).await;
    }
    wake_all(context, &next).await?;
    Ok(Some(next))
}

/// Lets a paused or interrupted deployment go on (N14). An interrupted one gets a new execution.
///
/// # Errors
/// [`OperationError::ControlRefused`] when it is neither; [`OperationError::Conflicting`] when nothing is left to do.
pub async fn resume_deployment(
    context: &Context,
    at: &AttemptRef,
    by: &str,
) -> Result<Attempt, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        // One that was interrupted behind its stages still has its approvals, its gates and its end before it.
        if attempt.record.control != Control::Interrupted || attempt.record.completed_at.is_some() {
            check_has_work(&attempt.record, "resume")?;
        }
        let mut next = controlled(context, &attempt.record, ControlEvent::Resumed, by).await?;
        let interrupted = attempt.record.control == Control::Interrupted;
        if interrupted {
            next.restarts += 1;
        }
        let mut tx = Transaction::new().event(changed(context, &next, by));
        if interrupted {
            tx = given_back(context, &attempt.record, tx).await?;
        }
        if next.frozen.is_some() && !is_frozen(context, &next).await? {
            // It was lifted meanwhile; another one would hold it from now on.
            next.frozen = None;
            let thawed = context.event(at, SYSTEM, Happening::DeploymentThawed {});
            tx = tx.delete_key(frozen_place(context, &next).key()).event(thawed);
        }
        let (next, lane, tx) = coming_back(context, next, tx).await?;
        let tx = resuming(context, &next, tx).await?;
        if context.commit(tx.replace(&attempt, &next)).await? {
            if interrupted {
                context.executions.start_or_leave(&next).await;
            }
            wake_lanes(context, lane.as_slice()).await?;
            let next = context.attempt(at).await?.record;
            wake_all(context, &next).await?;
            return Ok(next);
        }
    }
    Err(too_fast(at))
}

/// Adds to `tx` that the stages which ran when their deployment was interrupted have the time that nobody looked at them.
async fn given_back(
    context: &Context,
    attempt: &Attempt,
    mut tx: Transaction,
) -> Result<Transaction, OperationError> {
    let Some(lost) = attempt.held.lasting(context.now()) else { return Ok(tx) };
    for run in context.store.stage_runs(&attempt.at).await? {
        if !run.record.status.is_terminal() {
            let deadline = lost.after(run.record.deadline);
            tx = tx.replace(&run, &StageRun { deadline, ..run.record.clone() });
        }
    }
    Ok(tx)
}

/// Called whenever a stage came to its end: a deployment that was pausing is paused once nothing of it runs.
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn after_run_ended(context: &Context, at: &AttemptRef) -> Result<(), OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        // Its last stage may have ended as it was paused, and the deployment with it: then there is nothing to resume.
        let pauses = attempt.record.control == Control::Pausing && !attempt.record.state.is_terminal();
        if !pauses || !is_idle(context, &attempt.record).await? {
            return Ok(());
        }
        let (next, lanes, tx) = drained(context, &attempt.record, Transaction::new()).await?;
        if context.commit(tx.replace(&attempt, &next)).await? {
            return wake_lanes(context, &lanes).await;
        }
    }
    Err(too_fast(at))
}

/// Adds to `tx` that nothing of a pausing deployment runs any more. While it is paused, others have its room in the
/// installation and in its cluster; it keeps its environment (X2, A26, A27). Gives the lanes that have room then.
async fn drained(
    context: &Context,
    attempt: &Attempt,
    tx: Transaction,
) -> Result<(Attempt, Vec<LaneName>, Transaction), OperationError> {
    let mut next = controlled(context, attempt, ControlEvent::Drained, SYSTEM).await?;
    let mut tx = tx.event(changed(context, &next, SYSTEM));
    let mut lanes = Vec::new();
    if gives_room_back(&next.state) {
        lanes = limits_held(context, attempt).await?;
        tx = letting_go(context, attempt, &lanes, tx).await?;
        next = next.without_room();
    }
    Ok((next, lanes, tx))
}

/// Whether a paused deployment in this state has taken room that others may use meanwhile.
pub(crate) fn gives_room_back(state: &AttemptState) -> bool {
    matches!(
        state,
        AttemptState::PhaseInProgress
            | AttemptState::ManualInterventionPending
            | AttemptState::QueuedForAgentAgain
    )
}

async fn wake_lanes(context: &Context, lanes: &[LaneName]) -> Result<(), OperationError> {
    for lane in lanes {
        wake_lane(context, lane).await?;
    }
    Ok(())
}

/// Pause, stop and resume are about stages that have not begun: there must be some.
fn check_has_work(attempt: &Attempt, action: &'static str) -> Result<(), OperationError> {
    let behind = attempt.state.status() != AttemptStatus::NotDeployed && !attempt.state.runs_stages();
    if attempt.state.is_terminal() || behind || attempt.is_canceling() {
        let (status, operation) = attempt.state.pair();
        return Err(OperationError::Conflicting(format!(
            "cannot {action}: the deployment is {status:?} ({operation:?}), and no stage of it is left to begin"
        )));
    }
    Ok(())
}

async fn controlled(
    context: &Context,
    attempt: &Attempt,
    event: ControlEvent,
    by: &str,
) -> Result<Attempt, OperationError> {
    let patience = patience(context, attempt).await?;
    Ok(attempt.controlled(event, by, context.now(), patience)?)
}

/// How long somebody has to resume the attempt.
async fn patience(context: &Context, attempt: &Attempt) -> Result<Span, OperationError> {
    let release = context.release(&attempt.at.release).await?.record;
    let spec = release.environment(&attempt.at.environment);
    Ok(spec.and_then(|spec| spec.pause_timeout).unwrap_or(PAUSE_TIMEOUT))
}

/// The event that says how its control is now.
pub(crate) fn changed(context: &Context, attempt: &Attempt, by: &str) -> EventDraft {
    let (control, reason) = (attempt.control, attempt.control_reason.clone());
    context.event(&attempt.at, by, Happening::ControlChanged { control, reason })
}

async fn is_idle(context: &Context, attempt: &Attempt) -> Result<bool, OperationError> {
    Ok(context.store.stage_runs(&attempt.at).await?.iter().all(|run| run.record.status.is_terminal()))
}

fn too_fast(at: &AttemptRef) -> OperationError {
    OperationError::Contended(format!("attempt {} of `{}`", at.number, at.environment))
}

/// Marks an attempt whose execution is lost again and again; a person resumes it (N14, N15).
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn interrupted(
    context: &Context,
    attempt: &Attempt,
) -> Result<Option<Attempt>, OperationError> {
    let patience = patience(context, attempt).await?;
    Ok(attempt.controlled(ControlEvent::ExecutionLost, SYSTEM, context.now(), patience).ok())
}
