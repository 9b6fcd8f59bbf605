//! Ending a wait early, or bringing its end nearer (T37).

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageRun, StageStatus, stages_of};
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::Transaction;
use serde_json::json;

use crate::stages::wait;
use crate::wake::answer;
use crate::{Context, OperationError};

/// How a wait is to be ended early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkipWait {
    /// What may be left of it from now on; nothing when absent.
    pub remaining: Option<Span>,
    /// Whether whoever asks has read the wait's warning. Needed where there is one.
    pub acknowledged: bool,
}

/// Marks the wait as skipped, or moves its deadline nearer, and wakes it. The run is given as it stands then.
///
/// # Errors
/// [`OperationError::NotFound`] when there is no such stage; [`OperationError::Conflicting`] when it has not begun, is no
/// wait, does not wait now, may not be skipped, has a warning that was not acknowledged, or would become longer.
pub async fn skip_wait(
    context: &Context,
    at: &AttemptRef,
    stage: &str,
    ask: SkipWait,
    by: &str,
) -> Result<StageRun, OperationError> {
    for _ in 0..20 {
        let Some(run) = context.store.stage_run(at, stage).await? else {
            return Err(not_begun(context, at, stage).await?);
        };
        let (next, event) = changed(context, &run.record, ask, by)?;
        match context.store.commit(Transaction::new().replace(&run, &next).event(event)).await {
            Ok(_) => {
                answer(context, at, &Awaited::Answer { stage: stage.to_owned() }).await?;
                return Ok(next);
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OperationError::Contended(format!("stage `{stage}`")))
}

/// What there is no run of: a stage that has not begun, or none at all.
async fn not_begun(
    context: &Context,
    at: &AttemptRef,
    stage: &str,
) -> Result<OperationError, OperationError> {
    let attempt = context.attempt(at).await?.record;
    let release = context.release(&at.release).await?.record;
    let stages = stages_of(&release, &attempt);
    if stages.iter().any(|s| s.name == stage) {
        return Ok(OperationError::Conflicting(format!(
            "cannot skip: stage `{stage}` has not begun yet; it can be skipped while it waits"
        )));
    }
    let names: Vec<String> = stages.iter().map(|s| format!("`{}`", s.name)).collect();
    Ok(OperationError::NotFound {
        what: format!("stage `{stage}` of attempt {} of `{}`", at.number, at.environment),
        hint: format!("its stages are {}", names.join(", ")),
    })
}

/// The run as it is to be, and the event that says so.
fn changed(
    context: &Context,
    run: &StageRun,
    ask: SkipWait,
    by: &str,
) -> Result<(StageRun, EventDraft), OperationError> {
    let stage = &run.stage;
    let refuse = |why: String| Err(OperationError::Conflicting(format!("cannot skip: {why}")));
    if run.stage_type != wait::NAME {
        return refuse(format!("stage `{stage}` is of type `{}`, not a wait", run.stage_type));
    }
    if !matches!(run.status, StageStatus::AwaitingAnswer { .. }) {
        return refuse(format!("stage `{stage}` does not wait, it is {}", run.status.name()));
    }
    let terms = wait::terms(&run.options);
    if !terms.skippable {
        return refuse(format!("stage `{stage}` is not skippable, it ends at {:.0}", run.deadline));
    }
    if run.action.get(wait::SKIPPED_BY).is_some() {
        return refuse(format!("the wait of stage `{stage}` was ended already"));
    }
    if let (Some(warning), false) = (&terms.warning, ask.acknowledged) {
        return refuse(format!(
            "stage `{stage}` warns: {warning:?}; say `acknowledged: true` (`--yes`) to do it nevertheless"
        ));
    }
    let warning = terms.warning;
    match ask.remaining {
        None => {
            let next = StageRun { action: json!({ wait::SKIPPED_BY: by }), ..run.clone() };
            Ok((next, context.stage_event(&run.at, stage, by, Happening::WaitSkipped { warning })))
        }
        Some(remaining) => {
            let until = remaining.after(context.now());
            if until >= run.deadline {
                return refuse(format!(
                    "{remaining} from now is {until:.0}, and stage `{stage}` waits no longer than until {:.0} as it is",
                    run.deadline
                ));
            }
            let next = StageRun {
                deadline: until,
                action: json!({ wait::SHORTENED_BY: by }),
                progress: Some(wait::progress(until)),
                ..run.clone()
            };
            Ok((next, context.stage_event(&run.at, stage, by, Happening::WaitShortened { until, warning })))
        }
    }
}
