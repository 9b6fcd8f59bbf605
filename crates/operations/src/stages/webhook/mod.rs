//! `webhook`: calls a URL and goes by its status (T38).
//!
//! `begin` calls nothing: it leaves only the intent, so that what follows can be repeated at any point. `observe` makes at
//! most one call a look; when the receiver is not ready for it (no connection, 429, 502, 503, 504), it notes in the
//! stage's record when to call again. Once it was answered, and the stage waits for more (`waitFor`), that is noted too: then the
//! status is asked for, or the run waits until the receiver calls back ([`call_back`]), and costs nothing meanwhile. All calls of one run carry the same `Idempotency-Key`, the run's id: a receiver
//! that knows the key acts once, however often it is called.

mod action;
mod call;
mod callback;
mod completion;
mod options;
mod wait_for;

use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageTypeInfo;
use pilothouse_domain::stage::{StageRun, StageStatus};
use serde_json::{Value, json};

pub use action::CallbackStatus;
pub use callback::{CallBack, call_back};
pub use options::Options;
pub use wait_for::{CallbackOptions, Poll, UrlFrom, WaitFor};

use self::action::{Action, note};
use self::call::{Answered, Caller, Outcome};
use super::{Answer, Begun, Observed, StageContext, StageEnd, StageType, Stepped};
use crate::outbound::check_url;
use crate::secrets::SecretValue;
use crate::{Context, OperationError};

/// The name in `type:`.
pub const NAME: &str = "webhook";

/// Calls a URL.
#[derive(Debug, Clone, Copy)]
pub struct Webhook;

impl StageType for Webhook {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Calls a URL: 2xx and 3xx are success, 4xx and 5xx failure; waits for what it started, if asked to.",
            schema: schemars::schema_for!(Options),
            validate: options::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T38"
    }

    fn undone(&self) -> &'static str {
        "Nothing: what a call did is its receiver's."
    }

    fn timeout(&self, options: &Value) -> Span {
        Span::from_secs(if options.get("waitFor").is_some() { 3600 } else { 300 })
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(async move {
            let options: Options = stage.options()?;
            if let Err(error) = check_url(&options.url) {
                return Ok(Begun::Ended(StageEnd::failed(error.to_string())));
            }
            // Better known before the call than after it.
            callback_url(stage, &options).await?;
            let action = Action { attempts: 0, next: stage.context.now(), called: None, called_back: None };
            Ok(Begun::Observe { action: action.value()?, progress: format!("calls {}", options.shown()) })
        })
    }

    fn observe<'a>(&'a self, stage: &'a StageContext<'a>, within: Span) -> Stepped<'a, Observed> {
        Box::pin(observe(stage, within))
    }

    /// A receiver that was called, and has not called back yet.
    fn rests(&self, run: &StageRun) -> Option<String> {
        let options: Options = serde_json::from_value(run.options.clone()).ok()?;
        options.callback()?;
        let action = Action::of(run)?;
        let waits = action.called.is_some() && action.called_back.is_none();
        waits.then(|| completion::awaits_callback(&options))
    }

    fn come<'a>(&'a self, _: &'a Context, run: &'a StageRun) -> Stepped<'a, Option<StageEnd>> {
        Box::pin(async move { Ok(called_back(run)) })
    }

    fn answered(&self, stage: &StageContext<'_>, _: Answer) -> StageEnd {
        let called = Action::of(stage.run).and_then(|action| action.called);
        let output = called.map_or(Value::Null, |called| called.output);
        let url = stage.run.options.get("url").and_then(Value::as_str).unwrap_or_default();
        let reason = format!(
            "the receiver of {url} was called and did not call back before the stage's time was over"
        );
        StageEnd { output, ..StageEnd::failed(reason) }
    }

    /// A request cannot be taken back: what is known of it is said.
    fn cancel<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Option<String>> {
        let seen = stage.run.progress.as_deref().filter(|_| !stage.run.action.is_null());
        let left = seen.map(|progress| format!("the request may have been received ({progress})"));
        Box::pin(async { Ok(left) })
    }
}

/// The end of a run that waits, once its receiver has called back.
fn called_back(run: &StageRun) -> Option<StageEnd> {
    let waits = matches!(run.status, StageStatus::AwaitingAnswer { .. });
    let options: Options = serde_json::from_value(run.options.clone()).ok().filter(|_| waits)?;
    completion::ended(&options, &Action::of(run)?)
}

async fn callback_url(
    stage: &StageContext<'_>,
    options: &Options,
) -> Result<Option<SecretValue>, OperationError> {
    match options.callback() {
        Some(_) => callback::url(stage.context, stage.run).await.map(Some),
        None => Ok(None),
    }
}

async fn observe(stage: &StageContext<'_>, within: Span) -> Result<Observed, OperationError> {
    let options: Options = stage.options()?;
    let action: Action = stage.action()?;
    if let Some(end) = completion::ended(&options, &action) {
        return Ok(Observed::Ended(end));
    }
    let left = Span::between(stage.context.now(), action.next);
    tokio::time::sleep(left.min(within).as_duration()).await;
    if left > within {
        return Ok(Observed::Pending {
            progress: stage.run.progress.clone().unwrap_or_default(),
            evidence: None,
        });
    }
    let caller = Caller {
        policy: stage.context.outbound,
        secrets: &stage.context.secrets,
        idempotency_key: stage.run.id.to_string(),
        callback: callback_url(stage, &options).await?,
    };
    if let (Some(poll), Some(called)) = (options.poll(), &action.called) {
        return completion::ask(stage, poll, called, &caller).await;
    }
    match caller.call(&options).await {
        Outcome::Succeeded(answered) => completion::after_call(stage, &options, answered).await,
        Outcome::Failed { reason, answered } => {
            Ok(Observed::Ended(failed(&options, reason, answered.as_ref())))
        }
        Outcome::Again { reason, after, answered } => {
            again(stage, &options, &action, Retry { reason, after, answered }).await
        }
    }
}

/// A call that asks for another.
struct Retry {
    reason: String,
    after: Option<Span>,
    answered: Option<Answered>,
}

/// Notes when the next call is due; ends the stage when that is after its deadline.
async fn again(
    stage: &StageContext<'_>,
    options: &Options,
    action: &Action,
    retry: Retry,
) -> Result<Observed, OperationError> {
    let attempts = action.attempts.saturating_add(1);
    let next = pause(attempts, retry.after).after(stage.context.now());
    let Retry { reason, answered, .. } = retry;
    let calls = if attempts == 1 { "1 call".to_owned() } else { format!("{attempts} calls") };
    if next >= stage.run.deadline {
        let reason = format!("{reason} ({calls}); its timeout leaves no time for another");
        return Ok(Observed::Ended(failed(options, reason, answered.as_ref())));
    }
    let progress = format!("{reason} ({calls}); calls again at {next:.0}");
    note(stage, &progress, |action| {
        action.attempts = attempts;
        action.next = next;
    })
    .await?;
    Ok(Observed::Pending { progress, evidence: None })
}

/// The pause after so many calls: from 1 s, doubled each time, to 60 s; longer if the receiver asks for it, to 5 min.
fn pause(attempts: u32, asked: Option<Span>) -> Span {
    let doubled = Span::from_secs(1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(60).clamp(1, 60));
    doubled.max(asked.unwrap_or(doubled).min(Span::from_secs(300)))
}

fn failed(options: &Options, reason: String, answered: Option<&Answered>) -> StageEnd {
    let output = answered.map_or(Value::Null, Answered::output);
    let evidence = json!({
        "method": options.method,
        "url": options.url,
        "statusCode": answered.map(|a| a.status),
        "body": answered.map(Answered::excerpt),
    });
    StageEnd { output, ..StageEnd::failed_with(reason, evidence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_minute_and_heed_the_receiver() {
        let seconds =
            |attempts, asked: Option<u64>| pause(attempts, asked.map(Span::from_secs)).as_millis() / 1000;
        assert_eq!((1..=8).map(|n| seconds(n, None)).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(500, None), 60);
        assert_eq!([seconds(1, Some(20)), seconds(6, Some(20)), seconds(1, Some(86_400))], [20, 32, 300]);
    }

    #[test]
    fn a_failure_keeps_status_and_body_for_later_stages_and_as_proof() {
        let options: Options = serde_json::from_value(json!({"url": "http://web.dev/health"})).unwrap();
        let answered = Answered {
            url: options.url.clone(),
            status: 500,
            body: json!({"error": "no database"}),
            truncated: false,
            named: None,
        };
        let end = failed(&options, "POST http://web.dev/health answered 500".into(), Some(&answered));
        assert_eq!(end.output["webhook"]["statusCode"], 500);
        let StageStatus::Failed { evidence: Some(evidence), .. } = end.status else { panic!("it failed") };
        insta::assert_json_snapshot!(evidence, @r#"
        {
          "method": "POST",
          "url": "http://web.dev/health",
          "statusCode": 500,
          "body": "{\"error\":\"no database\"}"
        }
        "#);
    }
}
