//! The parts of a request as a pipeline writes them, and what is wrong with them.

use std::fmt;

use pilothouse_domain::problem::Problem;
use pilothouse_domain::secret::SecretRef;
use reqwest::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::outbound::check_url;
use crate::stages::check;

/// A method of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    #[default]
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// Whether a request with this method has a body.
    pub(crate) fn has_body(self) -> bool {
        !matches!(self, Self::Get | Self::Head)
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(reqwest::Method::from(*self).as_str())
    }
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Header {
    /// A text.
    Text(String),
    /// A secret.
    Secret(SecretHeader),
}

/// A header whose value is kept elsewhere, and read for the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretHeader {
    /// Where the value is kept: `env:NAME`, `file:PATH` or `aws-secret:NAME#key`.
    pub secret_ref: SecretRef,
    /// What stands before it: `"Bearer "`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// Headers that the connection sets itself.
const OWN: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "expect"];
/// Headers that carry a secret: as a text it would be stored with the pipeline and shown (invariant 7).
const SECRET: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-auth-token",
    "private-token",
    "x-vault-token",
];

/// What is wrong with a URL, as far as it is known before its expressions are evaluated.
pub(crate) fn url_problem(path: &str, text: &str) -> Option<Problem> {
    if !check::has_expression(text) {
        return check_url(text).err().map(|error| Problem::new(path, error.to_string()));
    }
    let starts_well = ["${", "http://", "https://"].iter().any(|start| text.starts_with(start));
    (!starts_well).then(|| Problem::new(path, "the URL must start with http:// or https://"))
}

/// What is wrong with the headers, from their JSON: each problem with its own place.
pub(crate) fn header_problems(options: &Map<String, Value>) -> Vec<Problem> {
    let given = options.get("headers").and_then(Value::as_object).into_iter().flatten();
    given.filter_map(|(name, value)| header(name, value)).collect()
}

fn header(name: &str, value: &Value) -> Option<Problem> {
    let path = check::step("headers", name);
    let Ok(parsed) = HeaderName::try_from(name) else {
        return Some(Problem::new(path, format!("{name:?} is no name of a header")));
    };
    if OWN.contains(&parsed.as_str()) {
        return Some(
            Problem::new(path, format!("the header `{name}` is set by the connection"))
                .with_hint("leave it out"),
        );
    }
    match value {
        Value::String(_) if SECRET.contains(&parsed.as_str()) => Some(
            Problem::new(path, format!("`{name}` carries a secret, and pipelines are stored and shown"))
                .with_hint("write `{secretRef: env:NAME}`, with `prefix: \"Bearer \"` if it has one"),
        ),
        Value::String(text) if check::has_expression(text) => None,
        Value::String(text) => HeaderValue::from_str(text)
            .err()
            .map(|_| Problem::new(path, "the value has characters that a header cannot carry")),
        Value::Object(fields) => {
            let reference = fields.get("secretRef").and_then(Value::as_str).unwrap_or_default();
            let error = reference.parse::<SecretRef>().err()?;
            Some(Problem::new(format!("{path}.secretRef"), error.to_string()))
        }
        _ => Some(Problem::new(path, "expected a text or `{secretRef: …}`")),
    }
}
