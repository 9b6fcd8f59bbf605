//! Starting at once what waits for its time (A14).

use pilothouse_domain::attempt::{Attempt, AttemptState, Hurdle};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use crate::advance::pass::course;
use crate::wake::answer;
use crate::{Context, OperationError};

/// Lets the attempt go on to its lane, and wakes it. `None`: it does not wait for its time, or has changed meanwhile.
///
/// # Errors
/// [`OperationError`] when nothing was written.
pub(crate) async fn start_scheduled(
    context: &Context,
    attempt: &Versioned<Attempt>,
    by: &str,
) -> Result<Option<Attempt>, OperationError> {
    let AttemptState::Scheduled { at: starts } = attempt.record.state else { return Ok(None) };
    let release = context.release(&attempt.record.at.release).await?.record;
    let course = course(&release, &attempt.record, &context.limits().await?);
    let next = attempt.record.clear(Hurdle::Schedule, course, by, context.now())?;
    let event = context.event(&next.at, by, Happening::ScheduleOverridden { starts });
    if !context.commit(Transaction::new().replace(attempt, &next).event(event)).await? {
        return Ok(None);
    }
    answer(context, &next.at, &Awaited::Time {}).await?;
    Ok(Some(next))
}
