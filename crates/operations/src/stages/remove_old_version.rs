//! `remove-old-version`: takes away the version that no longer gets traffic (H15).

use pilothouse_cluster::DeleteOptions;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::patch_image::WorkloadKind;
use super::steps::{Leaving, Plan, Planned, Step};
use super::{StageContext, StageType, Stepped, check, rollout, versions};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "remove-old-version";

/// How long connections may go on when the pipeline does not say.
pub(super) const DRAIN: Span = Span::from_secs(30);

/// What a `remove-old-version` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The name of the workload. May have `${ … }`: `${ stages["Start"].output.previous.name }`.
    pub workload: String,
    /// The kind of the workload.
    #[serde(default)]
    pub kind: WorkloadKind,
    /// How long open connections may go on before its pods end; `30s` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Span>,
}

/// Removes a version.
#[derive(Debug, Clone, Copy)]
pub struct RemoveOldVersion;

impl StageType for RemoveOldVersion {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Lets the connections to a version drain, scales it to nothing and deletes it, unless a Service needs it.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "H15, H17, T15, X8"
    }

    fn undone(&self) -> &'static str {
        "Creates the workload anew as it was, and waits until it is ready."
    }

    fn timeout(&self, options: &Value) -> Span {
        let drain = options["drain"].as_str().and_then(|text| text.parse().ok()).unwrap_or(DRAIN);
        Span::from_millis(rollout::TIMEOUT.as_millis().saturating_add(Span::as_millis(drain)))
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    match check::options::<Options>(options) {
        Err(problem) => return vec![problem],
        Ok(parsed) if parsed.workload.is_empty() => {
            problems.push(Problem::new("workload", "the name is empty"));
        }
        Ok(parsed) if parsed.kind == WorkloadKind::CronJob => {
            problems.push(Problem::new("kind", "a CronJob has no pods that get traffic"));
        }
        Ok(_) => {}
    }
    problems
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let namespace = &stage.environment.namespace;
    let object = options.kind.object(namespace, &options.workload);
    let Some(live) = stage.cluster().await?.get(&object).await? else {
        return Ok(Planned::refused(format!("{object} does not exist: correct `workload`")));
    };
    let steps = removal(stage, &live, options.drain.unwrap_or(DRAIN), true);
    Ok(Planned::Steps(Plan { steps, output: json!({ "workload": versions::shown(&live) }) }))
}

/// The steps that take a workload out of service: a look at who needs it, time to drain, another look, and then its end.
pub(super) fn removal(stage: &StageContext<'_>, live: &Value, drain: Span, delete: bool) -> Vec<Step> {
    let Some(object) = pilothouse_cluster::ObjectRef::of(live) else { return Vec::new() };
    let guard = Step::Guard {
        namespace: object.namespace.clone().unwrap_or_default(),
        services: Vec::new(),
        leaving: Leaving::Workload { object: object.clone(), keep: 0 },
        least: stage.traffic_guard(),
    };
    let mut steps = vec![guard.clone()];
    if drain.as_millis() > 0 {
        let what = format!("connections to {} drain", object.name);
        steps.extend([Step::Hold { seconds: drain.as_millis().div_ceil(1000), what }, guard]);
    }
    if versions::replicas_of(live).is_some() {
        steps.extend([
            Step::Scale { object: object.clone(), replicas: 0 },
            Step::Ready { object: object.clone() },
        ]);
    }
    if delete {
        let uid = live["metadata"]["uid"].as_str().map(str::to_owned);
        steps.push(Step::Delete { object, options: DeleteOptions { uid, ..DeleteOptions::default() } });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn a_workload_with_pods_is_named() {
        assert_eq!(problems(&RemoveOldVersion, &json!({"workload": "web", "drain": "1m"})), "");
        let all = [json!({"workload": ""}), json!({"workload": "web", "kind": "CronJob"})];
        let shown: Vec<String> = all.iter().map(|options| problems(&RemoveOldVersion, options)).collect();
        assert_eq!(
            shown.join("\n"),
            "workload: the name is empty\nkind: a CronJob has no pods that get traffic"
        );
        assert_eq!(RemoveOldVersion.timeout(&json!({"drain": "1m"})), Span::from_secs(660));
    }
}
