//! The wall clock of the engine: the one place from which it takes the time.

use tokio::time::Instant;

/// Gives the wall-clock time that appears in histories, dates and `$states.context`.
///
/// Waiting is not done by this clock: every wait goes through `tokio::time`, so that a test that pauses
/// tokio's time also decides how fast the engine's time passes.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// A clock that starts at a given moment and advances with tokio's time: virtual under
/// `tokio::time::pause`, monotonic otherwise.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    epoch_ms: i64,
    origin: Instant,
}

impl TokioClock {
    /// A clock that shows `epoch_ms` (milliseconds since the Unix epoch) now.
    #[must_use]
    pub fn starting_at(epoch_ms: i64) -> Self {
        Self { epoch_ms, origin: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.epoch_ms.saturating_add(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tokio_clock_advances_with_virtual_time() {
        let clock = TokioClock::starting_at(1_000);
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert_eq!(clock.now_ms(), 3_000);
    }
}
