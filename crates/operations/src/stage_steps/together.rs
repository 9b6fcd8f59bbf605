//! One stage in several clusters ends together (X9): where the failure in one fails the deployment, the others are asked to
//! end, as by a cancel.

use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::stage::{StageStatus, aborted_by, stages_of};

use crate::load::outcomes;
use crate::{Context, OperationError};

/// What failed in another cluster and so ends this stage, in words that follow "canceled by". Reads the runs only for a
/// stage that has others.
pub(super) async fn ended_by(
    context: &Context,
    attempt: &Attempt,
    stages: &[StageSpec],
    spec: &StageSpec,
) -> Result<Option<String>, OperationError> {
    if !spec.aborts_together() || spec.always_run {
        return Ok(None);
    }
    let known = outcomes(&context.store.stage_runs(&attempt.at).await?);
    Ok(aborted_by(stages, &known, spec).map(|other| format!("the failure of `{other}`")))
}

/// Whether a failure in another cluster ends the stage of that name.
pub(crate) async fn is_ended_by_another(
    context: &Context,
    attempt: &Attempt,
    stage: &str,
) -> Result<bool, OperationError> {
    let release = context.release(&attempt.at.release).await?.record;
    let stages = stages_of(&release, attempt);
    match stages.iter().find(|spec| spec.name == stage) {
        Some(spec) => Ok(ended_by(context, attempt, &stages, spec).await?.is_some()),
        None => Ok(false),
    }
}

/// Whether the end of a stage ends others, that may wait on tokens.
pub(super) async fn ends_others(
    context: &Context,
    attempt: &Attempt,
    stage: &str,
    status: &StageStatus,
) -> Result<bool, OperationError> {
    if !matches!(status, StageStatus::Failed { .. }) {
        return Ok(false);
    }
    let release = context.release(&attempt.at.release).await?.record;
    Ok(stages_of(&release, attempt).iter().any(|spec| spec.name == stage && spec.aborts_together()))
}
