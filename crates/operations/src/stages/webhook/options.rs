//! What a `webhook` stage says, and what is wrong with it.

use std::collections::BTreeMap;

use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::wait_for::{self, WaitFor};
use crate::request::{Header, Method, header_problems, url_problem};
use crate::stages::check;

/// What a `webhook` stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Where to call: `https://host/path`. May have `${ … }`; no credentials.
    pub url: String,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// Headers by name: a text, which may have `${ … }`, or a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Header>,
    /// The body: an object or a list is sent as JSON, a text as it is. Texts in it may have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["object", "array", "string"]))]
    pub payload: Option<Value>,
    /// Status codes that fail the stage, whatever they mean otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(range(min = 100, max = 599)))]
    pub fail_on: Vec<u16>,
    /// Status codes that are success, whatever they mean otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(range(min = 100, max = 599)))]
    pub success_on: Vec<u16>,
    /// What is waited for once the call was answered with success; without it that is the stage's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for: Option<WaitFor>,
}

impl Options {
    /// The call, for people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

/// Everything that is wrong with the options.
pub(super) fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    problems.extend(header_problems(options));
    // What is wrong with a header has been said, with its place, and does not hide what is wrong with the rest.
    let mut rest: Map<String, Value> = options
        .iter()
        .filter(|(key, _)| *key != "headers")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    problems.extend(wait_for::poll_headers(&mut rest));
    let parsed: Options = match check::options(&rest) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    problems.extend(url_problem("url", &parsed.url));
    problems.extend(payload(&parsed));
    problems.extend(codes(&parsed));
    problems.extend(wait_for::problems(&parsed));
    problems
}

fn payload(options: &Options) -> Option<Problem> {
    let problem = |message: String| Some(Problem::new("payload", message));
    match &options.payload {
        Some(_) if !options.method.has_body() => problem(format!("a {} request has no body", options.method)),
        Some(Value::Object(_) | Value::Array(_) | Value::String(_)) | None => None,
        Some(other) => problem(format!("expected an object, a list or a text, found {other}")),
    }
}

fn codes(options: &Options) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, codes) in [("failOn", &options.fail_on), ("successOn", &options.success_on)] {
        for (index, code) in codes.iter().enumerate() {
            let path = format!("{key}[{index}]");
            if !(100..=599).contains(code) {
                problems.push(Problem::new(path, format!("{code} is no status code: 100 to 599")));
            } else if key == "successOn" && options.fail_on.contains(code) {
                problems.push(Problem::new(path, format!("{code} is in `failOn` too")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stages::check::tests::problems;
    use crate::stages::webhook::Webhook;

    fn found(options: &Value) -> String {
        problems(&Webhook, options)
    }

    #[test]
    fn a_complete_call_is_accepted() {
        assert_eq!(found(&json!({"url": "http://web.dev/health"})), "");
        let full = json!({
            "url": "https://hooks.shop.example/deploys/${ params.replicas }",
            "method": "PUT",
            "headers": {
                "Authorization": {"secretRef": "env:CI_TOKEN", "prefix": "Bearer "},
                "X-Release": "${ release.id }",
            },
            "payload": {"image": "${ artifacts.web.reference }", "notes": ["${ stages[\"Ask\"].output.input }", 1]},
            "failOn": [204],
            "successOn": [404],
        });
        assert_eq!(found(&full), "");
        let options: Options = serde_json::from_value(full.clone()).unwrap();
        assert_eq!(serde_json::to_value(options).unwrap(), full);
    }

    #[test]
    fn everything_wrong_is_refused_at_once_with_its_place() {
        let all = json!({
            "url": "http://ann:hunter2@web.dev/",
            "method": "GET",
            "headers": {
                "Host": "other",
                "authorization": "Bearer hunter2",
                "bad name": "x",
                "X-Line": "a\nb",
                "X-Key": {"secretRef": "hunter2"},
            },
            "payload": {"a.b": ["${ artifacts.wbe.digest }"], "n": "${ stages[\"Other\"].output.n }"},
            "failOn": [200, 600],
            "successOn": [200],
        });
        let shown = found(&all);
        assert!(!shown.contains("hunter2"), "{shown}");
        insta::assert_snapshot!(shown, @r#"
        payload["a.b"][0]: the pipeline has no artifact `wbe`; did you mean `web`?
        payload.n: stage `Other` does not end before this one begins; add `Other` to `dependsOn`
        headers.Host: the header `Host` is set by the connection; leave it out
        headers.authorization: `authorization` carries a secret, and pipelines are stored and shown; write `{secretRef: env:NAME}`, with `prefix: "Bearer "` if it has one
        headers["bad name"]: "bad name" is no name of a header
        headers.X-Line: the value has characters that a header cannot carry
        headers.X-Key.secretRef: not a secret reference: write `env:NAME`, `file:PATH` or `aws-secret:NAME#key` (the text given is not shown)
        url: the URL holds credentials: put them into a header with `secretRef`
        payload: a GET request has no body
        failOn[1]: 600 is no status code: 100 to 599
        successOn[0]: 200 is in `failOn` too
        "#);
    }

    #[test]
    fn a_metadata_service_is_refused_before_anything_runs() {
        assert_eq!(
            found(&json!({"url": "http://169.254.169.254/latest/meta-data/iam/"})),
            "url: 169.254.169.254 is a link-local address, where clouds keep a machine's credentials, which this \
             installation does not call"
        );
    }

    #[test]
    fn a_url_with_expressions_must_still_be_one() {
        assert_eq!(found(&json!({"url": "${ params.replicas }/x"})), "");
        assert_eq!(
            found(&json!({"url": "ftp://${ params.replicas }"})),
            "url: the URL must start with http:// or https://"
        );
    }
}
