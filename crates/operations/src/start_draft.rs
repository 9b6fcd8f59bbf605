//! Starting a draft: from here on it is a release like any other (A2, A3).

use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::problem::Problems;
use pilothouse_domain::release::{Release, ReleaseEvent};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Transaction;

use crate::new_attempt::queued;
use crate::start_release::{following, of_release};
use crate::{Context, OperationError};

/// Makes the draft active and creates its first attempts in one transaction, then starts their executions. It runs the
/// pipeline's revision that it was made with.
///
/// # Errors
/// [`OperationError::ReleaseRefused`] when it is no draft; [`OperationError::Conflicting`] when its pipeline is disabled
/// (T21); [`OperationError::Invalid`] when a required parameter is missing (T19).
pub async fn start_draft(context: &Context, id: &ReleaseId, by: &str) -> Result<Release, OperationError> {
    for _ in 0..20 {
        let read = context.release(id).await?;
        let status = read.record.status.apply(&ReleaseEvent::Started)?;
        context.check_enabled(&read.record.application, &read.record.pipeline).await?;
        read.record.check_complete().map_err(|problems| OperationError::Invalid(Problems(problems)))?;
        let next = Release { status, started_by: Some(by.to_owned()), ..read.record.clone() };
        let (attempts, held) = following(context, &next, &[]).await?;
        let started = Happening::DraftStarted { artifacts: next.artifact_summary() };
        let event = of_release(&next, context.now(), by, started);
        let mut tx = Transaction::new().replace(&read, &next).event(event).events(held);
        for attempt in &attempts {
            tx = tx.create(attempt).event(queued(context, attempt));
        }
        if !context.commit(tx).await? {
            continue;
        }
        for attempt in &attempts {
            context.executions.start_or_leave(attempt).await;
        }
        return Ok(next);
    }
    Err(OperationError::Conflicting("the draft changes too fast to be started; try again".to_owned()))
}
