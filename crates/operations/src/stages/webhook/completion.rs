//! What follows a call that was answered: its receiver is asked for the status, or calls back (T38).

use pilothouse_domain::duration::Span;
use pilothouse_domain::trigger::PayloadPath;
use serde_json::{Value, json};

use super::action::{Action, CallbackStatus, Called, CalledBack, note};
use super::call::{Answered, Caller, Unanswered};
use super::options::Options;
use super::wait_for::{Poll, UrlFrom};
use super::{failed, pause};
use crate::OperationError;
use crate::outbound::check_url;
use crate::stages::{Observed, StageContext, StageEnd};

/// A call was answered well: the stage ends, or what it waits for is noted, so that the call is not made again.
pub(super) async fn after_call(
    stage: &StageContext<'_>,
    options: &Options,
    answered: Answered,
) -> Result<Observed, OperationError> {
    let output = answered.output();
    let now = stage.context.now();
    let (status_url, next, progress) = match (options.poll(), options.callback()) {
        (Some(poll), _) => match status_url(options, poll, &answered) {
            Ok(url) => {
                let progress = format!("{} answered {}; asks {url}", options.shown(), answered.status);
                (Some(url), poll.every.after(now), progress)
            }
            Err(reason) => return Ok(Observed::Ended(failed(options, reason, Some(&answered)))),
        },
        (None, Some(_)) => (None, now, awaits_callback(options)),
        (None, None) => return Ok(Observed::Ended(StageEnd::succeeded(output))),
    };
    let called = Called { output, status_url, asked: 0 };
    let noted = note(stage, &progress, |action| {
        action.called = Some(called.clone());
        action.next = next;
    });
    let Some(action) = noted.await? else { return Ok(pending(progress)) };
    Ok(match ended(options, &action) {
        Some(end) => Observed::Ended(end),
        None => pending(progress),
    })
}

fn pending(progress: String) -> Observed {
    Observed::Pending { progress, evidence: None }
}

pub(super) fn awaits_callback(options: &Options) -> String {
    format!("waits until the receiver of {} calls back", options.shown())
}

/// The end of a run whose receiver has called back.
pub(super) fn ended(options: &Options, action: &Action) -> Option<StageEnd> {
    let CalledBack { status, message, data, at } = action.called_back.as_ref()?;
    let mut output = action.called.as_ref().map_or_else(|| json!({}), |called| called.output.clone());
    output["completion"] = json!({ "status": status, "message": message, "data": data, "at": at });
    let said = message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    Some(match status {
        CallbackStatus::Succeeded => StageEnd::succeeded(output),
        CallbackStatus::Failed => {
            let reason = format!("the receiver of {} called back: failed{said}", options.shown());
            let evidence = json!({ "url": options.url, "message": message, "at": at });
            StageEnd { output, ..StageEnd::failed_with(reason, evidence) }
        }
    })
}

/// Where the status is. What an answer names must be at the host that was called: whoever answers does not choose whom else
/// this installation calls.
fn status_url(options: &Options, poll: &Poll, answered: &Answered) -> Result<String, String> {
    let named = match (&poll.url, &poll.url_from) {
        (Some(url), _) => return Ok(url.clone()),
        (None, Some(UrlFrom::Header(name))) => {
            answered.named.clone().ok_or_else(|| format!("its answer has no header `{name}`"))
        }
        (None, Some(UrlFrom::Body(path))) => {
            text_at(&answered.body, path).ok_or_else(|| format!("its answer has no text at `{path}`"))
        }
        (None, None) => Err("the stage does not say where its status is".to_owned()),
    };
    let told = |why: String| format!("{} answered {}, but {why}", options.shown(), answered.status);
    let named = named.map_err(told)?;
    let base = check_url(&options.url).map_err(|error| error.to_string())?;
    let url = base.join(&named).map_err(|error| told(format!("`{named}` is no URL: {error}")))?;
    let url = check_url(url.as_str()).map_err(|error| told(format!("`{named}`: {error}")))?;
    if url.origin() != base.origin() {
        let place = url.origin().ascii_serialization();
        return Err(told(format!(
            "it names a status at another place, {place}: write the URL as `waitFor.poll.url` if it is right"
        )));
    }
    Ok(url.to_string())
}

/// Asks for the status, when that is due.
pub(super) async fn ask(
    stage: &StageContext<'_>,
    poll: &Poll,
    called: &Called,
    caller: &Caller<'_>,
) -> Result<Observed, OperationError> {
    let url = called.status_url.clone().unwrap_or_default();
    let asked = called.asked.saturating_add(1);
    let seen = match caller.get(&url, &poll.headers).await {
        Ok((answered, after)) => judge(poll, answered, after),
        Err(Unanswered::Now(reason)) => Seen::Again { reason, after: None },
        Err(Unanswered::Ever(reason)) => Seen::Refused { reason, body: None },
    };
    let completed = |status: Option<&str>, body: Option<&Value>| {
        let mut output = called.output.clone();
        output["completion"] = json!({ "url": url, "status": status, "asked": asked, "body": body });
        output
    };
    let (progress, after) = match seen {
        Seen::Done { status, body } => {
            return Ok(Observed::Ended(StageEnd::succeeded(completed(Some(&status), Some(&body)))));
        }
        Seen::Failed { status, body } => {
            let reason = format!("GET {url} said `{status}`, which `failure` names");
            let evidence = json!({ "method": "GET", "url": url, "status": status, "body": excerpt(&body) });
            let output = completed(Some(&status), Some(&body));
            return Ok(Observed::Ended(StageEnd { output, ..StageEnd::failed_with(reason, evidence) }));
        }
        Seen::Refused { reason, body } => {
            let evidence = json!({ "method": "GET", "url": url, "body": body.as_ref().map(excerpt) });
            let output = completed(None, body.as_ref());
            return Ok(Observed::Ended(StageEnd { output, ..StageEnd::failed_with(reason, evidence) }));
        }
        Seen::Running { told } => (format!("GET {url} {told}"), None),
        Seen::Again { reason, after } => (reason, after),
    };
    let rest = after.map_or(poll.every, |after| pause(1, Some(after)).max(poll.every));
    let next = rest.after(stage.context.now());
    let called = Called { asked, ..called.clone() };
    note(stage, &progress, |action| {
        action.called = Some(called.clone());
        action.next = next;
    })
    .await?;
    Ok(pending(progress))
}

/// What a look at the status came to.
#[derive(Debug, PartialEq)]
enum Seen {
    Done {
        status: String,
        body: Value,
    },
    Failed {
        status: String,
        body: Value,
    },
    /// Not at its end, as far as can be told.
    Running {
        told: String,
    },
    /// It could not be seen now.
    Again {
        reason: String,
        after: Option<Span>,
    },
    /// It can never be seen.
    Refused {
        reason: String,
        body: Option<Value>,
    },
}

fn judge(poll: &Poll, answered: Answered, after: Option<Span>) -> Seen {
    let reason = format!("GET {} answered {}", answered.url, answered.status);
    match answered.status {
        200..300 => {}
        408 | 425 | 429 | 500..600 => return Seen::Again { reason, after },
        300..400 => {
            let reason = format!("{reason}, and redirects are not followed");
            return Seen::Refused { reason, body: Some(answered.body) };
        }
        _ => return Seen::Refused { reason, body: Some(answered.body) },
    }
    let Some(status) = text_at(&answered.body, &poll.status) else {
        let what = if answered.body.is_string() { "an answer that is no JSON" } else { "nothing" };
        return Seen::Running { told: format!("gave {what} at `{}`", poll.status) };
    };
    if poll.success.contains(&status) {
        return Seen::Done { status, body: answered.body };
    }
    if poll.failure.contains(&status) {
        return Seen::Failed { status, body: answered.body };
    }
    let progress = poll.progress.as_ref().and_then(|path| text_at(&answered.body, path));
    let progress = progress.map(|text| format!(", {}", cut(&text, 200))).unwrap_or_default();
    Seen::Running { told: format!("said `{}`{progress}", cut(&status, 100)) }
}

/// The scalar at a path, as text.
fn text_at(body: &Value, path: &str) -> Option<String> {
    match PayloadPath::parse(path).ok()?.first(body)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn excerpt(body: &Value) -> String {
    let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    cut(&text, 500)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
#[path = "completion_tests.rs"]
mod tests;
