//! Bounded retries with exponential back-off and jitter.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::ClusterError;

/// How often and how long a call is repeated when the cluster is briefly out of order.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Calls in all, the first included.
    pub attempts: u32,
    /// Wait before the second call; doubled each time.
    pub base: Duration,
    /// Longest wait between two calls, unless the server asks for more.
    pub cap: Duration,
    /// No new call is begun later than this after the first.
    pub deadline: Duration,
    /// Longest time for one call.
    pub request_timeout: Duration,
    /// Spreads the waits of different processes. Fixed in a simulation, random otherwise.
    pub seed: u64,
}

/// How often an object may change under our hands before that is an error.
const TRIES: u32 = 5;

impl Default for RetryPolicy {
    /// Five calls within 20 s, 10 s for each.
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
            deadline: Duration::from_secs(20),
            request_timeout: Duration::from_secs(10),
            seed: RandomState::new().hash_one(0u8),
        }
    }
}

impl RetryPolicy {
    /// The wait after call number `attempt` (from 1): between half and the whole of the doubled base, so that
    /// callers that failed together do not come back together; never less than the server asked for.
    pub(crate) fn wait(&self, operation: &str, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled =
            self.base.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let full = doubled.min(self.cap);
        let mut hasher = DefaultHasher::new();
        (self.seed, operation, attempt).hash(&mut hasher);
        let share = f64::from((hasher.finish() >> 32) as u32) / f64::from(u32::MAX);
        let jittered = full.mul_f64(0.5 + share / 2.0);
        asked.map_or(jittered, |asked| asked + jittered / 4)
    }

    /// Calls until it succeeds, fails for good, or attempts or time are used up; then returns the last error.
    pub(crate) async fn run<T, F, Fut>(&self, operation: &str, mut call: F) -> Result<T, ClusterError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, ClusterError>>,
    {
        let end = Instant::now() + self.deadline;
        let mut attempt = 1;
        loop {
            let error = match self.once(operation, call()).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let wait = self.wait(operation, attempt, error.retry_after());
            if !is_transient(&error) || attempt >= self.attempts || Instant::now() + wait > end {
                return Err(error);
            }
            tracing::debug!(operation, attempt, error = %error, wait_ms = wait.as_millis() as u64, "cluster call repeated");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Reads, decides and writes, all in `call`, and does it afresh when somebody else wrote in between: a little later each
    /// time, as who writes an object often, such as a controller in the middle of a rollout, does so for a while.
    pub(crate) async fn afresh<T, F, Fut>(&self, operation: &str, mut call: F) -> Result<T, ClusterError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, ClusterError>>,
    {
        let mut tries = 1;
        loop {
            match call().await {
                Err(ClusterError::Changed { .. }) if tries < TRIES => {
                    tokio::time::sleep(self.wait(operation, tries, None)).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn once<T>(
        &self,
        operation: &str,
        call: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        match tokio::time::timeout(self.request_timeout, call).await {
            Ok(result) => result,
            Err(_) => {
                Err(ClusterError::Timeout { operation: operation.to_owned(), after: self.request_timeout })
            }
        }
    }
}

/// Whether repeating the identical call may help. A conflict needs a new decision, so it is not among these.
fn is_transient(error: &ClusterError) -> bool {
    matches!(
        error,
        ClusterError::Unreachable { .. }
            | ClusterError::Throttled { .. }
            | ClusterError::Unavailable { .. }
            | ClusterError::Timeout { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn unavailable() -> ClusterError {
        ClusterError::Unavailable {
            operation: "get".into(),
            status: 503,
            message: String::new(),
            retry_after: None,
        }
    }

    #[test]
    fn waits_grow_stay_below_the_cap_and_honour_the_server() {
        let policy = RetryPolicy { seed: 7, ..RetryPolicy::default() };
        for attempt in 1..40 {
            let wait = policy.wait("get", attempt, None);
            assert!(wait >= policy.base / 2 && wait <= policy.cap, "{attempt}: {wait:?}");
        }
        assert!(policy.wait("get", 1, Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert_eq!(policy.wait("get", 3, None), policy.wait("get", 3, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_error_is_repeated_a_bounded_number_of_times() {
        let calls = Cell::new(0);
        let policy = RetryPolicy::default();
        let result: Result<(), _> = policy
            .run("get", || {
                calls.set(calls.get() + 1);
                async { Err(unavailable()) }
            })
            .await;
        assert_eq!(result.unwrap_err().code(), "ClusterUnavailable");
        assert_eq!(calls.get(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_never_repeated() {
        let calls = Cell::new(0);
        let result: Result<(), _> = RetryPolicy::default()
            .run("apply", || {
                calls.set(calls.get() + 1);
                async {
                    Err(ClusterError::Conflict {
                        operation: "apply".into(),
                        manager: "x".into(),
                        field: ".spec".into(),
                    })
                }
            })
            .await;
        assert!(result.is_err());
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_an_object_often_is_waited_for() {
        let start = Instant::now();
        let changed = || ClusterError::Changed { operation: "edit".into(), message: String::new() };
        let busy = Duration::from_secs(1);
        let policy = RetryPolicy::default();
        let write = || std::future::ready(if start.elapsed() < busy { Err(changed()) } else { Ok(()) });
        policy.afresh("edit", write).await.unwrap();
        let calls = Cell::new(0);
        let result: Result<(), _> = policy
            .afresh("edit", || {
                calls.set(calls.get() + 1);
                std::future::ready(Err(changed()))
            })
            .await;
        assert_eq!((result.unwrap_err().code(), calls.get()), ("ClusterObjectChanged", TRIES));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_in_a_timeout_within_the_deadline() {
        let start = Instant::now();
        let policy = RetryPolicy::default();
        let result: Result<(), _> = policy.run("get", std::future::pending).await;
        assert_eq!(result.unwrap_err().code(), "ClusterTimeout");
        assert!(start.elapsed() <= policy.deadline + policy.request_timeout);
    }
}
