//! Watching a running stage: returns as soon as there is a verdict, "not yet" otherwise.

use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageEvent, StageRun, StageStatus};
use pilothouse_store::{Transaction, Versioned};

use super::begin::verdict;
use super::cancel::{asked_to_end, cancel_of, end_canceled};
use super::end::{end_run, not_allowed, told_again};
use super::wait::seconds_left;
use super::{Loaded, StageInput, StageNext};
use crate::load::SYSTEM;
use crate::stage_workloads::keep_evidence;
use crate::stages::Observed;
use crate::{Context, OperationError};

/// How long one step watches: short enough for a Lambda that costs little when it is killed.
const STEP: Span = Span::from_secs(20);

/// How long it watches before it asks the records whether it is still wanted: a cancel is noticed after this.
const LOOK_UP: Span = Span::from_secs(2);

/// Watches the stage.
///
/// # Errors
/// [`OperationError`]; what goes wrong in the stage is no error but its end.
pub async fn observe(context: &Context, input: &StageInput) -> Result<StageNext, OperationError> {
    let until = STEP.after(context.now());
    loop {
        let loaded = Loaded::new(context, input).await?;
        let run = loaded.run.as_ref().ok_or_else(|| {
            OperationError::Inconsistent(format!("stage `{}` is watched, but never began", input.stage))
        })?;
        if run.record.status.is_terminal() {
            return told_again(context, &loaded).await;
        }
        let spec = loaded.spec(&input.stage)?;
        let attempt = &loaded.attempt.record;
        if let Some(cancel) = cancel_of(context, &loaded, attempt, spec, &run.record).await? {
            return end_canceled(context, &loaded, run, &cancel).await;
        }
        let kind = context.stages.get(&run.record.stage_type)?;
        if matches!(run.record.status, StageStatus::AwaitingAnswer { .. }) {
            return Ok(StageNext::Await { timeout_seconds: seconds_left(context, attempt, &run.record) });
        }
        if let Some(progress) = kind.rests(&run.record) {
            let Some(resting) = rest(context, run, progress).await? else { continue };
            return Ok(StageNext::Await { timeout_seconds: seconds_left(context, attempt, &resting) });
        }
        let stage = loaded.stage(context, &run.record)?;
        let observed = tokio::select! {
            observed = kind.observe(&stage, LOOK_UP) => observed,
            // A call that takes longer does not keep a cancel waiting.
            () = asked_to_end(context, input, &loaded, spec, &run.record, LOOK_UP.as_duration()) => continue,
        };
        let observed = match observed {
            Ok(observed) => observed,
            Err(error) => return verdict(context, run, error).await,
        };
        match observed {
            Observed::Ended(end) => {
                keep_evidence(&stage).await;
                end_run(context, run, end.status, Some(end.output), SYSTEM).await?;
                return Ok(StageNext::Ended);
            }
            Observed::Pending { progress, evidence } if run.record.deadline <= context.now() => {
                keep_evidence(&stage).await;
                let reason = format!("it took longer than its timeout; last seen: {progress}");
                end_run(context, run, StageStatus::Failed { reason, evidence }, None, SYSTEM).await?;
                return Ok(StageNext::Ended);
            }
            Observed::Pending { progress, .. } => note(context, run, progress).await?,
            Observed::Moved { action, progress } => {
                let next = StageRun { action, progress: Some(progress), ..run.record.clone() };
                // Whoever wrote in between has stored where it stands; that is read in the next round.
                context.commit(Transaction::new().replace(run, &next)).await?;
            }
        }
        if until <= context.now() {
            return Ok(StageNext::Observe);
        }
    }
}

/// Lets the run wait without being watched; `None` when somebody else wrote meanwhile.
async fn rest(
    context: &Context,
    run: &Versioned<StageRun>,
    progress: String,
) -> Result<Option<StageRun>, OperationError> {
    let asking = run.record.apply(StageEvent::Asked { approval: None }, context.now());
    let asking = asking.map_err(|e| not_allowed(&run.record, &e))?;
    let next = StageRun { progress: Some(progress), ..asking };
    Ok(context.commit(Transaction::new().replace(run, &next)).await?.then_some(next))
}

/// Keeps how it stands for those who look; a write only when it changed.
async fn note(context: &Context, run: &Versioned<StageRun>, progress: String) -> Result<(), OperationError> {
    if run.record.progress.as_deref() == Some(progress.as_str()) {
        return Ok(());
    }
    let next = StageRun { progress: Some(progress), ..run.record.clone() };
    context.commit(Transaction::new().replace(run, &next)).await.map(drop)
}
