//! One call: it is made, answered or not, and judged.

use std::time::Duration;

use pilothouse_domain::duration::Span;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};
use serde_json::{Value, json};

use super::options::Options;
use crate::outbound::{OutboundPolicy, check_url};
use crate::request::{Redaction, add_header, body, header_value, payload_body, read_body, told};
use crate::secrets::Secrets;

/// How long one call may take, answer included.
const LONGEST_CALL: Duration = Duration::from_secs(20);
/// How much of an answer is kept, in bytes.
const LONGEST_BODY: usize = 64 * 1024;
/// How much of an answer proves a failure, in characters.
const EXCERPT: usize = 500;
/// Tells a receiver that a call is the same as one before.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Who calls.
pub(super) struct Caller<'a> {
    /// What may be called.
    pub(super) policy: OutboundPolicy,
    /// Where the values of secrets come from.
    pub(super) secrets: &'a Secrets,
    /// The same for every call of one run.
    pub(super) idempotency_key: String,
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
}

impl Answered {
    /// What later stages may read: `stages["…"].output.webhook.statusCode`.
    pub(super) fn output(&self) -> Value {
        let Self { url, status, body, truncated } = self;
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
        let mut redaction = Redaction::default();
        let (url, headers) = match self.prepare(options, &mut redaction).await {
            Ok(prepared) => prepared,
            Err(reason) => return Outcome::Failed { reason, answered: None },
        };
        let client = match self.policy.client(&url).await {
            Ok(client) => client,
            Err(error) if error.is_retryable() => return not_made(error.to_string()),
            Err(error) => return Outcome::Failed { reason: error.to_string(), answered: None },
        };
        let mut request = client.request(options.method.into(), url).headers(headers).timeout(LONGEST_CALL);
        if let Some(payload) = &options.payload {
            request = request.body(payload_body(payload).0);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let reason = redaction.text(&format!(
                    "{} was not answered: {}",
                    options.shown(),
                    told(error, LONGEST_CALL)
                ));
                return not_made(reason);
            }
        };
        let after = retry_after(response.headers());
        let answered = read(&options.url, response, &redaction).await;
        judge(options, answered, after)
    }

    /// The URL and the headers, with the values of secrets in them.
    async fn prepare(
        &self,
        options: &Options,
        redaction: &mut Redaction,
    ) -> Result<(Url, HeaderMap), String> {
        let url = check_url(&options.url).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, header_value(IDEMPOTENCY_KEY, &self.idempotency_key)?);
        if let Some(payload) = &options.payload {
            headers.insert(CONTENT_TYPE, payload_body(payload).1);
        }
        for (name, header) in &options.headers {
            add_header(&mut headers, (name, header), self.secrets, redaction).await?;
        }
        Ok((url, headers))
    }
}

fn not_made(reason: String) -> Outcome {
    Outcome::Again { reason, after: None, answered: None }
}

/// The seconds in `Retry-After`. Its other form, a date, is rare and passed over.
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Span::from_secs(seconds.into()))
}

/// Reads what is kept of the body. A body that breaks off is kept as far as it came: the status was given before.
async fn read(url: &str, mut response: Response, redaction: &Redaction) -> Answered {
    let status = response.status().as_u16();
    let (bytes, truncated) = read_body(&mut response, LONGEST_BODY).await;
    Answered { url: url.to_owned(), status, body: body(&bytes, truncated, redaction), truncated }
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
