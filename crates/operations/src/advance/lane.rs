//! Entering an environment's lane, and waiting in its line (X2).

use jiff::Timestamp;
use pilothouse_domain::attempt::{Attempt, AttemptKind, Hurdle};
use pilothouse_domain::lane::{Lease, Waiting};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use super::Next;
use super::expire::give_up;
use super::next::{commit_or_reload, seconds_until};
use super::pass::pass;
use crate::holds::held_meanwhile;
use crate::load::SYSTEM;
use crate::wake::wake_lane;
use crate::{Context, OperationError};

/// How long an attempt waits in line before it is cancelled (invariant 5).
pub(crate) const LANE_PATIENCE: pilothouse_domain::duration::Span =
    pilothouse_domain::duration::Span::from_secs(30 * 86_400);

/// Takes the lease if it is free and the attempt is first in line; otherwise says how long to wait.
pub(super) async fn enter_lane(
    context: &Context,
    attempt: &Versioned<Attempt>,
) -> Result<Option<Next>, OperationError> {
    let (application, environment) = (&attempt.record.application, &attempt.record.at.environment);
    let lease = context.store.lease(application, environment).await?;
    let head = context.store.first_waiting(application, environment).await?;
    let in_line = head.is_some();
    let first = head.is_none_or(|w| w.record.attempt == attempt.record.at);
    let vacant = lease
        .as_ref()
        .map_or_else(|| Lease::vacant(application, environment, context.now()), |l| l.record.clone());
    let ours = vacant.holder.as_ref() == Some(&attempt.record.at);
    match vacant.acquire(&attempt.record.at, context.now()) {
        Some(held) if first || ours => {
            if !ours && let Some(why) = out_of_date(context, &attempt.record).await? {
                give_up(context, attempt, &why).await?;
                return Ok(None);
            }
            take(context, attempt, lease.as_ref(), &held, in_line).await?;
            Ok(None)
        }
        held_by_nobody => {
            let since = stand_in_line(context, attempt, &vacant).await?;
            if held_by_nobody.is_some() {
                wake_lane(context, application, environment).await?;
            }
            let deadline = LANE_PATIENCE.after(since);
            Ok(Some(Next::Lane { timeout_seconds: seconds_until(context, deadline) }))
        }
    }
}

/// Why what waited for the lane must not go on, if it must not.
async fn out_of_date(context: &Context, attempt: &Attempt) -> Result<Option<String>, OperationError> {
    match too_late(context, attempt).await? {
        Some(why) => Ok(Some(why)),
        None => held_meanwhile(context, attempt).await,
    }
}

/// Why a rollback that waited for the lane must not be carried out any more: a deployment that came between would be
/// undone with it, to a state that nobody asked for.
async fn too_late(context: &Context, attempt: &Attempt) -> Result<Option<String>, OperationError> {
    let AttemptKind::Rollback { undoes, .. } = &attempt.kind else { return Ok(None) };
    let undone = context.attempt(undoes).await?.record;
    let newer = context.deployed_since(&undone).await?;
    Ok(newer.map(|newer| format!("release {} was deployed there since", newer.at.release)))
}

/// Takes a place in line, unless the attempt has one; gives since when it waits.
async fn stand_in_line(
    context: &Context,
    attempt: &Versioned<Attempt>,
    lease: &Lease,
) -> Result<Timestamp, OperationError> {
    let (application, environment) = (&attempt.record.application, &attempt.record.at.environment);
    if let Some(place) = context.store.place_in_line(application, environment, &attempt.record.id).await? {
        return Ok(place.record.since);
    }
    let waiting = place(&attempt.record, context.now());
    let holder = match &lease.holder {
        Some(holder) => format!("attempt {} of release {}", holder.number, holder.release),
        None => "those before it in line".to_owned(),
    };
    let event = context.event(&attempt.record.at, SYSTEM, Happening::LaneAwaited { holder });
    commit_or_reload(context, Transaction::new().create(&waiting).event(event)).await?;
    Ok(waiting.since)
}

fn place(attempt: &Attempt, since: Timestamp) -> Waiting {
    Waiting {
        application: attempt.application.clone(),
        environment: attempt.at.environment.clone(),
        id: attempt.id.clone(),
        attempt: attempt.at.clone(),
        since,
    }
}

async fn take(
    context: &Context,
    attempt: &Versioned<Attempt>,
    lease: Option<&Versioned<Lease>>,
    held: &Lease,
    in_line: bool,
) -> Result<(), OperationError> {
    let holding = Attempt { fence: Some(held.fence), ..attempt.record.clone() };
    let entered = Happening::LaneEntered { fence: held.fence };
    let mut tx = Transaction::new().event(context.event(&holding.at, SYSTEM, entered));
    tx = match lease {
        None => tx.create(held),
        Some(stored) if stored.record == *held => tx,
        Some(stored) => tx.replace(stored, held),
    };
    if in_line {
        tx = tx.delete_key(pilothouse_store::Record::key(&place(&holding, context.now())));
    }
    commit_or_reload(context, pass(context, attempt, &holding, Hurdle::Lane, tx).await?).await
}
