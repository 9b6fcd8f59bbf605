//! Entering an environment's lane, and waiting in its line (X2).

use jiff::Timestamp;
use pilothouse_domain::approval::{Approval, ApprovalStatus, Subject};
use pilothouse_domain::attempt::{Attempt, AttemptEvent, AttemptKind, AttemptState};
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_domain::ids::ApprovalId;
use pilothouse_domain::lane::{Lease, Waiting};
use pilothouse_domain::pipeline::ApprovalPolicy;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};
use serde_json::json;

use super::Next;
use super::next::{commit_or_reload, seconds_until};
use super::settle::ended;
use crate::executions::ExecutionInput;
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
            if !ours && let Some(why) = too_late(context, &attempt.record).await? {
                give_up(context, attempt, why).await?;
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

/// Why a rollback that waited for the lane must not be carried out any more: a deployment that came between would be
/// undone with it, to a state that nobody asked for.
async fn too_late(context: &Context, attempt: &Attempt) -> Result<Option<String>, OperationError> {
    let AttemptKind::Rollback { undoes, .. } = &attempt.kind else { return Ok(None) };
    let undone = context.attempt(undoes).await?.record;
    let newer = context.deployed_since(&undone).await?;
    Ok(newer.map(|newer| format!("the system: release {} was deployed there since", newer.at.release)))
}

/// Ends an attempt that has changed nothing.
async fn give_up(context: &Context, attempt: &Versioned<Attempt>, by: String) -> Result<(), OperationError> {
    let next = attempt.record.apply(AttemptEvent::CancelRequested { by }, SYSTEM, context.now())?;
    let tx = Transaction::new().replace(attempt, &next).event(ended(context, &next));
    commit_or_reload(context, tx).await
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
    let release = context.release(&attempt.record.at.release).await?.record;
    let policy = match release.environment(&attempt.record.at.environment) {
        Some(spec) if !attempt.record.is_rollback() => spec.approvals.as_ref().and_then(|a| a.before.clone()),
        _ => None,
    };
    let event = AttemptEvent::LaneEntered { needs_approval: policy.is_some() };
    let mut next = attempt.record.apply(event, SYSTEM, context.now())?;
    next.fence = Some(held.fence);
    let entered = Happening::LaneEntered { fence: held.fence };
    let mut tx = Transaction::new().replace(attempt, &next).event(context.event(&next.at, SYSTEM, entered));
    tx = match lease {
        None => tx.create(held),
        Some(stored) if stored.record == *held => tx,
        Some(stored) => tx.replace(stored, held),
    };
    if in_line {
        tx = tx.delete_key(pilothouse_store::Record::key(&place(&next, context.now())));
    }
    tx = match policy {
        Some(policy) => {
            let approval = open_approval(context, &next, policy);
            let asked = Happening::ApprovalRequested {
                approvers: approval.approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                deadline: approval.deadline,
            };
            tx.create(&approval).event(context.event(&next.at, SYSTEM, asked))
        }
        None => tx.event(context.event(&next.at, SYSTEM, Happening::DeploymentStarted {})),
    };
    commit_or_reload(context, tx).await
}

fn open_approval(context: &Context, attempt: &Attempt, policy: ApprovalPolicy) -> Approval {
    let now = context.now();
    Approval {
        id: ApprovalId::new(context.ids.ulid()),
        at: attempt.at.clone(),
        application: attempt.application.clone(),
        subject: Subject::BeforeDeployment,
        approvers: policy.approvers,
        required: policy.required,
        instructions: policy.instructions,
        status: ApprovalStatus::Pending,
        decisions: Vec::new(),
        created_at: now,
        deadline: policy.timeout.after(now),
    }
}

/// Stores the token of the step that waits for the lane, then looks again: one of the two sees the other.
///
/// # Errors
/// [`OperationError`].
pub async fn await_lane(
    context: &Context,
    input: &ExecutionInput,
    token: &str,
) -> Result<(), OperationError> {
    let attempt = context.current(input).await?.record;
    let callback = Callback {
        at: attempt.at.clone(),
        awaited: Awaited::Lane {},
        token: token.to_owned(),
        created_at: context.now(),
    };
    context.store.commit(Transaction::new().put(&callback)).await?;
    if context.current(input).await?.record.state != AttemptState::Queued {
        return Ok(context.executions.answer(token, &json!({})).await?);
    }
    wake_lane(context, &attempt.application, &attempt.at.environment).await
}
