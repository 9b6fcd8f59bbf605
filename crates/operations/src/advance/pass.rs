//! An attempt passes a hurdle: what it waits for next is opened in the same transaction (A13-A20, A34).

use pilothouse_domain::approval::Subject;
use pilothouse_domain::attempt::{Attempt, AttemptState, Course, Hurdle};
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use super::approval::ask;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// The hurdles of an attempt. A rollback is held up by nothing but its environment's lane (H7).
pub(crate) fn course(release: &Release, attempt: &Attempt) -> Course {
    let Some(spec) = release.environment(&attempt.at.environment) else { return Course::default() };
    if attempt.is_rollback() {
        return Course::default();
    }
    let approval = spec.approvals.as_ref().is_some_and(|a| a.before.is_some());
    Course { approval, ..Course::default() }
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
    let next = changed.clear(hurdle, course(&release, changed), SYSTEM, context.now())?;
    opening(context, &release, &next, tx.replace(stored, &next)).await
}

/// What has to be there for the state that the attempt comes into.
#[expect(clippy::unused_async, reason = "opening the gates will read")]
async fn opening(
    context: &Context,
    release: &Release,
    next: &Attempt,
    tx: Transaction,
) -> Result<Transaction, OperationError> {
    let spec = release.environment(&next.at.environment);
    Ok(match &next.state {
        AttemptState::PendingBefore => {
            let policy = spec.and_then(|s| s.approvals.as_ref()).and_then(|a| a.before.clone());
            let policy = policy.ok_or_else(|| {
                OperationError::Inconsistent(format!("attempt {} asks for no approval", next.id))
            })?;
            ask(context, next, Subject::BeforeDeployment, policy, tx)
        }
        AttemptState::PhaseInProgress => {
            tx.event(context.event(&next.at, SYSTEM, Happening::DeploymentStarted {}))
        }
        _ => tx,
    })
}
