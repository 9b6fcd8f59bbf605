//! The line is stopped: what a freeze covers does not begin its stages (X14). It waits in the state that it has, keeps
//! its place in its environment's line, and its record says who holds it and why.

use pilothouse_domain::attempt::{Attempt, AttemptState, AttemptStatus, Hurdle};
use pilothouse_domain::release::Release;
use pilothouse_domain::settings::{Frozen, LineStop};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Record as _, Transaction, Versioned};

use super::Next;
use super::lane::LANE_PATIENCE;
use super::next::commit_or_reload;
use super::pass::course;
use crate::gates::resuming;
use crate::lanes::{Stand, frozen_place, letting_go, slots_held, wake_lane};
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// What a freeze makes of an attempt.
pub(super) enum Hold {
    /// None holds it.
    Free,
    /// Its record changed: look again.
    Changed,
    /// It waits.
    Wait(Next),
}

/// The hurdle whose passing may let the stages begin, or take room from others; `None` where a person or a time is waited for first.
fn hurdle(state: &AttemptState) -> Option<Hurdle> {
    match state {
        AttemptState::Queued => Some(Hurdle::Lane),
        AttemptState::QueuedForPipeline => Some(Hurdle::Limit),
        AttemptState::EvaluatingGatesBefore => Some(Hurdle::Gates),
        AttemptState::ApprovedBefore | AttemptState::Deferred { .. } => Some(Hurdle::Approval),
        AttemptState::QueuedForAgent => Some(Hurdle::Slot),
        _ => None,
    }
}

/// Holds an attempt whose stages would begin next, or that would take the installation's room, while a freeze covers it;
/// lets it go when none does.
pub(super) async fn hold(context: &Context, attempt: &Versioned<Attempt>) -> Result<Hold, OperationError> {
    let record = &attempt.record;
    if record.state.status() != AttemptStatus::NotDeployed || (record.is_urgent() && record.frozen.is_none())
    {
        return Ok(Hold::Free);
    }
    let settings = context.settings().await?;
    if settings.freezes.is_empty() && record.frozen.is_none() {
        return Ok(Hold::Free);
    }
    let release = context.release(&record.at.release).await?.record;
    let freeze = settings.freeze_of(record, &clusters(&release, record), context.now());
    let course = course(&release, record, &settings.limits);
    let begins = hurdle(&record.state).filter(|hurdle| {
        let passed: Vec<Hurdle> = record.passed.iter().copied().chain([*hurdle]).collect();
        // A freeze of one application must not keep the installation's room from the others.
        *hurdle == Hurdle::Limit || course.ahead(&passed).is_none()
    });
    let Some((freeze, hurdle)) = freeze.zip(begins) else {
        return if record.frozen.is_some() { let_go(context, attempt).await } else { Ok(Hold::Free) };
    };
    if let Some(held) = record.frozen.as_ref().filter(|held| held.freeze == freeze.id) {
        let patience = LANE_PATIENCE.after(held.since);
        if patience <= context.now() {
            super::expire::give_up(context, attempt, "the line was stopped for too long").await?;
            return Ok(Hold::Changed);
        }
        let deadline = freeze.until.map_or(patience, |until| until.min(patience));
        return Ok(Hold::Wait(Next::Freeze { timeout_seconds: context.seconds_until(deadline) }));
    }
    begin(context, attempt, freeze, Stand::at(&release, record, hurdle, &settings.limits)).await
}

/// Notes that the freeze holds the attempt. It keeps its place in its environment's line, where nobody passes it but who is
/// urgent. Elsewhere others may pass: a freeze of one application does not hold those of another.
async fn begin(
    context: &Context,
    attempt: &Versioned<Attempt>,
    freeze: &LineStop,
    stand: Option<Stand>,
) -> Result<Hold, OperationError> {
    let record = &attempt.record;
    // One freeze may follow another: it is held since the first of them.
    let since = record.frozen.as_ref().map_or_else(|| context.now(), |held| held.since);
    let next = Attempt { frozen: Some(Frozen::by(freeze, since)), slots: Vec::new(), ..record.clone() };
    let slots = slots_held(record);
    let what = Happening::DeploymentFrozen {
        by: freeze.by.clone(),
        reason: freeze.reason.clone(),
        until: freeze.until,
    };
    let mut tx = Transaction::new()
        .replace(attempt, &next)
        .put(&frozen_place(context, record))
        .event(context.event(&record.at, SYSTEM, what));
    tx = letting_go(context, record, &slots, tx).await?;
    let mut left = slots;
    if let Some(stand) = stand.filter(|stand| stand.at_once.is_some()) {
        let place = stand.place(context, record);
        if stand.hurdle != Hurdle::Lane {
            tx = tx.delete_key(place.key());
            left.push(stand.lane);
        } else if context.store.place_in_line(&place).await?.is_none() {
            tx = tx.put(&place);
        }
    }
    commit_or_reload(context, tx).await?;
    for lane in left {
        wake_lane(context, &lane).await?;
    }
    Ok(Hold::Changed)
}

/// The cluster accounts that an attempt deploys to.
pub(crate) fn clusters<'a>(release: &'a Release, attempt: &Attempt) -> Vec<&'a str> {
    let spec = release.environment(&attempt.at.environment);
    spec.map(|spec| spec.clusters().into_iter().collect()).unwrap_or_default()
}

async fn let_go(context: &Context, attempt: &Versioned<Attempt>) -> Result<Hold, OperationError> {
    let next = Attempt { frozen: None, ..attempt.record.clone() };
    let tx = Transaction::new()
        .replace(attempt, &next)
        .delete_key(frozen_place(context, &next).key())
        .event(context.event(&next.at, SYSTEM, Happening::DeploymentThawed {}));
    let tx = resuming(context, &next, tx).await?;
    commit_or_reload(context, tx).await.map(|()| Hold::Changed)
}

/// Whether the freeze that the record names still holds the attempt.
pub(crate) async fn is_frozen(context: &Context, attempt: &Attempt) -> Result<bool, OperationError> {
    if attempt.state.status() != AttemptStatus::NotDeployed || attempt.state.is_terminal() {
        return Ok(false);
    }
    let Some(held) = &attempt.frozen else { return Ok(false) };
    let settings = context.settings().await?;
    let release = context.release(&attempt.at.release).await?.record;
    let freeze = settings.freeze_of(attempt, &clusters(&release, attempt), context.now());
    Ok(freeze.is_some_and(|freeze| freeze.id == held.freeze))
}
