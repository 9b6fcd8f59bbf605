//! `http`: calls a URL, and judges the answer.

use std::collections::BTreeMap;

use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, shown};
use super::{CheckContext, CheckType, Finding, Sampled, expect};
use crate::outbound::check_url;
use crate::request::{Header, Method, Redaction, body, header_problems, url_problem};
use crate::stages::check;

/// What the expression may read of the answer.
const ROOTS: [&str; 3] = ["statusCode", "body", "headers"];

/// What an `http` check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    /// Where to call: `https://host/path`. May have `${ … }`; no credentials.
    url: String,
    /// The method; `GET` when absent.
    #[serde(default = "get")]
    method: Method,
    /// Headers by name: a text, which may have `${ … }`, or a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Header>,
    /// The body: an object or a list is sent as JSON, a text as it is. Texts in it may have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["object", "array", "string"]))]
    payload: Option<Value>,
    /// One `${ … }` over `statusCode`, `body` (JSON if it is, else text) and `headers` (by their names in lower case) that must be
    /// true; when absent, the status must be 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
}

const fn get() -> Method {
    Method::Get
}

/// Calls a URL.
pub(super) struct Http;

impl CheckType for Http {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: "http",
            summary: "Calls a URL, and judges its status, body and headers.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn sample<'a>(&'a self, check: &'a CheckContext<'a>) -> Sampled<'a> {
        Box::pin(async move {
            let options: Options = check.options()?;
            let url = check_url(&options.url).map_err(|error| error.to_string())?;
            let shown = format!("{} {}", options.method, shown(&url));
            let (method, headers) = (options.method, &options.headers);
            let call = Call { method, url, headers, payload: options.payload.as_ref() };
            let answer = call.make(check.context).await?;
            judge(&options, &shown, &answer, check.scope)
        })
    }
}

fn judge(options: &Options, shown: &str, answer: &Answer, scope: &Value) -> Result<Finding, String> {
    let status = answer.status;
    let finding = match &options.expect {
        None => Finding::new((200..300).contains(&status), status, format!("{shown} answered {status}")),
        Some(text) => {
            let found = Map::from_iter([
                ("statusCode".to_owned(), json!(status)),
                ("body".to_owned(), body(&answer.bytes, answer.truncated, &answer.redaction)),
                ("headers".to_owned(), headers(answer, &answer.redaction)),
            ]);
            let finding = expect::judge(text, found, scope)
                .map_err(|reason| format!("{shown} answered {status}: {reason}"))?;
            Finding { value: json!(status), ..finding }
        }
    };
    Ok(Finding { detail: answer.redaction.text(&finding.detail), ..finding })
}

/// The headers of an answer that are text, the last of those with one name.
fn headers(answer: &Answer, redaction: &Redaction) -> Value {
    let text = answer.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let fields = text.map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())));
    redaction.json(Value::Object(fields.collect()))
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, Http.verbatim());
    problems.extend(header_problems(options));
    let rest = options.iter().filter(|(key, _)| *key != "headers");
    let parsed: Options =
        match check::options(&rest.map(|(key, value)| (key.clone(), value.clone())).collect()) {
            Ok(parsed) => parsed,
            Err(problem) => return vec![problem],
        };
    problems.extend(url_problem("url", &parsed.url));
    if parsed.payload.is_some() && !parsed.method.has_body() {
        problems.push(Problem::new("payload", format!("a {} request has no body", parsed.method)));
    }
    if let Some(text) = &parsed.expect {
        problems.extend(expect::problems("expect", text, &ROOTS, scope));
    }
    problems
}
