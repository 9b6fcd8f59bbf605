//! A cancel inside a stage: what runs is asked to end, says what it leaves behind, and has a bounded time (A28, X3).

use std::time::Duration;

use jiff::Timestamp;
use pilothouse_domain::attempt::{Attempt, AttemptState};
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::stage::{StageRun, StageStatus, stages_of};
use pilothouse_store::Versioned;

use super::end::end_run;
use super::together::ended_by;
use super::{Loaded, StageInput, StageNext};
use crate::stage_workloads::keep_evidence;
use crate::{Context, OperationError};

/// How long a stage may take to say what it leaves behind, before what was seen last has to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cancel that is being carried out.
#[derive(Debug, Clone)]
pub(super) struct Cancel {
    by: String,
    until: Option<Timestamp>,
}

impl Cancel {
    /// The cancel of an attempt, if it is being cancelled. One that is paused or stopped lets what runs come to its end.
    pub(super) fn of(attempt: &Attempt) -> Option<Self> {
        match &attempt.state {
            AttemptState::Cancelling { by, until } => Some(Self { by: by.clone(), until: *until }),
            _ => None,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether a stage has to end now. One that always runs may go on until the cancel's time is over, but a question that
    /// was open when the deployment was cancelled is closed with it.
    fn ends(&self, spec: &StageSpec, run: &StageRun, now: Timestamp) -> bool {
        let asks = matches!(run.status, StageStatus::AwaitingAnswer { approval: Some(_) });
        !spec.always_run || asks || self.is_over(now)
    }

    /// The end of a run about which no more than its last progress is known.
    fn blind(&self, run: &StageRun) -> StageStatus {
        StageStatus::Canceled { by: self.by.clone(), left: last_seen(run) }
    }
}

fn last_seen(run: &StageRun) -> Option<String> {
    let progress = run.progress.as_deref().filter(|_| run.has_snapshot)?;
    Some(format!("last seen: {progress}"))
}

/// The cancel that ends `run` now, if there is one.
fn cancels(context: &Context, attempt: &Attempt, spec: &StageSpec, run: &StageRun) -> Option<Cancel> {
    Cancel::of(attempt).filter(|cancel| cancel.ends(spec, run, context.now()))
}

/// When a run must have ended: by its own deadline, or before, when its deployment is being cancelled.
pub(super) fn deadline(attempt: &Attempt, run: &StageRun) -> Timestamp {
    let until = Cancel::of(attempt).and_then(|cancel| cancel.until);
    until.map_or(run.deadline, |until| until.min(run.deadline))
}

/// The same for a run whose stage may be ended by a failure in another cluster, too (X9).
pub(super) async fn cancel_of(
    context: &Context,
    loaded: &Loaded,
    attempt: &Attempt,
    spec: &StageSpec,
    run: &StageRun,
) -> Result<Option<Cancel>, OperationError> {
    if let Some(cancel) = cancels(context, attempt, spec, run) {
        return Ok(Some(cancel));
    }
    let by = ended_by(context, attempt, &loaded.stages, spec).await?;
    Ok(by.map(|by| Cancel { by, until: None }))
}

/// Why a stage that has not begun never will, because the cancel's time is over.
pub(super) fn too_late(context: &Context, attempt: &Attempt) -> Option<String> {
    let over = Cancel::of(attempt)?.is_over(context.now());
    over.then(|| "the time for the cancel was over".to_owned())
}

/// Returns when the stage is to end because its deployment was cancelled; looks every `interval`.
pub(super) async fn asked_to_end(
    context: &Context,
    input: &StageInput,
    loaded: &Loaded,
    spec: &StageSpec,
    run: &StageRun,
    interval: Duration,
) {
    loop {
        tokio::time::sleep(interval).await;
        // What cannot be read now is read in the next round; what is at its end is the caller's to find out.
        let Ok(attempt) = context.current(&input.execution).await else { continue };
        if let Ok(Some(_)) = cancel_of(context, loaded, &attempt.record, spec, run).await {
            return;
        }
    }
}

/// Asks the stage what it leaves behind, and ends it.
pub(super) async fn end_canceled(
    context: &Context,
    loaded: &Loaded,
    run: &Versioned<StageRun>,
    cancel: &Cancel,
) -> Result<StageNext, OperationError> {
    let kind = context.stages.get(&run.record.stage_type)?;
    let stage = loaded.stage(context, &run.record)?;
    let status = match tokio::time::timeout(PATIENCE, kind.cancel(&stage)).await {
        Ok(Ok(left)) => StageStatus::Canceled { by: cancel.by.clone(), left },
        Ok(Err(error)) if error.is_retryable() && cancel.until.is_some_and(|until| until > context.now()) => {
            return Err(error);
        }
        Ok(Err(error)) => {
            let left = last_seen(&run.record).unwrap_or_else(|| "nothing more is known".to_owned());
            StageStatus::Canceled { by: cancel.by.clone(), left: Some(format!("{error}; {left}")) }
        }
        Err(_) => cancel.blind(&run.record),
    };
    keep_evidence(&stage).await;
    end_run(context, run, status, None, &cancel.by).await?;
    Ok(StageNext::Ended)
}

/// The end of a run whose machinery broke: a failure, or what the cancel makes of it.
pub(super) fn broken(attempt: &Attempt, run: &StageRun, otherwise: StageStatus) -> StageStatus {
    Cancel::of(attempt).map_or(otherwise, |cancel| cancel.blind(run))
}

/// Ends whatever of an attempt is not at its end although the time for its cancel is over, and counts it: a step that hangs, or a cluster
/// that does not answer, does not keep a cancel from ending (X3).
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn end_overdue(context: &Context, attempt: &Attempt) -> Result<u32, OperationError> {
    let Some(cancel) = Cancel::of(attempt).filter(|cancel| cancel.is_over(context.now())) else {
        return Ok(0);
    };
    let mut ended = 0;
    for run in context.store.stage_runs(&attempt.at).await? {
        if !run.record.status.is_terminal() {
            end_run(context, &run, cancel.blind(&run.record), None, &cancel.by).await?;
            ended += 1;
        }
    }
    let release = context.release(&attempt.at.release).await?.record;
    for spec in stages_of(&release, attempt) {
        crate::wake::pass_over(context, attempt, &spec, "the time for the cancel was over").await?;
    }
    crate::wake::wake_stages(context, attempt).await?;
    Ok(ended)
}
