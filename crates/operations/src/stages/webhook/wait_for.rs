//! What a `webhook` stage waits for once its call was answered, and what is wrong with that (T38).

use std::collections::BTreeMap;

use pilothouse_domain::duration::Span;
use pilothouse_domain::problem::Problem;
use pilothouse_domain::trigger::PayloadPath;
use reqwest::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::options::Options;
use crate::request::{Header, header_problems, url_problem};

/// How often a status URL is asked when the pipeline does not say.
const EVERY: Span = Span::from_secs(10);
/// A receiver is not asked more often.
const SHORTEST: Span = Span::from_secs(1);
/// Nor so seldom that its end is noticed hours later.
const LONGEST: Span = Span::from_secs(3600);

/// What the stage waits for after its call: the receiver says when all is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WaitFor {
    /// A status URL is asked until it says so.
    Poll(Poll),
    /// The receiver calls back: the call brings it a URL for that, which can be used once.
    Callback(CallbackOptions),
}

/// How a status URL is asked. Its answer is JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Poll {
    /// Where the status is. May have `${ … }`. This or `urlFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the call's answer says that the status is; at the host of the call. This or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<UrlFrom>,
    /// Headers by name, as those of the call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Header>,
    /// How often it is asked: `1s` to `1h`; `10s` when absent.
    #[serde(default = "every")]
    pub every: Span,
    /// The path of the status in the answer: `state`, `result.phase`.
    pub status: String,
    /// The statuses that are success.
    #[schemars(length(min = 1))]
    pub success: Vec<String>,
    /// The statuses that are failure. Any other is on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<String>,
    /// The path of what to show meanwhile: `percent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
}

const fn every() -> Span {
    EVERY
}

/// Where an answer names a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UrlFrom {
    /// In the header of that name: `Location`.
    Header(String),
    /// At that path of its JSON: `links.status`.
    Body(String),
}

/// How the receiver comes by the URL that it calls back. It is always in the header `pilothouse-callback` of the call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallbackOptions {
    /// The key of the payload's object that carries it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_key: Option<String>,
}

impl Options {
    /// How its receiver is asked, if it is.
    pub(super) fn poll(&self) -> Option<&Poll> {
        match &self.wait_for {
            Some(WaitFor::Poll(poll)) => Some(poll),
            _ => None,
        }
    }

    /// How its receiver calls back, if it does.
    pub(super) fn callback(&self) -> Option<&CallbackOptions> {
        match &self.wait_for {
            Some(WaitFor::Callback(callback)) => Some(callback),
            _ => None,
        }
    }
}

/// What is wrong with the headers of `waitFor.poll`, from their JSON; and the options without them, so that it hides nothing else.
pub(super) fn poll_headers(options: &mut Map<String, Value>) -> Vec<Problem> {
    let Some(poll) = options.get_mut("waitFor").and_then(|wait| wait.get_mut("poll")?.as_object_mut()) else {
        return Vec::new();
    };
    let problems = header_problems(poll);
    poll.shift_remove("headers");
    problems.into_iter().map(|p| Problem { path: format!("waitFor.poll.{}", p.path), ..p }).collect()
}

/// Everything else that is wrong.
pub(super) fn problems(options: &Options) -> Vec<Problem> {
    match &options.wait_for {
        None => Vec::new(),
        Some(WaitFor::Poll(poll)) => poll_problems(poll),
        Some(WaitFor::Callback(callback)) => callback_problems(options, callback),
    }
}

fn poll_problems(poll: &Poll) -> Vec<Problem> {
    let at = |key: &str| format!("waitFor.poll.{key}");
    let mut problems = Vec::new();
    match (&poll.url, &poll.url_from) {
        (Some(url), None) => problems.extend(url_problem(&at("url"), url)),
        (None, Some(UrlFrom::Header(name))) => {
            if HeaderName::try_from(name.as_str()).is_err() {
                problems.push(Problem::new(at("urlFrom.header"), format!("{name:?} is no name of a header")));
            }
        }
        (None, Some(UrlFrom::Body(path))) => problems.extend(path_problem(&at("urlFrom.body"), path)),
        (Some(_), Some(_)) => {
            problems
                .push(Problem::new(at("urlFrom"), "there is a `url` too").with_hint("keep one of the two"));
        }
        (None, None) => problems.push(
            Problem::new("waitFor.poll", "it is not said where the status is")
                .with_hint("write `url`, or `urlFrom: {header: Location}`"),
        ),
    }
    if !(SHORTEST..=LONGEST).contains(&poll.every) {
        let message = format!("{} is not between {SHORTEST} and {LONGEST}", poll.every);
        problems.push(Problem::new(at("every"), message));
    }
    problems.extend(path_problem(&at("status"), &poll.status));
    problems.extend(poll.progress.as_ref().and_then(|path| path_problem(&at("progress"), path)));
    for (index, status) in poll.failure.iter().enumerate() {
        if poll.success.contains(status) {
            problems.push(Problem::new(
                at(&format!("failure[{index}]")),
                format!("`{status}` is in `success` too"),
            ));
        }
    }
    problems
}

fn path_problem(path: &str, text: &str) -> Option<Problem> {
    PayloadPath::parse(text).err().map(|why| Problem::new(path, why))
}

fn callback_problems(options: &Options, callback: &CallbackOptions) -> Vec<Problem> {
    let Some(key) = &callback.payload_key else { return Vec::new() };
    let problem = |message: String| vec![Problem::new("waitFor.callback.payloadKey", message)];
    let header = "the URL is in the header `pilothouse-callback` without it";
    match &options.payload {
        _ if key.is_empty() => problem("the key is empty".to_owned()),
        _ if !options.method.has_body() => {
            problem(format!("a {} request has no body; {header}", options.method))
        }
        None => Vec::new(),
        Some(Value::Object(fields)) if !fields.contains_key(key) => Vec::new(),
        Some(Value::Object(_)) => problem(format!("the payload has `{key}` already")),
        Some(_) => problem(format!("the payload is no object; {header}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::stages::check::tests::problems;
    use crate::stages::webhook::Webhook;

    fn found(wait_for: &serde_json::Value) -> String {
        problems(&Webhook, &json!({"url": "http://ci.dev/build", "payload": {"a": 1}, "waitFor": wait_for}))
    }

    #[test]
    fn what_is_waited_for_is_checked_when_the_pipeline_is_saved() {
        for fine in [
            json!({"poll": {"url": "http://ci.dev/${ params.replicas }", "status": "state", "success": ["done"]}}),
            json!({"poll": {
                "urlFrom": {"header": "Location"}, "every": "1s", "status": "result[0].phase", "success": ["ok"],
                "failure": ["bad"], "progress": "percent", "headers": {"Authorization": {"secretRef": "env:CI"}},
            }}),
            json!({"poll": {"urlFrom": {"body": "links.status"}, "status": "state", "success": ["done"]}}),
            json!({"callback": {}}),
            json!({"callback": {"payloadKey": "callbackUrl"}}),
        ] {
            assert_eq!(found(&fine), "", "{fine}");
        }
        let wrong = [
            json!({"poll": {"status": "state", "success": ["done"]}}),
            json!({"poll": {
                "url": "ftp://ci", "urlFrom": {"body": "x"}, "every": "500ms", "status": "a[", "success": ["done"],
                "failure": ["done"], "progress": "", "headers": {"Authorization": "Bearer hunter2"},
            }}),
            json!({"poll": {"url": "http://169.254.169.254/", "every": "2h", "status": "s", "success": ["a"]}}),
            json!({"poll": {"urlFrom": {"header": "no header"}, "status": "s", "success": ["${ params.none }"]}}),
            json!({"callback": {"payloadKey": "a"}}),
        ];
        let shown = wrong.iter().map(found).collect::<Vec<_>>().join("\n");
        assert!(!shown.contains("hunter2"), "{shown}");
        insta::assert_snapshot!(shown, @r#"
        waitFor.poll: it is not said where the status is; write `url`, or `urlFrom: {header: Location}`
        waitFor.poll.headers.Authorization: `Authorization` carries a secret, and pipelines are stored and shown; write `{secretRef: env:NAME}`, with `prefix: "Bearer "` if it has one
        waitFor.poll.urlFrom: there is a `url` too; keep one of the two
        waitFor.poll.every: 500ms is not between 1s and 1h
        waitFor.poll.status: `a[` is not a path; write `a.b`, `a[0]`, `a[*]` or `a["b.c"]`
        waitFor.poll.progress: a path has 1 to 512 bytes
        waitFor.poll.failure[0]: `done` is in `success` too
        waitFor.poll.url: 169.254.169.254 is a link-local address, where clouds keep a machine's credentials, which this installation does not call
        waitFor.poll.every: 2h is not between 1s and 1h
        waitFor.poll.success[0]: the pipeline has no parameter `none`
        waitFor.poll.urlFrom.header: "no header" is no name of a header
        waitFor.callback.payloadKey: the payload has `a` already
        "#);
    }
}
