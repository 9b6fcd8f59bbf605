//! How long to wait before the next try, and the random numbers that this crate needs.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::StoreError;
use crate::failure::Failure;

/// A source of random numbers that clones share: write ids and jitter, nothing secret.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<AtomicU64>);

impl Dice {
    /// Dice that no other process throws alike.
    pub(crate) fn unpredictable() -> Self {
        Self::seeded(RandomState::new().hash_one("pilothouse-store"))
    }

    /// Dice that throw the same from the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A number below 2^53, so that JSON readers keep it exact.
    pub(crate) fn throw(&self) -> u64 {
        // SplitMix64: one addition of shared state, then mixing.
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) >> 11
    }

    /// Full jitter: between nothing and `base` doubled with each try, at most `cap`.
    pub(crate) fn jitter(&self, tries: u32, base: Duration, cap: Duration) -> Duration {
        let ceiling = base.saturating_mul(1 << tries.min(16)).min(cap);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.throw() % micros + 1)
    }
}

/// How often a failure of each kind is tried again, and how long the waits grow.
struct Patience {
    tries: u32,
    base: Duration,
    cap: Duration,
}

/// Forty writers of one timeline must all get through.
const CONTENDED: Patience =
    Patience { tries: 30, base: Duration::from_millis(8), cap: Duration::from_millis(400) };
const THROTTLED: Patience =
    Patience { tries: 8, base: Duration::from_millis(50), cap: Duration::from_secs(2) };
/// The AWS client tried three times before this counts one.
const UNAVAILABLE: Patience =
    Patience { tries: 3, base: Duration::from_millis(50), cap: Duration::from_secs(1) };

/// The tries of one call: how many of each kind are spent.
pub(crate) struct Budget<'a> {
    dice: &'a Dice,
    contended: u32,
    throttled: u32,
    unavailable: u32,
}

impl<'a> Budget<'a> {
    /// Nothing spent yet.
    pub(crate) fn new(dice: &'a Dice) -> Self {
        Self { dice, contended: 0, throttled: 0, unavailable: 0 }
    }

    /// Waits before the next try; the error when `failure` is final or its tries are spent.
    pub(crate) async fn wait_after(
        &mut self,
        failure: Failure,
        operation: &'static str,
    ) -> Result<(), StoreError> {
        let (spent, patience) = match &failure {
            Failure::Refused(_) => return Err(failure.into_error(operation, 0)),
            Failure::Contended { .. } => (&mut self.contended, CONTENDED),
            Failure::Throttled(_) => (&mut self.throttled, THROTTLED),
            Failure::Unavailable(_) => (&mut self.unavailable, UNAVAILABLE),
        };
        *spent += 1;
        if *spent >= patience.tries {
            return Err(failure.into_error(operation, *spent));
        }
        let pause = self.dice.jitter(*spent - 1, patience.base, patience.cap);
        tracing::debug!(operation, tries = *spent, ?pause, ?failure, "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_grows_with_the_tries_and_stays_below_its_cap() {
        let dice = Dice::seeded(7);
        let (base, cap) = (Duration::from_millis(4), Duration::from_millis(100));
        let longest = |tries| (0..200).map(|_| dice.jitter(tries, base, cap)).max().unwrap();
        assert!(longest(0) <= base && longest(2) <= base * 4 && longest(30) <= cap);
        assert!(longest(2) > base);
    }

    #[test]
    fn one_seed_throws_one_sequence_and_two_processes_do_not() {
        let throws = |dice: &Dice| (0..8).map(|_| dice.throw()).collect::<Vec<_>>();
        assert_eq!(throws(&Dice::seeded(1)), throws(&Dice::seeded(1)));
        assert_ne!(throws(&Dice::unpredictable()), throws(&Dice::unpredictable()));
    }
}
