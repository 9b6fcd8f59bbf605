//! A new deployment's record: it waits for its environment's schedule, or for a time that was asked for (A14).

use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptState};
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::release::Release;
use pilothouse_domain::schedule::{StartRefused, Wanted, start_time};

use crate::new_attempt::new_attempt;
use crate::{Context, OperationError};

/// An attempt that waits for its time, or to enter its lane when that is now. Rollbacks wait for no time: they are made by
/// [`new_attempt`].
///
/// # Errors
/// [`OperationError::Invalid`] when the time that was asked for is over or too far away;
/// [`OperationError::Inconsistent`] when the environment's schedule cannot be read any more.
pub(crate) fn new_deployment(
    context: &Context,
    release: &Release,
    environment: &str,
    number: u32,
    kind: AttemptKind,
    wanted: Wanted,
    by: &str,
) -> Result<Attempt, OperationError> {
    let attempt = new_attempt(context, release, environment, number, kind, by);
    let schedule = release.environment(environment).and_then(|spec| spec.schedule.as_ref());
    Ok(match start_time(schedule, wanted, attempt.created_at)? {
        Some(at) => Attempt { state: AttemptState::Scheduled { at }, ..attempt },
        None => attempt,
    })
}

impl From<StartRefused> for OperationError {
    fn from(refused: StartRefused) -> Self {
        match &refused {
            StartRefused::Over { .. } | StartRefused::TooFar { .. } => {
                Self::Invalid(Problems::from(Problem::new("at", refused.to_string())))
            }
            StartRefused::Schedule(_) => Self::Inconsistent(refused.to_string()),
        }
    }
}
