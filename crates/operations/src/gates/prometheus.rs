//! `prometheus`: asks Prometheus an instant query, and holds each series against a threshold or an expression.

use std::collections::BTreeMap;

use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, shown};
use super::{CheckContext, CheckType, Finding, Sampled, expect};
use crate::outbound::check_url;
use crate::request::{Header, Method, header_problems, url_problem};
use crate::stages::check;

/// What the expression may read of a series.
const ROOTS: [&str; 2] = ["value", "labels"];

/// What a `prometheus` check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    /// Where Prometheus is: `http://prometheus.monitoring:9090`. May have `${ … }`; no credentials.
    address: String,
    /// The instant query. May have `${ … }`.
    query: String,
    /// Headers by name: a text, which may have `${ … }`, or a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Header>,
    /// Every value must be less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<Threshold>,
    /// Every value must be greater than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    above: Option<Threshold>,
    /// Every value must be this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Threshold>,
    /// One `${ … }` over `value` and `labels` that must be true of every series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
    /// Whether no series at all is a pass; when absent it is not.
    #[serde(default)]
    empty_passes: bool,
}

/// A number, or one `${ … }` that gives one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Threshold {
    /// A number.
    Number(f64),
    /// An expression; once it is evaluated, a number written as text.
    Text(String),
}

impl Threshold {
    fn number(&self) -> Result<f64, String> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        };
        number.filter(|number| number.is_finite()).ok_or_else(|| format!("{self:?} is no number"))
    }
}

/// Asks Prometheus.
pub(super) struct Prometheus;

impl CheckType for Prometheus {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: "prometheus",
            summary: "Asks Prometheus, and holds what it answers against a threshold.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn sample<'a>(&'a self, check: &'a CheckContext<'a>) -> Sampled<'a> {
        Box::pin(async move {
            let options: Options = check.options()?;
            let url = query_url(&options.address, &options.query)?;
            let shown = shown(&url);
            let call = Call { method: Method::Get, url, headers: &options.headers, payload: None };
            let answer = call.make(check.context).await?;
            let series =
                read(&answer).map_err(|reason| answer.redaction.text(&format!("{shown}: {reason}")))?;
            let finding = judge(&options, &series, check.scope)?;
            Ok(Finding { detail: answer.redaction.text(&finding.detail), ..finding })
        })
    }
}

/// The address of the instant query API below `address`, which may have a path of its own.
fn query_url(address: &str, query: &str) -> Result<Url, String> {
    let mut url = check_url(address).map_err(|error| error.to_string())?;
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend(["api", "v1", "query"]),
        Err(()) => return Err("the address has no path".to_owned()),
    };
    url.query_pairs_mut().clear().append_pair("query", query);
    Ok(url)
}

/// One value, and the labels it belongs to.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    labels: Value,
    value: f64,
}

impl Series {
    /// `{job="web"}`, or nothing for a number without labels.
    fn name(&self) -> String {
        let labels = self.labels.as_object().into_iter().flatten();
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        if labels.is_empty() { String::new() } else { format!(" ({{{}}})", labels.join(",")) }
    }

    /// The value as JSON: `NaN` and the infinities, which it does not have, as text.
    fn json(&self) -> Value {
        serde_json::Number::from_f64(self.value).map_or_else(|| self.value.to_string().into(), Value::Number)
    }
}

/// The series of an answer.
fn read(answer: &Answer) -> Result<Vec<Series>, String> {
    let status = answer.status;
    if answer.truncated {
        return Err("the answer is longer than 1 MiB; aggregate, for example with `sum(…)`".to_owned());
    }
    let body: Value = serde_json::from_slice(&answer.bytes)
        .map_err(|_| format!("it answered {status}, and that is no answer of Prometheus"))?;
    if body["status"] != "success" {
        let why = body["error"].as_str().unwrap_or("it does not say why");
        return Err(format!("it answered {status}: {why}"));
    }
    let data = &body["data"];
    match (data["resultType"].as_str(), &data["result"]) {
        (Some("scalar"), result) => Ok(vec![Series { labels: json!({}), value: number(result)? }]),
        (Some("vector"), Value::Array(found)) => found
            .iter()
            .map(|one| Ok(Series { labels: one["metric"].clone(), value: number(&one["value"])? }))
            .collect(),
        (Some("matrix"), _) => {
            Err("the query gives a range; ask for one value, for example with `max_over_time(…)`".to_owned())
        }
        (kind, _) => Err(format!("the query gives no numbers but {}", kind.unwrap_or("nothing"))),
    }
}

/// The number of `[1435781451.781, "0.5"]`.
fn number(sample: &Value) -> Result<f64, String> {
    let text = sample.get(1).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| "a value in the answer is no number".to_owned())
}

fn judge(options: &Options, series: &[Series], scope: &Value) -> Result<Finding, String> {
    let Some(first) = series.first() else {
        let detail = "the query gives no series";
        return Ok(Finding::new(options.empty_passes, Value::Null, detail));
    };
    let mut failed: Option<(usize, Finding)> = None;
    for one in series {
        if let Some(detail) = unsatisfied(options, one, scope)? {
            match &mut failed {
                Some((count, _)) => *count += 1,
                None => {
                    failed = Some((1, Finding::new(false, one.json(), format!("{detail}{}", one.name()))));
                }
            }
        }
    }
    Ok(match failed {
        Some((count, finding)) if series.len() > 1 => {
            let detail = format!("{}; {count} of {} series do not pass", finding.detail, series.len());
            Finding { detail, ..finding }
        }
        Some((_, finding)) => finding,
        None if series.len() > 1 => Finding::new(
            true,
            first.json(),
            format!("all {} series pass, the first with {}", series.len(), first.value),
        ),
        None => Finding::new(true, first.json(), format!("{}{}", first.value, first.name())),
    })
}

/// Why a series does not pass. Nothing is true of a value that is not a number.
fn unsatisfied(options: &Options, series: &Series, scope: &Value) -> Result<Option<String>, String> {
    let value = series.value;
    type Holds = fn(f64, f64) -> bool;
    let thresholds: [(&str, &Option<Threshold>, Holds); 3] = [
        ("below", &options.below, |value, bound| value < bound),
        ("above", &options.above, |value, bound| value > bound),
        ("equal to", &options.equals, |value, bound| {
            value.partial_cmp(&bound) == Some(std::cmp::Ordering::Equal)
        }),
    ];
    for (name, threshold, holds) in thresholds {
        let Some(threshold) = threshold else { continue };
        let bound = threshold.number()?;
        if !holds(value, bound) {
            return Ok(Some(format!("{value} is not {name} {bound}")));
        }
    }
    let Some(text) = &options.expect else { return Ok(None) };
    let found =
        Map::from_iter([("value".to_owned(), series.json()), ("labels".to_owned(), series.labels.clone())]);
    let finding = expect::judge(text, found, scope)?;
    Ok((!finding.passed).then_some(finding.detail))
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, Prometheus.verbatim());
    problems.extend(header_problems(options));
    let rest = options.iter().filter(|(key, _)| *key != "headers");
    let parsed: Options =
        match check::options(&rest.map(|(key, value)| (key.clone(), value.clone())).collect()) {
            Ok(parsed) => parsed,
            Err(problem) => return vec![problem],
        };
    problems.extend(url_problem("address", &parsed.address));
    if parsed.query.trim().is_empty() {
        problems.push(Problem::new("query", "the query is empty"));
    }
    let thresholds = [("below", &parsed.below), ("above", &parsed.above), ("equals", &parsed.equals)];
    for (key, threshold) in thresholds {
        let Some(Threshold::Text(text)) = threshold else { continue };
        if !check::has_expression(text) && text.trim().parse::<f64>().is_err() {
            let message = format!("`{text}` is no number");
            problems
                .push(Problem::new(key, message).with_hint("write a number, or one `${ … }` that gives one"));
        }
    }
    match &parsed.expect {
        Some(text) => problems.extend(expect::problems("expect", text, &ROOTS, scope)),
        None if thresholds.iter().all(|(_, threshold)| threshold.is_none()) => {
            let hint = "add `below`, `above`, `equals` or `expect`";
            problems.push(Problem::new("", "the check expects nothing of the values").with_hint(hint));
        }
        None => {}
    }
    problems
}
