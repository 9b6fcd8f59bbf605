//! One look at a gate: a sample if one is due, and what it comes to.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::gate::{
    CheckResult, GateCheck, GateDue, GateRun, GateSample, GateSide, GateStatus, failures, passes,
};
use pilothouse_domain::pipeline::{EnvironmentSpec, GateFailure};
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};
use serde_json::Value;

use super::open::{ended, gate_scope};
use super::{CheckContext, Finding, check_type};
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// How long all checks of a sample may take.
const LONGEST_SAMPLE: Duration = Duration::from_secs(10);
/// The longest detail and the longest value of a check, in characters.
const LONGEST_DETAIL: usize = 300;
/// How often a sample that somebody else was faster with is decided anew.
const TRIES: usize = 20;

/// What a gate asks for next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateStep {
    /// Call again when the next sample is due.
    Wait {
        /// In so many seconds, at least 1.
        seconds: i64,
    },
    /// All its checks passed for long enough.
    Passed,
    /// It did not pass in its time.
    Failed {
        /// Which checks, and why.
        reason: String,
        /// Whether the approvers of that side are asked nevertheless.
        ask: bool,
    },
}

/// Takes a sample if one is due, all its checks at once, and says what follows. Called again before the next is due it
/// takes none; of two calls at once, one is recorded.
///
/// # Errors
/// [`OperationError::Inconsistent`] when the gate was not opened; the table's.
pub async fn step(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
    side: GateSide,
) -> Result<GateStep, OperationError> {
    for _ in 0..TRIES {
        let run = context.store.gate(&attempt.at, side).await?.ok_or_else(|| {
            OperationError::Inconsistent(format!(
                "the gate {side} the stages of attempt {} was not opened",
                attempt.id
            ))
        })?;
        let now = context.now();
        let tx = match run.record.due(now) {
            GateDue::Waiting { until } => {
                return Ok(GateStep::Wait { seconds: context.seconds_until(until) });
            }
            GateDue::Passed => return Ok(GateStep::Passed),
            GateDue::Failed { reason } => {
                return Ok(GateStep::Failed { reason, ask: run.record.on_failure == GateFailure::Ask });
            }
            GateDue::Overdue => changed(context, &run, &run.record.expired(now)),
            GateDue::Sample => {
                let results = take(context, release, attempt, &run.record, now).await?;
                let next = run.record.sampled(&results, now);
                let sample = GateSample {
                    at: next.at.clone(),
                    side,
                    sample: next.samples,
                    taken_at: now,
                    passed: passes(&results),
                    checks: results,
                };
                changed(context, &run, &next).create(&sample)
            }
        };
        // Written, by this call or by another: the record says what follows.
        context.commit(tx).await?;
    }
    Err(OperationError::Conflicting(format!(
        "the gate {side} the stages is changed all the time; call again"
    )))
}

/// The gate's next record, with the event of its end or of another outcome than before.
fn changed(context: &Context, run: &Versioned<GateRun>, next: &GateRun) -> Transaction {
    let tx = Transaction::new().replace(run, next);
    let what = if next.status != GateStatus::Evaluating {
        ended(next)
    } else if let Some(passed) = next.passing().filter(|_| next.passing() != run.record.passing()) {
        Happening::GatesChanged {
            side: next.side,
            sample: next.samples,
            passed,
            reason: (!passed).then(|| failures(&next.last)),
        }
    } else {
        return tx;
    };
    tx.event(context.event(&next.at, SYSTEM, what))
}

/// Carries out every check at once.
async fn take(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
    run: &GateRun,
    now: Timestamp,
) -> Result<Vec<CheckResult>, OperationError> {
    let name = &attempt.at.environment;
    let environment = release
        .environment(name)
        .ok_or_else(|| OperationError::Inconsistent(format!("the release has no environment `{name}`")))?;
    let scope = gate_scope(context, release, attempt).await?;
    let checks = run.checks.iter().map(|check| look(context, environment, check, &scope, now));
    Ok(join_all(checks).await)
}

async fn look(
    context: &Context,
    environment: &EnvironmentSpec,
    check: &GateCheck,
    scope: &Value,
    now: Timestamp,
) -> CheckResult {
    let found = match check_type(&check.check_type) {
        Ok(kind) => {
            let looked = CheckContext { context, environment, check, scope, now };
            let sampled = tokio::time::timeout(LONGEST_SAMPLE, kind.sample(&looked)).await;
            let late = |_| Err(format!("it took longer than {} s", LONGEST_SAMPLE.as_secs()));
            sampled.unwrap_or_else(late)
        }
        Err(reason) => Err(reason),
    };
    let Finding { passed, value, detail } =
        found.unwrap_or_else(|reason| Finding { passed: false, value: Value::Null, detail: reason });
    CheckResult {
        name: check.name.clone(),
        passed,
        value: short(value),
        detail: detail.chars().take(LONGEST_DETAIL).collect(),
    }
}

/// A value that a record has room for: a long one becomes the beginning of its text.
fn short(value: Value) -> Value {
    let text = value.to_string();
    if text.chars().count() <= LONGEST_DETAIL {
        value
    } else {
        text.chars().take(LONGEST_DETAIL).collect::<String>().into()
    }
}
