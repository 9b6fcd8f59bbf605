//! One HTTP request to an address that a pipeline names: its parts as they are written, its secrets, and its answer.
//!
//! Used by the `webhook` stage and by the checks of gates. Whatever goes wrong is told in words without any secret.

mod parts;
mod redaction;

use std::error::Error;

use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

pub use parts::{Header, Method, SecretHeader};
pub(crate) use parts::{header_problems, url_problem};
pub(crate) use redaction::{Redaction, depth};

use crate::secrets::Secrets;

/// How deep an answer may be nested to be kept as JSON; deeper, it is kept as text.
const DEEPEST: usize = 32;

/// Adds a header; the value of a secret is read now and noted, so that it can be taken out of what comes back.
///
/// # Errors
/// Why it cannot be sent, in words.
pub(crate) async fn add_header(
    headers: &mut HeaderMap,
    (name, header): (&str, &Header),
    secrets: &Secrets,
    redaction: &mut Redaction,
) -> Result<(), String> {
    let value = match header {
        Header::Text(text) => header_value(name, text)?,
        Header::Secret(secret) => {
            let value = secrets.resolve(&secret.secret_ref).await.map_err(|error| error.to_string())?;
            let mut header = header_value(name, &format!("{}{}", secret.prefix, value.expose()))?;
            header.set_sensitive(true);
            redaction.add(value);
            header
        }
    };
    let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no name of a header"))?;
    headers.insert(name, value);
    Ok(())
}

/// The body that carries a payload, and its media type: a text as it is, anything else as JSON.
pub(crate) fn payload_body(payload: &Value) -> (String, HeaderValue) {
    match payload {
        Value::String(text) => (text.clone(), HeaderValue::from_static("text/plain; charset=utf-8")),
        other => (other.to_string(), HeaderValue::from_static("application/json")),
    }
}

/// A text as a header's value.
///
/// # Errors
/// It has characters that a header cannot carry.
pub(crate) fn header_value(name: &str, text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text)
        .map_err(|_| format!("header `{name}`: its value has characters that a header cannot carry"))
}

/// What went wrong with a call, down to its cause. The URL is told once, by the caller; so is the time that it had.
pub(crate) fn told(error: reqwest::Error, longest: std::time::Duration) -> String {
    if error.is_timeout() {
        return format!("it took longer than {} s", longest.as_secs());
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let message = next.to_string();
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        cause = next.source();
    }
    text
}

/// At most `most` bytes of an answer's body, and whether there was more. A body that breaks off is given as far as it came.
pub(crate) async fn read_body(response: &mut Response, most: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut truncated = false;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => truncated = true,
        }
        truncated |= bytes.len() > most;
        if truncated {
            bytes.truncate(most);
            break;
        }
    }
    (bytes, truncated)
}

/// A body without secrets: JSON if it is, else text.
pub(crate) fn body(bytes: &[u8], truncated: bool, redaction: &Redaction) -> Value {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if !truncated && depth(&value) <= DEEPEST => redaction.json(value),
        _ if truncated => Value::String(redaction.cut_text(&String::from_utf8_lossy(bytes))),
        _ => Value::String(redaction.text(&String::from_utf8_lossy(bytes))),
    }
}
