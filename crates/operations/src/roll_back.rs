//! Rolling back by hand: at any time, whether it runs, failed or succeeded (H6, H7).

use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptStatus, RollbackReason, RollbackRequest};
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::pipeline::RollbackMode;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use crate::advance::settle::rollback_of;
use crate::cancel_deployment::cancel;
use crate::new_attempt::queued;
use crate::{Context, OperationError};

/// Takes back what the latest deployment of the release changed in the environment: a running one is cancelled first.
/// Gives the attempt that rolls back, or the one that is being cancelled.
///
/// # Errors
/// [`OperationError::Conflicting`] when there is nothing to take back, when it was taken back before, when a later
/// release has been deployed there since, or when the environment's policy is `never`.
pub async fn roll_back(
    context: &Context,
    release: &ReleaseId,
    environment: &str,
    by: &str,
) -> Result<Attempt, OperationError> {
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
        let target = target(context, release, environment).await?;
        if target.record.state.status() == AttemptStatus::InProgress {
            return cancel(context, &target.record.at, by, Some(RollbackRequest { by: by.to_owned() })).await;
        }
        let runs = context.store.stage_runs(&target.record.at).await?;
        let number = context.last_attempt_number(release, environment).await? + 1;
        let reason = RollbackReason::Requested { by: by.to_owned() };
        let rollback =
            rollback_of(context, record, &target.record, &runs, number, reason).ok_or_else(|| {
                refuse(format!("the deployment to `{environment}` changed nothing in the cluster"))
            })?;
        let tx = Transaction::new().check(&active);
        if write(context, tx, &target, &rollback, by).await? {
            context.executions.start_or_leave(&rollback).await;
            return Ok(rollback);
        }
    }
    Err(refuse("the deployment changes too fast to be rolled back; try again"))
}

/// The deployment to take back: the latest of the release there, if nothing was deployed there after it.
async fn target(
    context: &Context,
    release: &ReleaseId,
    environment: &str,
) -> Result<Versioned<Attempt>, OperationError> {
    let attempts = context.store.attempts(release).await?;
    let latest = attempts
        .into_iter()
        .filter(|a| a.record.at.environment == environment)
        .max_by_key(|a| a.record.at.number)
        .ok_or_else(|| refuse(format!("the release was never deployed to `{environment}`")))?;
    let latest = match latest.record.kind.clone() {
        // A rollback that did not succeed may be tried again: what it restores is still stored.
        AttemptKind::Rollback { undoes, .. } if failed(&latest.record) => context.attempt(&undoes).await?,
        AttemptKind::Rollback { undoes, .. } => {
            let over = if latest.record.state.is_terminal() { "was" } else { "is being" };
            return Err(refuse(format!(
                "attempt {} {over} rolled back by attempt {}",
                undoes.number, latest.record.at.number
            )));
        }
        AttemptKind::Deploy | AttemptKind::Redeploy => latest,
    };
    if latest.record.started_at.is_none() {
        return Err(refuse(format!("attempt {} changed nothing: it never started", latest.record.at.number)));
    }
    match context.deployed_since(&latest.record).await? {
        Some(newer) => Err(refuse(format!(
            "release {} was deployed to `{environment}` since: roll that one back",
            newer.at.release
        ))),
        None => Ok(latest),
    }
}

/// Whether it ended without success, and all that follows its end is done.
fn failed(attempt: &Attempt) -> bool {
    attempt.completed_at.is_some() && !attempt.state.is_success()
}

async fn write(
    context: &Context,
    tx: Transaction,
    target: &Versioned<Attempt>,
    rollback: &Attempt,
    by: &str,
) -> Result<bool, OperationError> {
    let undone = Attempt { rolled_back_by: Some(rollback.at.clone()), ..target.record.clone() };
    let started =
        Happening::RollbackStarted { rollback: rollback.at.number, trigger: format!("requested by {by}") };
    let mut tx = tx.replace(target, &undone).create(rollback);
    // One that ended and is not completed holds its environment, and waits for its rollback: that one needs the lease.
    if let Some(lease) = context.store.lease(&undone.application, &undone.at.environment).await?
        && let Some(handed) = lease.record.hand_over(&undone.at, &rollback.at, context.now())
    {
        tx = tx.replace(&lease, &handed);
    }
    let tx = tx.event(context.event(&undone.at, by, started)).event(queued(context, rollback));
    match context.store.commit(tx).await {
        Ok(_) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn refuse(why: impl std::fmt::Display) -> OperationError {
    OperationError::Conflicting(format!("cannot roll back: {why}"))
}
