//! How many ready endpoints an action must leave to each Service (T15, X8).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The least that an action which takes pods out of service must leave ready behind each Service that they serve. Written
/// `1`, `50%` (of those that are ready before it), or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub enum TrafficGuard {
    /// Nothing is asked for.
    Off,
    /// So many.
    Count(u32),
    /// So much of those that are ready now, rounded up; 1 to 100.
    Percent(u32),
}

impl Default for TrafficGuard {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// How it is written in a file.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "TrafficGuard")]
enum Written {
    /// So many ready endpoints.
    Count(u32),
    /// `50%` of those that are ready, or `off`.
    Text(String),
}

/// A text that is no traffic guard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no traffic guard: write a number of ready endpoints such as `1`, a share such as `50%`, or `off`"
)]
pub struct InvalidGuard(String);

impl TryFrom<Written> for TrafficGuard {
    type Error = InvalidGuard;

    fn try_from(written: Written) -> Result<Self, InvalidGuard> {
        let text = match written {
            Written::Count(count) => return Ok(Self::Count(count)),
            Written::Text(text) => text,
        };
        let percent = || text.strip_suffix('%')?.parse().ok().filter(|p| (1..=100).contains(p));
        match text.as_str() {
            "off" => Ok(Self::Off),
            _ => percent().map(Self::Percent).ok_or(InvalidGuard(text)),
        }
    }
}

impl From<TrafficGuard> for Written {
    fn from(guard: TrafficGuard) -> Self {
        match guard {
            TrafficGuard::Count(count) => Self::Count(count),
            other => Self::Text(other.to_string()),
        }
    }
}

impl fmt::Display for TrafficGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl TrafficGuard {
    /// How many must stay ready where `ready` are now.
    #[must_use]
    pub fn least(self, ready: usize) -> usize {
        match self {
            Self::Off => 0,
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(percent) => {
                let percent = usize::try_from(percent).unwrap_or(100);
                ready.saturating_mul(percent).div_ceil(100)
            }
        }
    }

    /// Whether it asks for no less than `other`, whatever is ready. A share is no less than one endpoint; beyond that a share and a
    /// number cannot be compared.
    #[must_use]
    pub fn is_no_less_than(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Off | Self::Count(0)) => true,
            (Self::Count(ours), Self::Count(least)) | (Self::Percent(ours), Self::Percent(least)) => {
                ours >= least
            }
            (Self::Percent(_), Self::Count(least)) => least <= 1,
            (Self::Count(_), Self::Percent(_)) | (Self::Off, _) => false,
        }
    }

    /// Whether an action may go on that leaves `left` ready where `ready` are now. One that takes nothing away always may.
    #[must_use]
    pub fn allows(self, ready: usize, left: usize) -> bool {
        left >= ready || left >= self.least(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_written_as_a_number_a_share_or_off() {
        for (written, guard) in [
            (json!(2), TrafficGuard::Count(2)),
            (json!("50%"), TrafficGuard::Percent(50)),
            (json!("off"), TrafficGuard::Off),
        ] {
            assert_eq!(serde_json::from_value::<TrafficGuard>(written.clone()).unwrap(), guard);
            assert_eq!(serde_json::to_value(guard).unwrap(), written);
        }
        for wrong in [json!("0%"), json!("101%"), json!("half"), json!("-1")] {
            assert!(serde_json::from_value::<TrafficGuard>(wrong).is_err());
        }
    }

    #[test]
    fn a_guard_is_compared_only_where_it_can_be() {
        use TrafficGuard::{Count, Off, Percent};
        for (guard, other) in
            [(Count(2), Count(1)), (Percent(50), Percent(50)), (Percent(1), Count(1)), (Off, Count(0))]
        {
            assert!(guard.is_no_less_than(other), "{guard} and {other}");
        }
        for (guard, other) in [
            (Count(1), Count(2)),
            (Off, Count(1)),
            (Off, Percent(1)),
            (Percent(99), Count(2)),
            (Count(9), Percent(1)),
        ] {
            assert!(!guard.is_no_less_than(other), "{guard} and {other}");
        }
    }

    #[test]
    fn what_takes_nothing_away_is_never_refused() {
        assert!(TrafficGuard::Count(3).allows(1, 1));
        assert!(!TrafficGuard::Count(1).allows(2, 0));
        assert!(TrafficGuard::Percent(50).allows(3, 2) && !TrafficGuard::Percent(50).allows(3, 1));
        assert!(TrafficGuard::Off.allows(3, 0));
    }
}
