//! An attempt passes a hurdle: what it waits for next is opened in the same transaction (A13-A20, A34).

use pilothouse_domain::attempt::{Attempt, AttemptState, Course, Hurdle};
use pilothouse_domain::gate::GateSide;
use pilothouse_domain::pipeline::GateOrder;
use pilothouse_domain::release::Release;
use pilothouse_domain::settings::Limits;
use pilothouse_domain::stage::StageRun;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use super::planned::planned;
use crate::approvals::{approval_after, approval_before};
use crate::gates;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// The hurdles of an attempt. A rollback is held up by nothing but its environment's lane (H7).
pub(crate) fn course(release: &Release, attempt: &Attempt, limits: &Limits) -> Course {
    let Some(spec) = release.environment(&attempt.at.environment) else { return Course::default() };
    if attempt.is_rollback() {
        return Course::default();
    }
    // Who a stage waits for must not wait for the room that this stage's deployment holds (T36).
    let counted = release.cause.parent().is_none_or(|parent| !parent.waited);
    let limit = counted && limits.deployments.is_some();
    let slot = counted && spec.clusters().into_iter().any(|name| limits.clusters.contains_key(name));
    let approval = spec.approvals.as_ref().is_some_and(|a| a.before.is_some());
    let policy = gates::policy(release, attempt, GateSide::Before);
    let gates_after_approval = policy.is_some_and(|p| p.order == GateOrder::AfterApproval);
    Course { limit, slot, approval, gates: policy.is_some(), gates_after_approval }
}

/// Adds to `tx` that `stored`, as `changed` has it now, passed `hurdle`, and what comes next.
pub(crate) async fn pass(
    context: &Context,
    stored: &Versioned<Attempt>,
    changed: &Attempt,
    hurdle: Hurdle,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let release = context.release(&changed.at.release).await?.record;
    let limits = context.limits().await?;
    let next = changed.clear(hurdle, course(&release, changed, &limits), SYSTEM, context.now())?;
    opening(context, &release, &next, tx.replace(stored, &next)).await
}

/// What has to be there for the state that the attempt comes into: an approval, a run of gates, the event that says so.
pub(super) async fn opening(
    context: &Context,
    release: &Release,
    next: &Attempt,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let approvals = release.environment(&next.at.environment).and_then(|spec| spec.approvals.as_ref());
    let missing =
        || OperationError::Inconsistent(format!("attempt {} asks for no approval on that side", next.id));
    match &next.state {
        AttemptState::PendingBefore | AttemptState::GatesFailedBefore { asks: true, .. } => {
            let policy = approvals.and_then(|a| a.before.clone()).ok_or_else(missing)?;
            let plan = Box::pin(planned(context, release, next, &policy)).await?;
            let (approval, asked) = approval_before(context, release, next, &policy, plan, None);
            Ok(tx.create(&approval).event(asked))
        }
        AttemptState::PendingAfter { .. } | AttemptState::GatesFailedAfter { .. } => {
            let policy = approvals.and_then(|a| a.after.clone()).ok_or_else(missing)?;
            let runs = context.store.stage_runs(&next.at).await?;
            let runs: Vec<StageRun> = runs.into_iter().map(|run| run.record).collect();
            let before = context.approval_before(&next.at).await?;
            let (approval, asked) = approval_after(context, release, next, &policy, &runs, before.as_ref());
            Ok(tx.create(&approval).event(asked))
        }
        AttemptState::EvaluatingGatesBefore => {
            gates::open(context, release, next, GateSide::Before, tx).await
        }
        AttemptState::EvaluatingGatesAfter { .. } => {
            gates::open(context, release, next, GateSide::After, tx).await
        }
        AttemptState::PhaseInProgress => {
            Ok(tx.event(context.event(&next.at, SYSTEM, Happening::DeploymentStarted {})))
        }
        _ => Ok(tx),
    }
}
