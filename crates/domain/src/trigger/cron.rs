//! When a schedule fires.

use jiff::Timestamp;

/// A schedule or time zone that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(pub(super) String);

/// The first time after `after` at which a schedule fires; none if it never does again.
///
/// # Errors
/// The schedule or the time zone cannot be read.
pub fn next_fire(
    schedule: &str,
    timezone: &str,
    after: Timestamp,
) -> Result<Option<Timestamp>, ScheduleError> {
    let _ = (schedule, timezone, after);
    unimplemented!("being written")
}
