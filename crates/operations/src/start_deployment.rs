//! Deploying to an environment by hand: the first time, or again after an end (H5, A1).

use pilothouse_domain::attempt::{Attempt, AttemptKind};
use pilothouse_domain::ids::ReleaseId;
use pilothouse_store::Transaction;

use crate::new_attempt::{new_attempt, queued};
use crate::{Context, OperationError};

/// Creates the next attempt and starts its execution. An earlier attempt stays as it ended.
///
/// # Errors
/// [`OperationError::Conflicting`] while an attempt there has not ended.
pub async fn start_deployment(
    context: &Context,
    release: &ReleaseId,
    environment: &str,
    by: &str,
) -> Result<Attempt, OperationError> {
    for _ in 0..20 {
        let active = context.active_release(release).await?;
        let record = &active.record;
        if record.environment(environment).is_none() {
            return Err(OperationError::NotFound {
                what: format!("environment `{environment}` of release `{release}`"),
                hint: "see `pilothouse release show`".to_owned(),
            });
        }
        if record.skipped.contains(environment) {
            return Err(OperationError::Conflicting(format!(
                "cannot deploy: this release skips `{environment}`; start another one to deploy there"
            )));
        }
        let attempts = context.store.attempts(release).await?;
        let here = attempts.iter().filter(|a| a.record.at.environment == environment);
        let latest = here.max_by_key(|a| a.record.at.number).map(|a| &a.record);
        if let Some(open) = latest.filter(|a| a.completed_at.is_none()) {
            return Err(OperationError::Conflicting(format!(
                "cannot deploy: attempt {} to `{environment}` is {:?}; cancel it or wait for its end",
                open.at.number,
                open.state.status()
            )));
        }
        let (number, kind) = match latest {
            None => (1, AttemptKind::Deploy),
            Some(last) => (last.at.number + 1, AttemptKind::Redeploy),
        };
        let attempt = new_attempt(context, record, environment, number, kind, by);
        // Whoever abandons the release meanwhile must not find it at rest (A4).
        let tx = Transaction::new().check(&active).create(&attempt).event(queued(context, &attempt));
        match context.store.commit(tx).await {
            Ok(_) => {
                context.executions.start_or_leave(&attempt).await;
                return Ok(attempt);
            }
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OperationError::Conflicting("the release changes too fast; try again".to_owned()))
}
