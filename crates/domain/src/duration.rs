//! Lengths of time as people write them: `30s`, `1h30m`, `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds, written `500ms`, `30s`, `10m`, `1h30m` or `7d`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("format" = "pilothouse-duration"))]
pub struct Span {
    millis: u64,
}

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write for example `30s`, `10m`, `1h30m` or `7d`, at most `366d`")]
pub struct InvalidSpan(String);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The farthest anything may lie ahead: a wait, a schedule, a deferral, a pause. Step Functions ends an execution after
/// a year, and the day that is left is for what follows the wait.
pub const FARTHEST: Span = Span::from_secs(364 * 86_400);

const LONGEST_MILLIS: u64 = 366 * 86_400_000;

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self { millis: seconds * 1000 }
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// The length from one instant to another; none when the second is not later.
    #[must_use]
    pub fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Self {
        Self { millis: u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0) }
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The length as the standard library's type.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// The instant that lies this span after `start`; the last representable one if there is none.
    #[must_use]
    pub fn after(self, start: jiff::Timestamp) -> jiff::Timestamp {
        start.checked_add(self.as_duration()).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let refused = || InvalidSpan(text.chars().take(40).collect());
        let mut rest = text.trim();
        let mut millis: u64 = 0;
        let mut largest = u64::MAX;
        if rest.is_empty() {
            return Err(refused());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
            let number: u64 = rest[..digits].parse().map_err(|_| refused())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let &(_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(refused)?;
            if unit >= largest {
                return Err(refused());
            }
            largest = unit;
            millis = number.checked_mul(unit).and_then(|n| n.checked_add(millis)).ok_or_else(refused)?;
            rest = &rest[letters..];
        }
        if millis > LONGEST_MILLIS {
            return Err(refused());
        }
        Ok(Self { millis })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis == 0 {
            return f.write_str("0s");
        }
        let mut left = self.millis;
        for (name, unit) in UNITS {
            if left >= unit {
                write!(f, "{}{name}", left / unit)?;
                left %= unit;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;
    fn try_from(text: String) -> Result<Self, InvalidSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_in_their_shortest_form() {
        for (given, shown) in [
            ("30s", "30s"),
            ("90s", "1m30s"),
            ("1h30m", "1h30m"),
            ("7d", "7d"),
            ("1500ms", "1s500ms"),
            ("0s", "0s"),
        ] {
            assert_eq!(given.parse::<Span>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for given in ["", "30", "s", "1m1h", "1x", "-1s", "1.5h", "99999999999999999999s", "400d"] {
            assert!(given.parse::<Span>().is_err(), "{given}");
        }
    }
}
