//! `remove-old-version`: takes away the version that no longer gets traffic (H15).

use pilothouse_cluster::{DeleteOptions, ObjectRef};
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::patch_image::WorkloadKind;
use super::scale::{self, Scaler};
use super::steps::{Plan, Planned, Step};
use super::workload::{self, Claims};
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
    /// Allows to remove a StatefulSet that takes its claims with it: what is in them does not come back.
    #[serde(default)]
    pub allow_data_loss: bool,
}

/// Removes a version.
#[derive(Debug, Clone, Copy)]
pub struct RemoveOldVersion;

impl StageType for RemoveOldVersion {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Lets the connections to a version drain, scales it to nothing and deletes it and its autoscaler, unless a Service needs it.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "H15, H17, T15, X8"
    }

    fn undone(&self) -> &'static str {
        "Creates the workload and its autoscaler anew as they were, and waits until it is ready."
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
    let cluster = stage.cluster().await?;
    let Some(live) = cluster.get(&object).await? else {
        return Ok(Planned::refused(format!("{object} does not exist: correct `workload`")));
    };
    let lost = workload::loses_claims(&object, &live, &[Claims::Scaled, Claims::Deleted]);
    if let Some(reason) = lost.filter(|_| !options.allow_data_loss) {
        return Ok(Planned::refused(reason));
    }
    let scaler = scale::scaler(&cluster, &object).await?;
    let steps = removal(stage, &live, options.drain.unwrap_or(DRAIN), Some(scaler.as_ref()));
    let mut output = json!({ "workload": versions::shown(&live) });
    if let Some(scaler) = &scaler {
        output["notes"] = json!([format!(
            "{} goes with {object}, which it scaled: what took its place needs one of its own",
            scaler.object
        )]);
    }
    Ok(Planned::Steps(Plan { steps, output }))
}

/// The steps that take a workload out of service: a look at who needs it, time to drain, another look, and then its end. Is it to be
/// deleted, so is its autoscaler, if it has one.
pub(super) fn removal(
    stage: &StageContext<'_>,
    live: &Value,
    drain: Span,
    delete: Option<Option<&Scaler>>,
) -> Vec<Step> {
    let Some(object) = ObjectRef::of(live) else { return Vec::new() };
    let guard = Step::guard(stage, &object, 0);
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
    if let Some(scaler) = delete {
        steps.extend(scaler.map(|scaler| deletion(scaler.object.clone(), &scaler.live)));
        steps.push(deletion(object, live));
    }
    steps
}

fn deletion(object: ObjectRef, live: &Value) -> Step {
    let uid = live["metadata"]["uid"].as_str().map(str::to_owned);
    Step::Delete { object, options: DeleteOptions { uid, ..DeleteOptions::default() } }
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
