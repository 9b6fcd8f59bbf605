//! EventBridge: the fires of cron triggers (T59); image pushes of ECR come later.
//!
//! A schedule's target gets this input, with EventBridge Scheduler's own attribute as the time; the embedded scheduler
//! sends the same ([`ScheduledFire::event`]):
//!
//! ```json
//! {
//!   "source": "pilothouse.schedule",
//!   "detail-type": "Scheduled Trigger",
//!   "detail": {
//!     "application": "shop",
//!     "pipeline": "web",
//!     "trigger": "nightly",
//!     "scheduledTime": "<aws.scheduler.scheduled-time>"
//!   }
//! }
//! ```
//!
//! EventBridge delivers at least once, and late: the scheduled time, not the time of arrival, says which fire it is, and
//! each fire starts one release at most.

use pilothouse_domain::intake::Verdict;
use pilothouse_function_kit::StepError;
use pilothouse_operations::Context;
use pilothouse_operations::intake::{ScheduledFire, fire_schedule};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What of an event says which kind it is.
#[derive(Deserialize)]
struct Kind {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
}

/// The answer: the record of the fire, and what became of it.
#[derive(Serialize)]
struct Answer<'a> {
    delivery: &'a str,
    verdicts: &'a [Verdict],
}

/// Handles one event: gives `{delivery, verdicts}`. A pipeline or trigger that is gone or disabled is an answer.
///
/// # Errors
/// [`StepError`]: `Broken` for an event that is not understood, `Unavailable` when the release could not be started or
/// recorded now; EventBridge sends the event again.
pub async fn handle(context: &Context, event: Value) -> Result<Value, StepError> {
    let fire = read(event)?;
    // Boxed: the compiler counts how deep futures are nested, and the SDK's are deep already.
    let delivery = Box::pin(fire_schedule(context, &fire)).await?;
    let started = delivery.verdicts.iter().any(|verdict| verdict.started);
    tracing::info!(operation = "receive_event", trigger = fire.trigger, delivery = %delivery.id, started, "fired");
    let answer = Answer { delivery: delivery.id.as_str(), verdicts: &delivery.verdicts };
    serde_json::to_value(answer).map_err(|error| StepError::broken(error.to_string()))
}

fn read(mut event: Value) -> Result<ScheduledFire, StepError> {
    let detail = event.get_mut("detail").map(Value::take).unwrap_or_default();
    let kind: Kind = serde_json::from_value(event).map_err(|_| {
        StepError::broken("the event is not understood: it has no `source` and `detail-type`, each a text")
    })?;
    if (kind.source.as_str(), kind.detail_type.as_str())
        != (ScheduledFire::SOURCE, ScheduledFire::DETAIL_TYPE)
    {
        return Err(StepError::broken(format!(
            "the event `{}` from `{}` is not handled; `{}` from `{}` is",
            shown(&kind.detail_type),
            shown(&kind.source),
            ScheduledFire::DETAIL_TYPE,
            ScheduledFire::SOURCE
        )));
    }
    serde_json::from_value(detail).map_err(|error| {
        StepError::broken(format!(
            "the event's detail is not understood: {error}; send application, pipeline, trigger and scheduledTime"
        ))
    })
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests;
