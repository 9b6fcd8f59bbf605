//! Ids and secrets: made here, handed to decisions as values.

use std::sync::{Arc, Mutex, PoisonError};

use ulid::Ulid;

use crate::clock::SharedClock;

/// Makes ids that sort by time. Cheap to clone; clones share one source.
#[derive(Clone)]
pub struct IdSource {
    clock: SharedClock,
    source: Arc<Mutex<Source>>,
}

struct Source {
    random: fastrand::Rng,
    last: Ulid,
}

impl IdSource {
    /// Ids from the system's randomness.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn from_system(clock: SharedClock) -> Result<Self, getrandom::Error> {
        Ok(Self::seeded(clock, getrandom::u64()?))
    }

    /// Ids that are the same for the same seed and times.
    #[must_use]
    pub fn seeded(clock: SharedClock, seed: u64) -> Self {
        let source = Source { random: fastrand::Rng::with_seed(seed), last: Ulid::nil() };
        Self { clock, source: Arc::new(Mutex::new(source)) }
    }

    /// A new ULID: larger than every one that this source gave before.
    #[must_use]
    pub fn ulid(&self) -> Ulid {
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Ulid::from_parts(millis, source.random.u128(..));
        let next = if fresh > source.last { fresh } else { source.last.increment().unwrap_or(fresh) };
        source.last = next;
        next
    }
}

/// A secret to hand out once: `prefix` and 43 characters of 256 random bits.
///
/// # Errors
/// The system has no randomness to give.
pub fn new_secret(prefix: &str) -> Result<String, getrandom::Error> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

/// The hash under which a secret with 256 random bits is stored.
#[must_use]
pub fn hash_secret(secret: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(secret.as_bytes()))
}
