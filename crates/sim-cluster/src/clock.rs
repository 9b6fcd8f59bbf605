//! Where the cluster takes the time for its timestamps from.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time that objects are stamped with. Delays never use it: they run on `tokio::time`.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// A clock that starts at a given moment and moves with tokio's time, so that it can be paused by a test.
#[derive(Debug, Clone)]
pub struct TokioClock {
    base: Timestamp,
    origin: Instant,
}

impl TokioClock {
    /// A clock that shows `base` now.
    #[must_use]
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, origin: Instant::now() }
    }

    /// A clock that shows the machine's time now and moves with tokio's time from there on.
    #[must_use]
    pub fn from_system_time() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where the simulation meets the machine's clock"
        )]
        let base = Timestamp::now();
        Self::starting_at(base)
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        self.base.checked_add(elapsed).unwrap_or(self.base)
    }
}

/// A moment as Kubernetes writes it: RFC 3339 in whole seconds.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn moves_with_the_time_of_tokio() {
        let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().to_string(), "1970-01-01T00:01:30Z");
    }
}
