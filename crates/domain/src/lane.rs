//! The lane of an environment: one attempt holds its lease, the others wait in line (X2, invariant 6).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRef;

/// The lease of one environment of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The application.
    pub application: String,
    /// The environment's name.
    pub environment: String,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<AttemptRef>,
    /// Rises by one with each new holder; checked before every change to a cluster.
    pub fence: u64,
    /// Since when it is as it is.
    pub since: Timestamp,
}

/// An attempt that waits for a lease. The sort key is its attempt's id, so that the line is first come, first served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The application.
    pub application: String,
    /// The environment's name.
    pub environment: String,
    /// The attempt's id: its ULID orders the line.
    pub id: crate::ids::AttemptId,
    /// The attempt.
    pub attempt: AttemptRef,
    /// Since when it waits.
    pub since: Timestamp,
}

impl Lease {
    /// A lease that nobody has held.
    #[must_use]
    pub fn vacant(application: &str, environment: &str, now: Timestamp) -> Self {
        Self {
            application: application.to_owned(),
            environment: environment.to_owned(),
            holder: None,
            fence: 0,
            since: now,
        }
    }

    /// The lease in the hands of `attempt`, or `None` while another holds it. Holding it already changes nothing.
    #[must_use]
    pub fn acquire(&self, attempt: &AttemptRef, now: Timestamp) -> Option<Self> {
        match &self.holder {
            Some(holder) if holder == attempt => Some(self.clone()),
            Some(_) => None,
            None => Some(self.held_by(attempt, now)),
        }
    }

    /// The lease after `from` gave it to `to` (a rollback goes on in its attempt's place), or `None` if `from` does not hold it.
    #[must_use]
    pub fn hand_over(&self, from: &AttemptRef, to: &AttemptRef, now: Timestamp) -> Option<Self> {
        (self.holder.as_ref() == Some(from)).then(|| self.held_by(to, now))
    }

    /// The vacant lease after `attempt` let it go, or `None` if it does not hold it.
    #[must_use]
    pub fn release(&self, attempt: &AttemptRef, now: Timestamp) -> Option<Self> {
        (self.holder.as_ref() == Some(attempt)).then(|| Self { holder: None, since: now, ..self.clone() })
    }

    fn held_by(&self, attempt: &AttemptRef, now: Timestamp) -> Self {
        Self { holder: Some(attempt.clone()), fence: self.fence + 1, since: now, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReleaseId;

    fn attempt(n: u32) -> AttemptRef {
        AttemptRef {
            release: ReleaseId::new(ulid::Ulid::from_parts(1, 1)),
            environment: "prod".to_owned(),
            number: n,
        }
    }

    #[test]
    fn the_fence_rises_with_each_new_holder_and_only_then() {
        let now = Timestamp::UNIX_EPOCH;
        let vacant = Lease::vacant("shop", "prod", now);
        let held = vacant.acquire(&attempt(1), now).unwrap();
        assert_eq!((held.fence, held.acquire(&attempt(1), now).unwrap().fence), (1, 1));
        assert!(held.acquire(&attempt(2), now).is_none());
        let handed = held.hand_over(&attempt(1), &attempt(2), now).unwrap();
        assert_eq!(handed.fence, 2);
        assert!(handed.release(&attempt(1), now).is_none());
        assert_eq!(handed.release(&attempt(2), now).unwrap().acquire(&attempt(3), now).unwrap().fence, 3);
    }
}
