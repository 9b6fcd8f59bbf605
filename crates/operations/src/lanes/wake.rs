//! Waking those for whom there is room, and freeing what a holder that is gone still holds.

use pilothouse_domain::attempt::{Admission, Attempt, AttemptStatus, Control, Hurdle};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::lane::{LaneName, Lease, Waiting};
use pilothouse_store::{LaneHead, Transaction, Versioned};

use crate::advance::regain;
use crate::wake::answer;
use crate::{Context, OperationError};

/// How many of a line are looked at together.
const WINDOW: u32 = 25;

/// How often a lane is looked at anew after it changed under the hands of whoever wakes it: what is left then is woken
/// by who leaves next, or by the sweep.
const ROUNDS: u32 = 100;

/// Wakes the line in which the attempt waits, if it does; gives how many leases were freed.
pub(crate) async fn wake_line_of(context: &Context, attempt: &Attempt) -> Result<u32, OperationError> {
    let Some(stand) = context.stand_of(attempt).await? else { return Ok(0) };
    let freed = wake_lane(context, &stand.lane).await?;
    if attempt.state.status() == AttemptStatus::InProgress {
        regain(context, &attempt.at).await?;
    } else if attempt.admission() != Admission::Held
        && context.store.place_in_line(&stand.place(context, attempt)).await?.is_none()
    {
        // It waits without a place: it looks again, and takes one.
        answer(context, &attempt.at, &Awaited::Lane {}).await?;
    }
    Ok(freed)
}

/// Wakes as many of those who wait for the lane as there is room for, in their order. Who left the line another way
/// loses the place, and a holder whose attempt is completed or gone loses the lease; gives how many of these there were.
pub(crate) async fn wake_lane(context: &Context, lane: &LaneName) -> Result<u32, OperationError> {
    let mut freed = 0;
    for _ in 0..ROUNDS {
        let head = context.store.lane(lane, WINDOW).await?;
        if head.line.is_empty() {
            break;
        }
        let limit = match lane {
            LaneName::Environment { .. } | LaneName::Freeze {} => None,
            LaneName::Installation {} | LaneName::Cluster { .. } => context.limits().await?.of(lane),
        };
        let mut again = wake_head(context, lane, &head, limit).await?;
        if let Some(lease) = &head.lease
            && !has_room(lane, Some(&lease.record), &head.line[0].record, limit, 0)
        {
            let gone = free_gone(context, lease).await?;
            freed += gone;
            again |= gone > 0;
        }
        if !again {
            break;
        }
    }
    Ok(freed)
}

/// Whether there is room for one before whom `before` others come in.
fn has_room(
    lane: &LaneName,
    lease: Option<&Lease>,
    waiting: &Waiting,
    limit: Option<u32>,
    before: usize,
) -> bool {
    let at_once = match lane {
        LaneName::Environment { .. } => waiting.at_once,
        _ => limit,
    };
    let most = at_once.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    lease.map_or(most, |lease| lease.room(at_once)) > before
}

/// Wakes those at the head for whom there is room; whether the line changed, and is to be looked at again.
async fn wake_head(
    context: &Context,
    lane: &LaneName,
    head: &LaneHead,
    limit: Option<u32>,
) -> Result<bool, OperationError> {
    let lease = head.lease.as_ref().map(|lease| &lease.record);
    let mut before = 0;
    let mut changed = false;
    for waiting in &head.line {
        if !has_room(lane, lease, &waiting.record, limit, before) {
            break;
        }
        let attempt = context.store.attempt(&waiting.record.attempt).await?;
        let here = match &attempt {
            Some(attempt) => waits_in(context, &attempt.record, lane).await?,
            None => false,
        };
        match attempt.filter(|_| here) {
            // Its stages are held back; nobody but whoever wakes it lets it in.
            Some(attempt) if attempt.record.state.status() == AttemptStatus::InProgress => {
                changed |= regain(context, &attempt.record.at).await?;
                before += 1;
            }
            Some(attempt) => {
                answer(context, &attempt.record.at, &Awaited::Lane {}).await?;
                before += 1;
            }
            // It left the line another way (a cancel, a pause): it must not keep the others from moving up.
            None => {
                context.commit(Transaction::new().delete(waiting)).await?;
                changed = true;
            }
        }
    }
    Ok(changed)
}

/// Whether the attempt wants to come into the lane, and may. Who is paused comes back to the place when resumed.
async fn waits_in(context: &Context, attempt: &Attempt, lane: &LaneName) -> Result<bool, OperationError> {
    let here = match lane {
        LaneName::Environment { .. } => Hurdle::Lane,
        LaneName::Installation {} => Hurdle::Limit,
        LaneName::Cluster { .. } => Hurdle::Slot,
        LaneName::Freeze {} => return Ok(false),
    };
    if attempt.in_line_for() != Some(here) || attempt.control != Control::Running {
        return Ok(false);
    }
    // It may have this cluster's slot already, and wait for another's.
    let other =
        here == Hurdle::Slot && context.stand_of(attempt).await?.is_some_and(|stand| stand.lane != *lane);
    Ok(!other)
}

/// Frees a lease of those holders whose attempts are completed or gone: how many they were.
async fn free_gone(context: &Context, lease: &Versioned<Lease>) -> Result<u32, OperationError> {
    let mut left = lease.record.clone();
    let mut freed = 0;
    for holder in &lease.record.holders {
        let attempt = context.store.attempt(&holder.attempt).await?;
        if attempt.is_none_or(|attempt| attempt.record.completed_at.is_some())
            && let Some(without) = left.release(&holder.attempt, context.now())
        {
            left = without;
            freed += 1;
        }
    }
    if freed > 0 && !context.commit(Transaction::new().replace(lease, &left)).await? {
        return Ok(0);
    }
    Ok(freed)
}
