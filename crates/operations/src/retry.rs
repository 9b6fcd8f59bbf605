//! A retry from the failed stage: what succeeded in the attempt before is taken over (H5).

use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptRef, AttemptState, CarriedOver, carried_over};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::stages_of;

use crate::load::outcomes;
use crate::{Context, OperationError};

/// What the next attempt in an environment takes over from the last one there that began.
///
/// # Errors
/// [`OperationError::Conflicting`] when none began, when it succeeded, or when what it did does not stand any more: it was
/// rolled back, or another release was deployed since.
pub(crate) async fn take_over(
    context: &Context,
    release: &Release,
    environment: &str,
) -> Result<CarriedOver, OperationError> {
    let attempts = context.store.attempts(&release.id).await?.into_iter().map(|a| a.record);
    // What was over before it began came to no stage: what failed is in the one before it.
    let began = attempts.filter(|a| a.at.environment == environment && a.started_at.is_some());
    let base =
        began.max_by_key(|a| a.at.number).ok_or_else(|| refuse("nothing was deployed there before"))?;
    let number = base.at.number;
    if let AttemptKind::Rollback { undoes, .. } = &base.kind {
        let undone = undoes.number;
        return Err(refuse(&format!("attempt {undone} was rolled back by attempt {number}")));
    }
    if base.state == AttemptState::Succeeded {
        return Err(refuse(&format!("no stage of attempt {number} failed")));
    }
    if let Some(newer) = context.deployed_since(&base).await? {
        return Err(refuse(&format!("release {} was deployed there since", newer.at.release)));
    }
    let known = outcomes(&context.store.stage_runs(&base.at).await?);
    Ok(CarriedOver { from: number, stages: carried_over(&stages_of(release, &base), &known) })
}

/// Why an attempt that waited in line must not take over any more what it was to: another release was deployed between.
pub(crate) async fn outdated(context: &Context, attempt: &Attempt) -> Result<Option<String>, OperationError> {
    let Some(carried) = &attempt.carried else { return Ok(None) };
    let from = AttemptRef { number: carried.from, ..attempt.at.clone() };
    let newer = context.deployed_since(&context.attempt(&from).await?.record).await?;
    Ok(newer
        .map(|newer| format!("release {} was deployed there since; deploy from the start", newer.at.release)))
}

fn refuse(why: &str) -> OperationError {
    OperationError::Conflicting(format!("cannot go on from the failed stage: {why}; deploy from the start"))
}
