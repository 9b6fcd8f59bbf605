//! A gate while it is evaluated: its samples, and what they come to (A34-A38).
//!
//! One pure function takes a run and a sample to the next run. All checks must pass in the same sample, and in every
//! sample from then on for as long as the policy says; a sample that fails, or a gap without samples, starts that time anew.
//! Whatever happens, the first sample at or after the deadline ends the run.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attempt::AttemptRef;
use crate::duration::Span;
use crate::pipeline::{GateFailure, GatePolicy};

/// On which side of an environment's stages a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GateSide {
    /// Before the first stage (A34, A35).
    Before,
    /// After the last stage (A36-A38).
    After,
}

impl GateSide {
    /// `before` or `after`, as keys and paths write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// A text that names neither side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a gate's side is `before` or `after`")]
pub struct InvalidSide;

impl std::str::FromStr for GateSide {
    type Err = InvalidSide;

    fn from_str(text: &str) -> Result<Self, InvalidSide> {
        [Self::Before, Self::After].into_iter().find(|side| side.name() == text).ok_or(InvalidSide)
    }
}

impl std::fmt::Display for GateSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a gate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum GateStatus {
    /// Samples are taken.
    Evaluating,
    /// All checks passed for long enough.
    Passed,
    /// It did not pass in its time.
    Failed {
        /// Which checks, and why.
        reason: String,
    },
}

/// A check with its options as this evaluation of the gate uses them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateCheck {
    /// The check's name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub check_type: String,
    /// Its options; the templates in them were evaluated when the gate was opened.
    pub options: Map<String, Value>,
}

/// What one check of a sample came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// Whether it passed. One that could not be carried out did not.
    pub passed: bool,
    /// What was measured: a number, a status code; bounded, and without secrets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// What was found, in a sentence; bounded, and without secrets.
    pub detail: String,
}

/// One sample's record: every check at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateSample {
    /// The attempt.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The side of its gate.
    pub side: GateSide,
    /// Counted from 1.
    pub sample: u32,
    /// When it began.
    pub taken_at: Timestamp,
    /// Whether every check passed.
    pub passed: bool,
    /// What the checks came to, in the gate's order.
    pub checks: Vec<CheckResult>,
}

/// A gate's record: one evaluation of it, by one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateRun {
    /// The attempt.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The side of its gate.
    pub side: GateSide,
    /// Where it stands.
    #[serde(flatten)]
    pub status: GateStatus,
    /// What is looked at.
    pub checks: Vec<GateCheck>,
    /// From one sample to the next.
    pub interval: Span,
    /// For how long every sample must pass.
    pub stable_for: Span,
    /// What follows when it fails.
    pub on_failure: GateFailure,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When it ends at the latest (invariant 5).
    pub deadline: Timestamp,
    /// When the next sample is due.
    pub next_sample_at: Timestamp,
    /// How many samples were taken.
    pub samples: u32,
    /// When the last one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sample_at: Option<Timestamp>,
    /// Since when every sample passed; absent when the last one did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passing_since: Option<Timestamp>,
    /// What the checks of the last sample came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<CheckResult>,
    /// When it passed or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// What is to be done with a gate now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateDue {
    /// Wait until then.
    Waiting {
        /// When the next sample is due.
        until: Timestamp,
    },
    /// Take a sample.
    Sample,
    /// End it: its deadline passed so long ago that a sample would say nothing about it.
    Overdue,
    /// Nothing: it has passed.
    Passed,
    /// Nothing: it has failed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How long after the deadline the last sample may still be taken: whoever waits is woken a little late.
const LAST_CALL: Span = Span::from_secs(15);
/// How many intervals may pass between two samples of one stable time.
const LONGEST_GAP: u64 = 3;
/// The longest reason for a failure, in characters.
const LONGEST_REASON: usize = 600;

impl GateRun {
    /// A gate that is opened at `now`, with its checks' options evaluated.
    #[must_use]
    pub fn open(
        at: &AttemptRef,
        side: GateSide,
        policy: &GatePolicy,
        checks: Vec<GateCheck>,
        now: Timestamp,
    ) -> Self {
        let deadline = policy.timeout.after(now);
        Self {
            at: at.clone(),
            side,
            status: GateStatus::Evaluating,
            checks,
            interval: policy.interval,
            stable_for: policy.stable_for,
            on_failure: policy.on_failure,
            started_at: now,
            deadline,
            next_sample_at: policy.delay.after(now).min(deadline),
            samples: 0,
            last_sample_at: None,
            passing_since: None,
            last: Vec::new(),
            ended_at: None,
        }
    }

    /// What is to be done at `now`.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> GateDue {
        match &self.status {
            GateStatus::Passed => GateDue::Passed,
            GateStatus::Failed { reason } => GateDue::Failed { reason: reason.clone() },
            GateStatus::Evaluating if now > LAST_CALL.after(self.deadline) => GateDue::Overdue,
            GateStatus::Evaluating if now < self.next_sample_at => {
                GateDue::Waiting { until: self.next_sample_at }
            }
            GateStatus::Evaluating => GateDue::Sample,
        }
    }

    /// The run after a sample that began at `now`. One that has ended stays as it is.
    #[must_use]
    pub fn sampled(&self, results: &[CheckResult], now: Timestamp) -> Self {
        if self.status != GateStatus::Evaluating {
            return self.clone();
        }
        let passed = passes(results);
        let mut next = Self { samples: self.samples + 1, last: results.to_vec(), ..self.clone() };
        next.passing_since =
            passed.then(|| self.passing_since.filter(|_| !self.gap_before(now)).unwrap_or(now));
        next.last_sample_at = Some(now);
        if next.passing_since.is_some_and(|since| self.stable_for.after(since) <= now) {
            return next.ended(GateStatus::Passed, now);
        }
        if now >= self.deadline {
            let reason = next.why_not();
            return next.ended(GateStatus::Failed { reason }, now);
        }
        // A sample just when it has been stable for long enough: nobody waits for a whole interval more.
        let stable = next.passing_since.map(|since| self.stable_for.after(since));
        next.next_sample_at =
            self.interval.after(now).min(stable.unwrap_or(Timestamp::MAX)).min(self.deadline);
        next
    }

    /// The run after its deadline passed without a sample. One that has ended stays as it is.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Self {
        if self.status != GateStatus::Evaluating {
            return self.clone();
        }
        let reason = self.why_not();
        self.clone().ended(GateStatus::Failed { reason }, now)
    }

    /// The run after it turned out that it can never pass. One that has ended stays as it is.
    #[must_use]
    pub fn given_up(&self, reason: &str, now: Timestamp) -> Self {
        if self.status != GateStatus::Evaluating {
            return self.clone();
        }
        self.clone().ended(GateStatus::Failed { reason: bounded(reason) }, now)
    }

    /// The run once nothing holds its attempt any more, neither a freeze (X14) nor a pause (N13): the time since the
    /// sample that was due, and that nobody took, does not count against it. Done twice it gives nothing twice; one that
    /// has ended stays as it is.
    #[must_use]
    pub fn resumed(&self, now: Timestamp) -> Self {
        if self.status != GateStatus::Evaluating {
            return self.clone();
        }
        let lost = Span::between(self.next_sample_at, now);
        Self {
            deadline: lost.after(self.deadline),
            next_sample_at: self.next_sample_at.max(now),
            ..self.clone()
        }
    }

    /// Whether the last sample passed; nothing when none was taken.
    #[must_use]
    pub fn passing(&self) -> Option<bool> {
        self.last_sample_at.map(|_| self.passing_since.is_some())
    }

    /// Whether so much time passed since the last sample that it says nothing about the time between.
    fn gap_before(&self, now: Timestamp) -> bool {
        let longest = Span::from_millis(self.interval.as_millis().saturating_mul(LONGEST_GAP));
        self.last_sample_at.is_some_and(|last| longest.after(last) < now)
    }

    fn ended(self, status: GateStatus, now: Timestamp) -> Self {
        Self { status, ended_at: Some(now), ..self }
    }

    /// Why it has not passed, by its last sample.
    fn why_not(&self) -> String {
        let time = Span::between(self.started_at, self.deadline);
        let what = if let Some(since) = self.passing_since {
            format!("all checks passed since {since:.0} only, which is less than {}", self.stable_for)
        } else if self.last.is_empty() {
            "no sample was taken".to_owned()
        } else {
            failures(&self.last)
        };
        bounded(&format!("the gate did not pass within {time}: {what}"))
    }
}

/// Whether every check of a sample passed. A sample without checks shows nothing.
#[must_use]
pub fn passes(results: &[CheckResult]) -> bool {
    !results.is_empty() && results.iter().all(|result| result.passed)
}

/// The checks of a sample that did not pass, each with what was found: `errors: 0.05 is not below 0.01`.
#[must_use]
pub fn failures(results: &[CheckResult]) -> String {
    let failed = results.iter().filter(|result| !result.passed);
    failed.map(|result| format!("{}: {}", result.name, result.detail)).collect::<Vec<_>>().join("; ")
}

fn bounded(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
