//! `precondition`: what must hold before the stages after it may begin (T33).
//!
//! All checks are looked at, and all that do not hold are told, each with what was found. What becomes of the others when they do
//! not hold is the stage's `onFailure`, as for any stage.

use std::collections::BTreeMap;
use std::fmt;

use pilothouse_cluster::{CLUSTER_LABEL, ObjectRef, SEQUENCE_LABEL};
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::{Problem, did_you_mean};
use pilothouse_domain::server_group::ClusterName;
use pilothouse_domain::stage::StageRun;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::patch_image::WorkloadKind;
use super::{Begun, StageContext, StageEnd, StageType, Stepped, check};
use crate::OperationError;
use crate::gates::api_version_of;

/// The name in `type:`.
pub const NAME: &str = "precondition";

/// The most checks of one stage: each may read a list from the cluster.
const MOST: usize = 20;

/// What a `precondition` stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// What must hold, all of it at once.
    #[schemars(length(min = 1, max = MOST))]
    pub checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "check", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Check {
    /// So many pods, or server groups, are ready.
    ClusterSize {
        /// The name of the workload whose ready pods are counted. This or `cluster`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload: Option<String>,
        /// The workload's kind: `Deployment`, `StatefulSet` or `DaemonSet`.
        #[serde(default)]
        kind: WorkloadKind,
        /// The cluster, `app-stack-detail`, whose server groups are counted. This or `workload`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
        /// What of a `cluster` is counted: its ready pods, or its server groups that have ready pods.
        #[serde(default)]
        count: Counted,
        /// The namespace, if not the environment's. May have `${ … }`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// How the number compares; `>=` when absent.
        #[serde(default)]
        comparison: Comparison,
        /// To what: a number, or one `${ … }` that gives one.
        expected: Expected,
    },
    /// An object is in the cluster. Of a Secret too nothing but that is recorded.
    ObjectExists {
        /// Its kind: `Secret`.
        kind: String,
        /// Its group and version, `apps/v1`; may be left out for the kinds that come with Kubernetes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_version: Option<String>,
        /// Its name. May have `${ … }`.
        name: String,
        /// The namespace, if not the environment's. May have `${ … }`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// A stage before this one has come to that end.
    StageStatus {
        /// The stage.
        stage: String,
        /// Its end: `succeeded`, `failed`, `skipped`, `notRun` or `canceled`.
        is: End,
    },
    /// One `${ … }` is true.
    Expression {
        /// The expression.
        #[schemars(with = "String")]
        expression: Value,
        /// What is said when it is not true. May have `${ … }`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
}

/// What is counted of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Counted {
    /// Its ready pods.
    #[default]
    Pods,
    /// Its server groups that have a ready pod.
    ServerGroups,
}

/// How a number compares to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// As many.
    #[serde(rename = "==")]
    Equal,
    /// At least.
    #[default]
    #[serde(rename = ">=")]
    AtLeast,
    /// More.
    #[serde(rename = ">")]
    More,
}

impl Comparison {
    fn holds(self, found: u64, expected: u64) -> bool {
        match self {
            Self::Less => found < expected,
            Self::AtMost => found <= expected,
            Self::Equal => found == expected,
            Self::AtLeast => found >= expected,
            Self::More => found > expected,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::AtLeast => ">=",
            Self::More => ">",
        })
    }
}

/// A number that is written, or given by an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    /// The number.
    Number(u64),
    /// An expression, or what it gave: parameters are texts.
    Text(String),
}

impl Expected {
    fn number(&self) -> Result<u64, String> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => text.trim().parse().map_err(|_| {
                let shown: String = text.chars().take(40).collect();
                format!("`expected` is `{shown}`, which is no number: 0 or more")
            }),
        }
    }
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// It ended well.
    Succeeded,
    /// It failed.
    Failed,
    /// Its condition was false.
    Skipped,
    /// It never started.
    NotRun,
    /// It was cancelled.
    Canceled,
}

impl End {
    /// As a run's status is called.
    const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotRun => "notRun",
            Self::Canceled => "canceled",
        }
    }
}

/// Looks whether something holds.
#[derive(Debug, Clone, Copy)]
pub struct Precondition;

impl StageType for Precondition {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Fails unless everything holds that it checks: cluster sizes, ends of stages, expressions.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T33"
    }

    fn undone(&self) -> &'static str {
        "Nothing: it changes nothing."
    }

    fn timeout(&self, _: &Value) -> Span {
        Span::from_secs(300)
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(begin(stage))
    }
}

/// What a check came to.
struct Found {
    holds: bool,
    /// What was found, with the number that was expected: "Deployment dev/web has 1 ready pod, expected >= 2".
    detail: String,
}

async fn begin(stage: &StageContext<'_>) -> Result<Begun, OperationError> {
    let options: Options = stage.options()?;
    let runs = stage.context.store.stage_runs(&stage.attempt.at).await?;
    let runs: Vec<&StageRun> = runs.iter().map(|run| &run.record).collect();
    let mut found = Vec::new();
    for (index, check) in options.checks.iter().enumerate() {
        found.push(look(stage, &runs, index, check).await?);
    }
    let output = json!({
        "checks": found.iter().map(|f| json!({ "holds": f.holds, "detail": f.detail })).collect::<Vec<_>>(),
    });
    let broken: Vec<&str> = found.iter().filter(|f| !f.holds).map(|f| f.detail.as_str()).collect();
    Ok(Begun::Ended(match broken.is_empty() {
        true => StageEnd::succeeded(output),
        false => StageEnd { output, ..StageEnd::failed(broken.join("; ")) },
    }))
}

async fn look(
    stage: &StageContext<'_>,
    runs: &[&StageRun],
    index: usize,
    check: &Check,
) -> Result<Found, OperationError> {
    Ok(match check {
        Check::ClusterSize { comparison, expected, .. } => match expected.number() {
            Err(detail) => Found { holds: false, detail },
            Ok(expected) => {
                let (what, found) = size(stage, check).await?;
                let holds = comparison.holds(found, expected);
                Found { holds, detail: format!("{what}, expected {comparison} {expected}") }
            }
        },
        Check::ObjectExists { kind, api_version, name, namespace } => {
            let api_version = api_version.as_deref().or_else(|| api_version_of(kind)).unwrap_or_default();
            let namespace = namespace.as_deref().unwrap_or(&stage.environment.namespace);
            let object = ObjectRef::namespaced(api_version, kind, namespace, name);
            let holds = stage.cluster().await?.get(&object).await?.is_some();
            Found { holds, detail: format!("{object} {}", if holds { "exists" } else { "does not exist" }) }
        }
        Check::StageStatus { stage: name, is } => ended_as(runs, name, *is),
        Check::Expression { expression, message } => {
            let written = stage.spec.options.get("checks").and_then(|checks| checks.get(index));
            let written = written.and_then(|check| check.get("expression")?.as_str());
            is_true(written.unwrap_or("the expression"), expression, message.as_deref())
        }
    })
}

fn ended_as(runs: &[&StageRun], name: &str, is: End) -> Found {
    let run = runs.iter().find(|run| run.stage == name);
    let status = run.map_or("not begun", |run| run.status.name());
    let why = run.and_then(|run| run.status.reason()).map(|why| format!(" ({why})")).unwrap_or_default();
    let detail = format!("stage `{name}` is {status}{why}, expected {}", is.name());
    Found { holds: status == is.name(), detail }
}

fn is_true(written: &str, value: &Value, message: Option<&str>) -> Found {
    let plain = match value {
        Value::Bool(true) => return Found { holds: true, detail: format!("`{written}` is true") },
        Value::Bool(false) => format!("`{written}` is false"),
        other => format!("`{written}` is {other}, neither true nor false: compare with `==` or `<`"),
    };
    Found { holds: false, detail: message.map_or(plain.clone(), |message| format!("{message} ({plain})")) }
}

/// What was counted, in words, and how many there are.
async fn size(stage: &StageContext<'_>, check: &Check) -> Result<(String, u64), OperationError> {
    let Check::ClusterSize { workload, kind, cluster, count, namespace, .. } = check else {
        return Err(OperationError::Inconsistent("a check of another kind has no size".to_owned()));
    };
    let namespace = namespace.as_deref().unwrap_or(&stage.environment.namespace);
    let live = stage.cluster().await?;
    if let Some(name) = workload {
        let object = kind.object(namespace, name);
        if live.get(&object).await?.is_none() {
            return Ok((format!("{object} does not exist"), 0));
        }
        let ready = number(live.workload_pods(&object).await?.ready.len());
        return Ok((format!("{object} has {}", so_many(ready, "ready pod")), ready));
    }
    let name = cluster.as_deref().unwrap_or_default();
    let of = BTreeMap::from([(CLUSTER_LABEL.to_owned(), name.to_owned())]);
    let groups = live.labelled_pods_by(namespace, &of, SEQUENCE_LABEL).await?;
    let ready = groups.values().map(|pods| pods.ready.len());
    let (found, unit) = match count {
        Counted::Pods => (number(ready.sum()), "ready pod"),
        Counted::ServerGroups => (number(ready.filter(|n| *n > 0).count()), "server group"),
    };
    let more = if *count == Counted::ServerGroups { " with ready pods" } else { "" };
    Ok((format!("cluster {namespace}/{name} has {}{more}", so_many(found, unit)), found))
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn so_many(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let Options { checks } = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    for (index, check) in checks.iter().enumerate() {
        let path = format!("checks[{index}]");
        match check {
            Check::ClusterSize { .. } => problems.extend(size_problems(&path, check)),
            Check::ObjectExists { kind, api_version, .. } => {
                if api_version.is_none() && api_version_of(kind).is_none() && !check::has_expression(kind) {
                    let message = format!("which `{kind}` is meant? its `apiVersion` is missing");
                    problems.push(Problem::new(path, message));
                }
            }
            Check::StageStatus { stage, .. } => {
                problems.extend(stage_problem(&format!("{path}.stage"), stage, scope));
            }
            Check::Expression { expression, .. } => problems.extend(expression_problem(&path, expression)),
        }
    }
    problems
}

fn size_problems(path: &str, check: &Check) -> Vec<Problem> {
    let Check::ClusterSize { workload, kind, cluster, count, expected, .. } = check else {
        return Vec::new();
    };
    let at = |key: &str| format!("{path}.{key}");
    let mut problems = Vec::new();
    match (workload, cluster) {
        (Some(_), Some(_)) => problems
            .push(Problem::new(at("cluster"), "there is a `workload` too").with_hint("keep one of the two")),
        (None, None) => problems.push(
            Problem::new(path, "it is not said what is counted")
                .with_hint("name a `workload`, or a `cluster` of server groups"),
        ),
        (Some(name), None) if name.trim().is_empty() => {
            problems.push(Problem::new(at("workload"), "the name is empty"));
        }
        (Some(_), None) if *kind == WorkloadKind::CronJob => {
            problems.push(Problem::new(at("kind"), "a CronJob has no pods of its own"));
        }
        (Some(_), None) if *count == Counted::ServerGroups => problems.push(
            Problem::new(at("count"), "a workload has no server groups")
                .with_hint("name a `cluster` instead"),
        ),
        (None, Some(name)) if !check::has_expression(name) => {
            problems
                .extend(ClusterName::parse(name).err().map(|e| Problem::new(at("cluster"), e.to_string())));
        }
        _ => {}
    }
    match expected {
        Expected::Text(text) if !check::has_expression(text) => {
            problems.extend(expected.number().err().map(|why| Problem::new(at("expected"), why)));
        }
        _ => {}
    }
    problems
}

/// A stage can be asked about only when it is over by then.
fn stage_problem(path: &str, name: &str, scope: &StageScope<'_>) -> Option<Problem> {
    if check::has_expression(name) {
        return Some(Problem::new(path, "the name of a stage cannot be an expression"));
    }
    let known = |names: &[String]| names.iter().any(|n| n == name);
    if known(scope.upstream) {
        return None;
    }
    if name == scope.stage {
        return Some(Problem::new(path, "a stage cannot ask for its own end"));
    }
    if known(scope.stages) {
        let problem = Problem::new(path, format!("stage `{name}` does not end before this one begins"));
        return Some(problem.with_hint(format!("add `{name}` to `dependsOn`")));
    }
    let hint = did_you_mean(name, scope.upstream.iter().map(String::as_str));
    Some(Problem::new(path, format!("the environment has no stage `{name}`")).with_optional_hint(hint))
}

fn expression_problem(path: &str, expression: &Value) -> Option<Problem> {
    let path = format!("{path}.expression");
    match expression {
        Value::String(text) => check::single(&path, text),
        _ => Some(Problem::new(path, "what must hold is exactly one `${ … }`")),
    }
}

#[cfg(test)]
#[path = "precondition_tests.rs"]
mod tests;
