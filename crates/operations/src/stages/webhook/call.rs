//! One call: it is made, answered or not, and judged.

use std::collections::BTreeMap;
use std::time::Duration;

use pilothouse_domain::duration::Span;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};
use serde_json::{Value, json};

use super::options::Options;
use super::wait_for::{UrlFrom, WaitFor};
use crate::outbound::{OutboundPolicy, check_url};
use crate::request::{Header, Redaction, add_header, body, header_value, payload_body, read_body, told};
use crate::secrets::{SecretValue, Secrets};

/// How long one call may take, answer included.
const LONGEST_CALL: Duration = Duration::from_secs(20);
/// How much of an answer is kept, in bytes.
const LONGEST_BODY: usize = 64 * 1024;
/// How much of an answer proves a failure, in characters.
const EXCERPT: usize = 500;
/// Tells a receiver that a call is the same as one before.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Brings a receiver the URL that it calls back.
pub(super) const CALLBACK: &str = "pilothouse-callback";

/// Who calls.
pub(super) struct Caller<'a> {
    /// What may be called.
    pub(super) policy: OutboundPolicy,
    /// Where the values of secrets come from.
    pub(super) secrets: &'a Secrets,
    /// The same for every call of one run.
    pub(super) idempotency_key: String,
    /// What the receiver calls back, where that is waited for. It is as good as the receiver's word: in no record.
    pub(super) callback: Option<SecretValue>,
}

/// A request that nobody answered.
#[derive(Debug, PartialEq)]
pub(super) enum Unanswered {
    /// Somebody may answer the next.
    Now(String),
    /// It can never be sent.
    Ever(String),
}

/// A request, before its secrets are in it.
struct Request<'a> {
    method: reqwest::Method,
    url: &'a str,
    headers: &'a BTreeMap<String, Header>,
    payload: Option<Value>,
    /// The header of the answer that is wanted.
    wanted: Option<&'a str>,
}

/// What a call came to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Its status is success.
    Succeeded(Answered),
    /// Its status is failure, or it can never be made.
    Failed {
        /// Why.
        reason: String,
        /// What was answered, if anything.
        answered: Option<Answered>,
    },
    /// The receiver was not ready for it.
    Again {
        /// Why.
        reason: String,
        /// How long the receiver asks to wait.
        after: Option<Span>,
        /// What was answered, if anything.
        answered: Option<Answered>,
    },
}

/// What a receiver answered, without secrets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answered {
    /// What was called.
    pub(super) url: String,
    /// The status code.
    pub(super) status: u16,
    /// The body: JSON if it is, else text.
    pub(super) body: Value,
    /// Whether the body was longer than what is kept of it.
    pub(super) truncated: bool,
    /// The value of the header that was wanted, if it was there.
    pub(super) named: Option<String>,
}

impl Answered {
    /// What later stages may read: `stages["…"].output.webhook.statusCode`.
    pub(super) fn output(&self) -> Value {
        let Self { url, status, body, truncated, .. } = self;
        json!({ "webhook": { "url": url, "statusCode": status, "body": body, "truncated": truncated } })
    }

    /// The beginning of the body, as text.
    pub(super) fn excerpt(&self) -> String {
        let text = self.body.as_str().map_or_else(|| self.body.to_string(), str::to_owned);
        text.chars().take(EXCERPT).collect()
    }
}

impl Caller<'_> {
    /// Makes the call. Whatever goes wrong is an outcome; no secret is in any of it.
    pub(super) async fn call(&self, options: &Options) -> Outcome {
        let wanted = match &options.wait_for {
            Some(WaitFor::Poll(poll)) => poll.url_from.as_ref(),
            _ => None,
        };
        let request = Request {
            method: options.method.into(),
            url: &options.url,
            headers: &options.headers,
            payload: self.payload(options),
            wanted: wanted
                .and_then(|from| if let UrlFrom::Header(name) = from { Some(name.as_str()) } else { None }),
        };
        match self.send(request).await {
            Ok((answered, after)) => judge(options, answered, after),
            Err(Unanswered::Now(reason)) => Outcome::Again { reason, after: None, answered: None },
            Err(Unanswered::Ever(reason)) => Outcome::Failed { reason, answered: None },
        }
    }

    /// Asks what a URL has, and how long it asks to wait before the next time.
    pub(super) async fn get(
        &self,
        url: &str,
        headers: &BTreeMap<String, Header>,
    ) -> Result<(Answered, Option<Span>), Unanswered> {
        let method = reqwest::Method::GET;
        self.send(Request { method, url, headers, payload: None, wanted: None }).await
    }

    /// The payload, with the URL that is called back where the stage wants it in there too.
    fn payload(&self, options: &Options) -> Option<Value> {
        let key = options.callback().and_then(|callback| callback.payload_key.as_ref());
        let (Some(key), Some(url)) = (key, &self.callback) else { return options.payload.clone() };
        let mut fields = options.payload.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        fields.insert(key.clone(), Value::from(url.expose()));
        Some(Value::Object(fields))
    }

    async fn send(&self, request: Request<'_>) -> Result<(Answered, Option<Span>), Unanswered> {
        let mut redaction = Redaction::default();
        let shown = format!("{} {}", request.method, request.url);
        let (url, headers) = self.prepare(&request, &mut redaction).await.map_err(Unanswered::Ever)?;
        let client = self.policy.client(&url).await.map_err(|error| match error.is_retryable() {
            true => Unanswered::Now(error.to_string()),
            false => Unanswered::Ever(error.to_string()),
        })?;
        let mut sent = client.request(request.method, url).headers(headers).timeout(LONGEST_CALL);
        if let Some(payload) = &request.payload {
            sent = sent.body(payload_body(payload).0);
        }
        let response = sent.send().await.map_err(|error| {
            let reason = format!("{shown} was not answered: {}", told(error, LONGEST_CALL));
            Unanswered::Now(redaction.text(&reason))
        })?;
        let after = retry_after(response.headers());
        let named = request.wanted.and_then(|name| response.headers().get(name)?.to_str().ok());
        let named = named.map(|value| redaction.text(value));
        Ok((read(request.url, response, &redaction, named).await, after))
    }

    /// The URL and the headers, with the values of secrets in them.
    async fn prepare(
        &self,
        request: &Request<'_>,
        redaction: &mut Redaction,
    ) -> Result<(Url, HeaderMap), String> {
        let url = check_url(request.url).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, header_value(IDEMPOTENCY_KEY, &self.idempotency_key)?);
        if let Some(payload) = &request.payload {
            headers.insert(CONTENT_TYPE, payload_body(payload).1);
        }
        if let Some(callback) = &self.callback {
            let mut value = header_value(CALLBACK, callback.expose())?;
            value.set_sensitive(true);
            headers.insert(CALLBACK, value);
            redaction.add(callback.clone());
        }
        for (name, header) in request.headers {
            add_header(&mut headers, (name, header), self.secrets, redaction).await?;
        }
        Ok((url, headers))
    }
}

/// The seconds in `Retry-After`. Its other form, a date, is rare and passed over.
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Span::from_secs(seconds.into()))
}

/// Reads what is kept of the body. A body that breaks off is kept as far as it came: the status was given before.
async fn read(url: &str, mut response: Response, redaction: &Redaction, named: Option<String>) -> Answered {
    let status = response.status().as_u16();
    let (bytes, truncated) = read_body(&mut response, LONGEST_BODY).await;
    Answered { url: url.to_owned(), status, body: body(&bytes, truncated, redaction), truncated, named }
}

/// What the status means (T38): the stage's own codes first.
fn judge(options: &Options, answered: Answered, after: Option<Span>) -> Outcome {
    let status = answered.status;
    let reason = format!("{} answered {status}", options.shown());
    if options.fail_on.contains(&status) {
        return Outcome::Failed {
            reason: format!("{reason}, which `failOn` names"),
            answered: Some(answered),
        };
    }
    match status {
        _ if options.success_on.contains(&status) => Outcome::Succeeded(answered),
        429 | 502 | 503 | 504 => Outcome::Again { reason, after, answered: Some(answered) },
        200..400 => Outcome::Succeeded(answered),
        _ => Outcome::Failed { reason, answered: Some(answered) },
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
