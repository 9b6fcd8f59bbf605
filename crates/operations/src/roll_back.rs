//! Rolling back by hand: at any time, whether it runs, failed or succeeded (H6, H7).

use pilothouse_domain::attempt::{
    Attempt, AttemptKind, AttemptRef, AttemptState, AttemptStatus, RollbackReason, RollbackRequest,
};
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::pipeline::RollbackMode;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use crate::cancel_deployment::{Why, cancel, cancel_deployment};
use crate::lanes::lane_of_environment;
use crate::rollback::{NewRollback, plan_rollback};
use crate::{Context, OperationError};

/// Takes back what the release changed in the environment: its latest deployment there, and those before it that led up to
/// it. One that runs is cancelled first, one that only waits is cancelled too, and one that is being cancelled is taken back
/// when that is over. Gives the attempt that rolls back, or the one that is cancelled first; where nothing but a deployment
/// that waited was there, cancelling it is all. With `force`, fields that others changed since are taken back too (X4).
///
/// # Errors
/// [`OperationError::Conflicting`] when there is nothing to take back, when it was taken back before, when a later
/// release has been deployed there since, or when the environment's policy is `never`.
pub async fn roll_back(
    context: &Context,
    release: &ReleaseId,
    environment: &str,
    by: &str,
    force: bool,
) -> Result<Attempt, OperationError> {
    let request = RollbackRequest { by: by.to_owned(), force };
    let mut canceled = None;
    for _ in 0..20 {
        let active = context.active_release(release).await?;
        let record = &active.record;
        let spec = record.environment(environment).ok_or_else(|| OperationError::NotFound {
            what: format!("environment `{environment}` of release `{release}`"),
            hint: "see `pilothouse release show`".to_owned(),
        })?;
        if spec.rollback.policy == RollbackMode::Never {
            return Err(refuse(format!("the rollback policy of `{environment}` is `never`")));
        }
        let to_do = match what_to_do(context, release, environment).await {
            // What waited was all that there was to it: nothing is left that it changed.
            Err(OperationError::Conflicting(why)) => return canceled.ok_or(OperationError::Conflicting(why)),
            other => other?,
        };
        let target = match to_do {
            ToDo::Cancel(waiting) => {
                canceled = again_if_moved(cancel_deployment(context, &waiting, by).await)?.or(canceled);
                continue;
            }
            ToDo::CancelFirst(running) => {
                let why = Why { rollback: Some(request.clone()), told: None };
                match again_if_moved(cancel(context, &running, by, why).await)? {
                    Some(canceled) => return Ok(canceled),
                    None => continue,
                }
            }
            ToDo::Follow(canceling) => {
                if let Some(noted) = note(context, &canceling, &request).await? {
                    return Ok(noted);
                }
                continue;
            }
            ToDo::TakeBack(target) => target,
        };
        let runs = context.store.stage_runs(&target.record.at).await?;
        let reason = RollbackReason::Requested { by: by.to_owned(), force };
        let Some(rollback) = plan_rollback(context, record, &target.record, &runs, reason).await? else {
            let nothing = refuse(format!("the deployment to `{environment}` changed nothing in the cluster"));
            return canceled.ok_or(nothing);
        };
        if write(context, Transaction::new().check(&active), &target, &rollback, by).await? {
            context.executions.start_or_leave(&rollback.attempt).await;
            return Ok(rollback.attempt);
        }
    }
    Err(refuse("the deployment changes too fast to be rolled back; try again"))
}

/// What a rollback begins with.
enum ToDo {
    /// What waits has changed nothing: it is cancelled, and what was there before it is looked at.
    Cancel(AttemptRef),
    /// What runs is cancelled, and the rollback follows.
    CancelFirst(AttemptRef),
    /// It is being cancelled: the rollback follows.
    Follow(Versioned<Attempt>),
    /// It is at its end.
    TakeBack(Versioned<Attempt>),
}

async fn what_to_do(
    context: &Context,
    release: &ReleaseId,
    environment: &str,
) -> Result<ToDo, OperationError> {
    let mut attempts = context.store.attempts(release).await?;
    attempts.retain(|a| a.record.at.environment == environment);
    attempts.sort_by_key(|a| std::cmp::Reverse(a.record.at.number));
    let latest = attempts.first().map(|a| a.record.at.number);
    let latest =
        latest.ok_or_else(|| refuse(format!("the release was never deployed to `{environment}`")))?;
    // What was over before it began left everything as it was.
    let began = |a: &Versioned<Attempt>| {
        a.record.is_rollback() || a.record.started_at.is_some() || !a.record.state.is_terminal()
    };
    let found = attempts.into_iter().find(began);
    let found = found.ok_or_else(|| refuse(format!("attempt {latest} changed nothing: it never started")))?;
    let target = match (found.record.kind.clone(), found.record.state.status()) {
        (AttemptKind::Rollback { undoes, .. }, _) => after_rollback(context, &found.record, &undoes).await?,
        (_, AttemptStatus::NotDeployed) => return Ok(ToDo::Cancel(found.record.at)),
        (_, AttemptStatus::InProgress) if matches!(found.record.state, AttemptState::Cancelling { .. }) => {
            return Ok(ToDo::Follow(found));
        }
        (_, AttemptStatus::InProgress) => return Ok(ToDo::CancelFirst(found.record.at)),
        _ => found,
    };
    match context.deployed_since(&target.record).await? {
        Some(newer) => Err(refuse(format!(
            "release {} was deployed to `{environment}` since: roll that one back",
            newer.at.release
        ))),
        None => Ok(ToDo::TakeBack(target)),
    }
}

/// A rollback that did not succeed may be tried again: what it restores is still stored.
async fn after_rollback(
    context: &Context,
    rollback: &Attempt,
    undoes: &AttemptRef,
) -> Result<Versioned<Attempt>, OperationError> {
    let (undone, by) = (undoes.number, rollback.at.number);
    match (&rollback.completed_at, rollback.state.is_success()) {
        (Some(_), false) => context.attempt(undoes).await,
        (_, true) => Err(refuse(format!("attempt {undone} was rolled back by attempt {by}"))),
        (None, false) => Err(refuse(format!("attempt {undone} is being rolled back by attempt {by}"))),
    }
}

/// Notes that a rollback is wanted when the cancel is over. `None`: the cancel is over, or something else changed.
async fn note(
    context: &Context,
    canceling: &Versioned<Attempt>,
    request: &RollbackRequest,
) -> Result<Option<Attempt>, OperationError> {
    if canceling.record.rollback_request.is_some() {
        return Ok(Some(canceling.record.clone()));
    }
    let next = Attempt { rollback_request: Some(request.clone()), ..canceling.record.clone() };
    let event = context.event(&next.at, &request.by, Happening::RollbackRequested {});
    let noted = context.commit(Transaction::new().replace(canceling, &next).event(event)).await?;
    Ok(noted.then_some(next))
}

/// `None`: what was to be cancelled came to its end meanwhile.
fn again_if_moved(outcome: Result<Attempt, OperationError>) -> Result<Option<Attempt>, OperationError> {
    match outcome {
        Ok(attempt) => Ok(Some(attempt)),
        Err(OperationError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn write(
    context: &Context,
    tx: Transaction,
    target: &Versioned<Attempt>,
    rollback: &NewRollback,
    by: &str,
) -> Result<bool, OperationError> {
    let at = &rollback.attempt.at;
    let undone = Attempt { rolled_back_by: Some(at.clone()), ..target.record.clone() };
    let mut tx = tx.replace(target, &undone);
    // One that ended and is not completed holds its environment, and waits for its rollback: that one needs the lease.
    if let Some(lease) = context.store.lease(&lane_of_environment(&undone)).await?
        && let Some(handed) = lease.record.hand_over(&undone.at, at, context.now())
    {
        tx = tx.replace(&lease, &handed);
    }
    context.commit(rollback.add_to(context, &undone.at, by, tx)).await
}

fn refuse(why: impl std::fmt::Display) -> OperationError {
    OperationError::Conflicting(format!("cannot roll back: {why}"))
}
