//! A retry from the failed stage: what succeeded in the attempt before is taken over (H5).

use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptState, CarriedOver, carried_over};
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::stages_of;
use pilothouse_store::Versioned;

use crate::load::outcomes;
use crate::{Context, OperationError};

/// What the next attempt takes over from `latest`, the last one there.
///
/// # Errors
/// [`OperationError::Conflicting`] when there is none, when it succeeded, or when what it did does not stand any more:
/// it was rolled back, or another release was deployed since.
pub(crate) async fn take_over(
    context: &Context,
    release: &Release,
    latest: Option<&Versioned<Attempt>>,
) -> Result<CarriedOver, OperationError> {
    let latest = latest.map(|l| &l.record).ok_or_else(|| refuse("nothing was deployed there before"))?;
    let number = latest.at.number;
    if let AttemptKind::Rollback { undoes, .. } = &latest.kind {
        let undone = undoes.number;
        return Err(refuse(&format!("attempt {undone} was rolled back by attempt {number}")));
    }
    if let Some(rollback) = &latest.rolled_back_by {
        return Err(refuse(&format!("attempt {number} was rolled back by attempt {}", rollback.number)));
    }
    if latest.state == AttemptState::Succeeded {
        return Err(refuse(&format!("no stage of attempt {number} failed")));
    }
    if let Some(newer) = context.deployed_since(latest).await? {
        return Err(refuse(&format!("release {} was deployed there since", newer.at.release)));
    }
    let runs = context.store.stage_runs(&latest.at).await?;
    let mut known = outcomes(&runs);
    if latest.started_at.is_none()
        && let Some(carried) = &latest.carried
    {
        // It never came to its stages, and took over others itself.
        let from = pilothouse_domain::attempt::AttemptRef { number: carried.from, ..latest.at.clone() };
        let earlier = context.store.stage_runs(&from).await?;
        known = outcomes(&earlier);
        known.retain(|name, _| carried.stages.contains(name));
        return Ok(CarriedOver {
            from: carried.from,
            stages: carried_over(&stages_of(release, latest), &known),
        });
    }
    Ok(CarriedOver { from: number, stages: carried_over(&stages_of(release, latest), &known) })
}

fn refuse(why: &str) -> OperationError {
    OperationError::Conflicting(format!("cannot go on from the failed stage: {why}; deploy from the start"))
}
