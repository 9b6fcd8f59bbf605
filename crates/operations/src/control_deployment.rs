//! Pausing, stopping and resuming a deployment (N12-N15).

use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptRef, AttemptStatus, Control, ControlEvent};
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Transaction, Versioned};

use crate::advance::settle::ended;
use crate::cancel_deployment::{canceling, wake_all};
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// How often a change is decided anew when the records change under it.
const TRIES: u32 = 20;

/// Lets what runs come to its end and starts nothing new until it is resumed (N13). It keeps its environment.
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
        let mut next = controlled(&attempt.record, ControlEvent::PauseRequested, by)?;
        let mut events = vec![changed(context, &next, by)];
        if is_idle(context, &next).await? {
            next.control = next.control.apply(ControlEvent::Drained)?;
            events.push(changed(context, &next, SYSTEM));
        }
        if commit(context, Transaction::new().replace(&attempt, &next).events(events)).await? {
            return Ok(next);
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
        let mut next = controlled(&attempt.record, ControlEvent::StopRequested, by)?;
        let mut tx = Transaction::new().event(changed(context, &next, by));
        if next.state.status() == AttemptStatus::NotDeployed {
            let reason = Some("it was stopped before it began".to_owned());
            let event = AttemptEvent::CancelRequested { by: by.to_owned(), reason, until: None };
            next = next.apply(event, by, context.now())?;
            tx = canceling(context, &next, by, tx).await?.event(ended(context, &next));
        }
        if commit(context, tx.replace(&attempt, &next)).await? {
            wake_all(context, &next).await?;
            return Ok(next);
        }
    }
    Err(too_fast(at))
}

/// Lets a paused or interrupted deployment go on (N14). An interrupted one gets a new execution.
///
/// # Errors
/// [`OperationError::ControlRefused`] when it is neither.
pub async fn resume_deployment(
    context: &Context,
    at: &AttemptRef,
    by: &str,
) -> Result<Attempt, OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        check_has_work(&attempt.record, "resume")?;
        let mut next = controlled(&attempt.record, ControlEvent::Resumed, by)?;
        let interrupted = attempt.record.control == Control::Interrupted;
        if interrupted {
            next.restarts += 1;
            next.losses = pilothouse_domain::attempt::Losses::default();
        }
        let tx = Transaction::new().replace(&attempt, &next).event(changed(context, &next, by));
        if commit(context, tx).await? {
            if interrupted {
                context.executions.start_or_leave(&next).await;
            }
            wake_all(context, &next).await?;
            return Ok(next);
        }
    }
    Err(too_fast(at))
}

/// Called whenever a stage came to its end: a deployment that was pausing is paused once nothing of it runs.
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn after_run_ended(context: &Context, at: &AttemptRef) -> Result<(), OperationError> {
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        if attempt.record.control != Control::Pausing || !is_idle(context, &attempt.record).await? {
            return Ok(());
        }
        let mut next = attempt.record.clone();
        next.control = next.control.apply(ControlEvent::Drained)?;
        let event = changed(context, &next, SYSTEM);
        if commit(context, Transaction::new().replace(&attempt, &next).event(event)).await? {
            return Ok(());
        }
    }
    Err(too_fast(at))
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

fn controlled(attempt: &Attempt, event: ControlEvent, by: &str) -> Result<Attempt, OperationError> {
    let control = attempt.control.apply(event)?;
    Ok(Attempt {
        control,
        controlled_by: Some(by.to_owned()),
        last_modified_by: by.to_owned(),
        ..attempt.clone()
    })
}

/// The event that says how its control is now.
pub(crate) fn changed(context: &Context, attempt: &Attempt, by: &str) -> EventDraft {
    context.event(&attempt.at, by, Happening::ControlChanged { control: attempt.control })
}

async fn is_idle(context: &Context, attempt: &Attempt) -> Result<bool, OperationError> {
    Ok(context.store.stage_runs(&attempt.at).await?.iter().all(|run| run.record.status.is_terminal()))
}

async fn commit(context: &Context, tx: Transaction) -> Result<bool, OperationError> {
    match context.store.commit(tx).await {
        Ok(_) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn too_fast(at: &AttemptRef) -> OperationError {
    OperationError::Contended(format!("attempt {} of `{}`", at.number, at.environment))
}

/// Marks an attempt whose execution is lost again and again; a person resumes it (N14, N15).
pub(crate) fn interrupted(attempt: &Versioned<Attempt>) -> Option<Attempt> {
    let control = attempt.record.control.apply(ControlEvent::ExecutionLost).ok()?;
    Some(Attempt { control, controlled_by: Some(SYSTEM.to_owned()), ..attempt.record.clone() })
}
