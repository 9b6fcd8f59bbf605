//! Entering a lane, and waiting in its line: an environment's (X2), the installation's limit and a cluster's slots
//! (A19, A20, A26, A27).

use jiff::Timestamp;
use pilothouse_domain::attempt::{
    Attempt, AttemptEvent, AttemptKind, AttemptRef, AttemptState, AttemptStatus, Control, Hurdle,
};
use pilothouse_domain::duration::Span;
use pilothouse_domain::lane::{Entry, LaneName, Lease, Line, Waiting, superseded};
use pilothouse_domain::pipeline::LanePolicy;
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{LaneHead, Record as _, Transaction, Versioned};

use super::Next;
use super::next::commit_or_reload;
use super::pass::{course, pass};
use super::planned::ask_again;
use super::settle::ended;
use crate::control_deployment::gives_room_back;
use crate::holds::held_meanwhile;
use crate::lanes::{Stand, pass_free_clusters, wake_lane};
use crate::load::SYSTEM;
use crate::retry::outdated;
use crate::wake::{answer, wake_waits};
use crate::{Context, OperationError};

/// How long an attempt waits in line before it is cancelled (invariant 5).
pub(crate) const LANE_PATIENCE: Span = Span::from_secs(30 * 86_400);

/// The most of a line that is looked at together.
const WINDOW: u32 = 100;

/// How often a lane is decided on anew when its records change meanwhile.
const TRIES: u32 = 20;

/// Goes in if there is room and nobody waited before; otherwise says how long to wait.
pub(super) async fn enter_lane(
    context: &Context,
    attempt: &Versioned<Attempt>,
) -> Result<Option<Next>, OperationError> {
    let record = &attempt.record;
    let Some(stand) = context.stand_of(record).await? else { return Ok(None) };
    if stand.hurdle != Hurdle::Lane && stand.at_once.is_none() {
        // The limit was lifted meanwhile: there is nothing to hold.
        let tx = Transaction::new().delete_key(stand.place(context, record).key());
        return found_room(context, attempt, &stand, tx).await.map(|()| None);
    }
    let found = look(context, &stand, record).await?;
    match found.entry {
        Entry::Enter(held) => {
            let ours = found.lease.held_by(&record.at).is_some();
            if !ours && let Some(why) = out_of_date(context, stand.hurdle, record).await? {
                leave(context, attempt, &found.place, &why).await?;
            } else {
                take(context, attempt, &stand, &found.head, &held).await?;
            }
            Ok(None)
        }
        Entry::Refused => {
            let why = format!("{} is taken: held by {}", stand.lane, holders(&found.lease));
            leave(context, attempt, &found.place, &why).await.map(|()| None)
        }
        Entry::Superseded { by } => {
            leave(context, attempt, &found.place, &superseded_by(&by.release)).await.map(|()| None)
        }
        Entry::Wait => {
            let Some(since) = stand_in_line(context, attempt, &stand, &found).await? else { return Ok(None) };
            if stand.policy == LanePolicy::LatestOnly {
                supersede_older(context, &found.place).await?;
            }
            if found.lease.room(stand.at_once) > 0 {
                wake_lane(context, &stand.lane).await?;
            }
            let timeout_seconds = context.seconds_until(LANE_PATIENCE.after(since));
            Ok(Some(Next::Lane { timeout_seconds }))
        }
    }
}

/// A lane as an attempt found it, and what becomes of the attempt there.
struct Found {
    head: LaneHead,
    lease: Lease,
    place: Waiting,
    entry: Entry,
}

/// Reads the lane and decides.
async fn look(context: &Context, stand: &Stand, attempt: &Attempt) -> Result<Found, OperationError> {
    let most = stand.at_once.unwrap_or(0).min(WINDOW);
    let head = context.store.lane(&stand.lane, most).await?;
    let lease = head
        .lease
        .as_ref()
        .map_or_else(|| Lease::vacant(stand.lane.clone(), context.now()), |lease| lease.record.clone());
    let last = match stand.policy {
        LanePolicy::LatestOnly => last_version(context, &stand.lane).await?,
        _ => None,
    };
    let before: Vec<Waiting> = head.line.iter().map(|waiting| waiting.record.clone()).collect();
    let place = stand.place(context, attempt);
    let line = Line {
        lease: &lease,
        head: &before,
        last: last.as_ref(),
        at_once: stand.at_once,
        policy: stand.policy,
    };
    let entry = line.enter(&place, context.now());
    Ok(Found { head, lease, place, entry })
}

/// The last in line that brings a version and does not go first.
async fn last_version(context: &Context, lane: &LaneName) -> Result<Option<Waiting>, OperationError> {
    let last = context.store.last_waiting(lane).await?.map(|last| last.record);
    if last.as_ref().is_none_or(|last| last.versioned) {
        return Ok(last);
    }
    // It is a point operation: versions may wait before it.
    let line = context.store.waiting(lane).await?.into_iter().map(|waiting| waiting.record);
    Ok(line.rev().find(|one| one.versioned && !one.urgent))
}

fn superseded_by(release: &impl std::fmt::Display) -> String {
    format!("superseded by release {release}")
}

/// Who holds a lane, for people.
fn holders(lease: &Lease) -> String {
    let name = |holder: &pilothouse_domain::lane::Holder| {
        format!("attempt {} of release {}", holder.attempt.number, holder.attempt.release)
    };
    match lease.holders.as_slice() {
        [] => "those before it in line".to_owned(),
        [first] => name(first),
        [first, others @ ..] => format!("{} and {} more", name(first), others.len()),
    }
}

/// Why what waited for its environment must not go on, if it must not.
async fn out_of_date(
    context: &Context,
    hurdle: Hurdle,
    attempt: &Attempt,
) -> Result<Option<String>, OperationError> {
    if hurdle != Hurdle::Lane {
        return Ok(None);
    }
    if let Some(why) = too_late(context, attempt).await? {
        return Ok(Some(why));
    }
    match outdated(context, attempt).await? {
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

/// The event that an attempt waits for room, or for who holds its environment.
fn awaited(context: &Context, at: &AttemptRef, stand: &Stand, lease: Option<&Lease>) -> EventDraft {
    let what = match (stand.hurdle, stand.at_once) {
        (Hurdle::Limit | Hurdle::Slot, Some(limit)) => {
            Happening::RoomAwaited { lane: stand.lane.to_string(), limit }
        }
        _ => Happening::LaneAwaited { holder: lease.map_or_else(String::new, holders) },
    };
    context.event(at, SYSTEM, what)
}

/// Takes a place in line, unless the attempt has one; gives since when it waits, or `None` when the attempt changed
/// meanwhile.
async fn stand_in_line(
    context: &Context,
    attempt: &Versioned<Attempt>,
    stand: &Stand,
    found: &Found,
) -> Result<Option<Timestamp>, OperationError> {
    if let Some(place) = context.store.place_in_line(&found.place).await? {
        return Ok(Some(place.record.since));
    }
    // Whoever cancels or pauses the attempt takes its place away: it must not take it after that.
    let told = awaited(context, &attempt.record.at, stand, Some(&found.lease));
    let tx = Transaction::new().check(attempt).create(&found.place).event(told);
    Ok(context.commit(tx).await?.then_some(found.place.since))
}

/// Ends an attempt that stood in line, and has changed nothing.
async fn leave(
    context: &Context,
    attempt: &Versioned<Attempt>,
    place: &Waiting,
    why: &str,
) -> Result<(), OperationError> {
    let event = AttemptEvent::CancelRequested {
        by: "the system".to_owned(),
        reason: Some(why.to_owned()),
        until: None,
    };
    let next = attempt.record.apply(event, SYSTEM, context.now())?;
    let tx = Transaction::new().replace(attempt, &next).delete_key(place.key()).event(ended(context, &next));
    commit_or_reload(context, tx).await
}

/// Ends the deployments that wait before this one, where only the latest is wanted.
async fn supersede_older(context: &Context, latest: &Waiting) -> Result<(), OperationError> {
    for older in context.store.waiting(&latest.lane).await? {
        if !superseded(&older.record, latest) {
            continue;
        }
        let Some(attempt) = context.store.attempt(&older.record.attempt).await? else { continue };
        if attempt.record.state == AttemptState::Queued {
            let why = superseded_by(&latest.attempt.release);
            leave(context, &attempt, &older.record, &why).await?;
            answer(context, &older.record.attempt, &pilothouse_domain::callback::Awaited::Lane {}).await?;
        }
    }
    Ok(())
}

/// Adds to `tx` that the lease stands as `held` has it, and that `place` is given up by who stands there.
fn holding(head: &LaneHead, held: &Lease, place: &Waiting, tx: Transaction) -> Transaction {
    let tx = match &head.lease {
        None => tx.create(held),
        Some(stored) if stored.record == *held => tx,
        Some(stored) => tx.replace(stored, held),
    };
    // Who goes in stands at the head, or nowhere.
    if head.line.iter().any(|waiting| waiting.record.id == place.id) {
        return tx.delete_key(place.key());
    }
    tx
}

async fn take(
    context: &Context,
    attempt: &Versioned<Attempt>,
    stand: &Stand,
    head: &LaneHead,
    held: &Lease,
) -> Result<(), OperationError> {
    let record = &attempt.record;
    let tx = holding(head, held, &stand.place(context, record), Transaction::new());
    if stand.hurdle != Hurdle::Lane {
        return found_room(context, attempt, stand, tx).await;
    }
    let fence = held.held_by(&record.at).map_or(held.fence, |holder| holder.fence);
    let entering = Attempt { fence: Some(fence), ..record.clone() };
    let tx = tx.event(context.event(&record.at, SYSTEM, Happening::LaneEntered { fence }));
    commit_or_reload(context, pass(context, attempt, &entering, Hurdle::Lane, tx).await?).await
}

/// Commits that an attempt found room at a limit: it passes it, or asks for the slots of its next cluster.
async fn found_room(
    context: &Context,
    attempt: &Versioned<Attempt>,
    stand: &Stand,
    tx: Transaction,
) -> Result<(), OperationError> {
    let release = context.release(&attempt.record.at.release).await?.record;
    let (next, all) = stand.entered(&release, &attempt.record, &context.limits().await?);
    // It is the last hurdle, and it may have waited here for days.
    if all && stand.hurdle == Hurdle::Slot && Box::pin(ask_again(context, attempt)).await? {
        return Ok(());
    }
    let tx = match all {
        true => pass(context, attempt, &next, stand.hurdle, tx).await?,
        false => tx.replace(attempt, &next),
    };
    commit_or_reload(context, tx).await
}

/// Lets an attempt that waits for room again after a pause go on, as far as there is room (A26, A27); whether it got
/// any further.
pub(crate) async fn regain(context: &Context, at: &AttemptRef) -> Result<bool, OperationError> {
    let mut on = false;
    for _ in 0..TRIES {
        let attempt = context.attempt(at).await?;
        let record = &attempt.record;
        let again =
            matches!(record.state, AttemptState::QueuedForPipelineAgain | AttemptState::QueuedForAgentAgain)
                && record.control == Control::Running;
        let Some(stand) = context.stand_of(record).await?.filter(|_| again) else {
            return Ok(on);
        };
        let place = stand.place(context, record);
        let tx = match stand.at_once {
            None => Transaction::new().delete_key(place.key()),
            Some(_) => match look(context, &stand, record).await? {
                Found { entry: Entry::Enter(held), head, .. } => {
                    holding(&head, &held, &place, Transaction::new())
                }
                _ => return Ok(on),
            },
        };
        if cleared_again(context, &attempt, &stand, tx).await? {
            on = true;
        }
    }
    Ok(on)
}

/// Commits that an attempt found room again; `false`: something changed meanwhile.
async fn cleared_again(
    context: &Context,
    attempt: &Versioned<Attempt>,
    stand: &Stand,
    tx: Transaction,
) -> Result<bool, OperationError> {
    let release = context.release(&attempt.record.at.release).await?.record;
    let limits = context.limits().await?;
    let course = course(&release, &attempt.record, &limits);
    let next = match stand.entered(&release, &attempt.record, &limits) {
        (next, true) => next.clear(stand.hurdle, course, SYSTEM, context.now())?,
        (next, false) => next,
    };
    let mut tx = tx.replace(attempt, &next);
    let further = next.in_line_for();
    if let Some(stand) = further.and_then(|hurdle| Stand::at(&release, &next, hurdle, &limits)) {
        tx = tx.put(&stand.place(context, &next)).event(awaited(context, &next.at, &stand, None));
    } else {
        tx = tx.event(context.event(&next.at, SYSTEM, Happening::RoomFound {}));
    }
    if !context.commit(tx).await? {
        return Ok(false);
    }
    if further.is_none() {
        wake_waits(context, &next).await?;
    }
    Ok(true)
}

/// Adds to `tx` what a paused attempt that goes on needs: a place in the line that it left, or in that for the room
/// that it gave back (A26, A27). Gives the attempt as it then stands, and the lane to wake.
pub(crate) async fn coming_back(
    context: &Context,
    attempt: Attempt,
    tx: Transaction,
) -> Result<(Attempt, Option<LaneName>, Transaction), OperationError> {
    let release = context.release(&attempt.at.release).await?.record;
    let limits = context.limits().await?;
    let course = course(&release, &attempt, &limits);
    let mut next = attempt;
    let missing = [(course.limit, Hurdle::Limit), (course.slot, Hurdle::Slot)];
    if gives_room_back(&next.state)
        && let Some((_, hurdle)) =
            missing.into_iter().find(|(has, hurdle)| *has && !next.passed.contains(hurdle))
        && next.in_line_for() != Some(hurdle)
    {
        next = next.apply(AttemptEvent::Requeued { hurdle }, SYSTEM, context.now())?;
    }
    if let (Some(Hurdle::Slot), Some(spec)) = (next.in_line_for(), release.environment(&next.at.environment))
    {
        pass_free_clusters(spec, &mut next.slots, &limits);
    }
    let stand = next.in_line_for().and_then(|hurdle| Stand::at(&release, &next, hurdle, &limits));
    // Whom a freeze holds stands in no line but its environment's: others pass it elsewhere.
    let stands =
        |stand: &Stand| stand.at_once.is_some() && (next.frozen.is_none() || stand.hurdle == Hurdle::Lane);
    Ok(match stand.filter(stands) {
        None => (next, None, tx),
        Some(stand) => {
            let mut tx = tx.put(&stand.place(context, &next));
            if next.state.status() == AttemptStatus::InProgress {
                tx = tx.event(awaited(context, &next.at, &stand, None));
            }
            (next, Some(stand.lane), tx)
        }
    })
}
