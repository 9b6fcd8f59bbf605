//! Giving a release up for good (A4).

use std::collections::BTreeMap;

use pilothouse_domain::attempt::{Attempt, AttemptRef};
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::release::{Abandoned, Release, ReleaseEvent};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned, records};

use crate::start_release::of_release;
use crate::{Context, OperationError};

/// Abandons the release: after it no action is allowed. What it deployed stays as it is.
///
/// # Errors
/// [`OperationError::ReleaseRefused`] while an attempt is under way (also one that waits for its time), or when it was
/// abandoned before.
pub async fn abandon_release(
    context: &Context,
    id: &ReleaseId,
    reason: &str,
    by: &str,
) -> Result<Release, OperationError> {
    for _ in 0..20 {
        let read = context.release(id).await?;
        let attempts = context.store.attempts(id).await?;
        let status =
            read.record.status.apply(&ReleaseEvent::Abandoned { under_way: under_way(&attempts) })?;
        let now = context.now();
        let abandoned = Abandoned { by: by.to_owned(), at: now, reason: reason.to_owned() };
        let next = Release { status, abandoned: Some(abandoned), ..read.record.clone() };
        let event = of_release(&next, now, by, Happening::ReleaseAbandoned { reason: reason.to_owned() });
        let mut tx = Transaction::new().replace(&read, &next).event(event);
        // Nothing may begin between the look at the attempts and this write.
        for at in next_attempts(&next, &attempts) {
            tx = tx.absent(records::attempt::key(&at));
        }
        if context.commit(tx).await? {
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting("the release changes too fast to be abandoned; try again".to_owned()))
}

/// The environments with an attempt that is not done.
fn under_way(attempts: &[Versioned<Attempt>]) -> Vec<String> {
    let open = attempts.iter().filter(|a| a.record.completed_at.is_none());
    let mut names: Vec<String> = open.map(|a| a.record.at.environment.clone()).collect();
    names.dedup();
    names
}

/// The attempt that would come next in each environment.
fn next_attempts(release: &Release, attempts: &[Versioned<Attempt>]) -> Vec<AttemptRef> {
    let mut last: BTreeMap<&str, u32> =
        release.spec.environments.iter().map(|environment| (environment.name.as_str(), 0)).collect();
    for attempt in attempts {
        let number = last.entry(&attempt.record.at.environment).or_default();
        *number = attempt.record.at.number.max(*number);
    }
    let next = last.into_iter().map(|(environment, number)| AttemptRef {
        release: release.id.clone(),
        environment: environment.to_owned(),
        number: number + 1,
    });
    next.collect()
}
