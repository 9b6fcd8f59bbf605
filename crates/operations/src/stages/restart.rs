//! `restart`: replaces a workload's pods by new ones of the same template, as `kubectl rollout restart` does (N5).

use pilothouse_cluster::{ObjectRef, RESTARTED_AT};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::steps::{Plan, Planned, Step};
use super::workload::{self, Kind, Workload};
use super::{StageContext, StageType, Stepped, check, losses};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "restart";

/// What a `restart` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The workload: the name of a Deployment, or `{kind, name, namespace}`.
    pub workload: Workload,
}

/// Restarts a workload.
#[derive(Debug, Clone, Copy)]
pub struct Restart;

impl StageType for Restart {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Replaces the pods of a workload one after the other, and waits until the new ones run.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "N5, T3"
    }

    fn undone(&self) -> &'static str {
        "Takes its mark away again: pods that the restart made are replaced once more, those from before that still run stay."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    match check::options::<Options>(options) {
        Ok(parsed) => {
            let able = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];
            problems.extend(parsed.workload.problems(&able, |kind| match kind {
                Kind::ReplicaSet => "it never replaces pods that run: delete them",
                _ => "each of its runs has new pods anyway: use `run-job` to run one",
            }));
        }
        Err(problem) => return vec![problem],
    }
    problems
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let object = options.workload.object(stage);
    let live = match workload::live(stage, &object).await? {
        Ok(live) => live,
        Err(refused) => return Ok(refused),
    };
    if let Some(reason) = cannot(&object, &live) {
        return Ok(Planned::refused(reason));
    }
    // The new pods have the labels of the present ones.
    if let Some(reason) = losses::unserved(stage, &stage.cluster().await?, (&live, &live)).await? {
        return Ok(Planned::refused(reason));
    }
    let mut steps: Vec<Step> = losses::before_replacing(stage, &object, &live).into_iter().collect();
    let at = stage.context.now();
    steps.push(Step::Set {
        object: object.clone(),
        fields: json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: at.to_string()}}}}}),
        what: format!("restart {object}"),
    });
    steps.push(Step::Ready { object: object.clone() });
    Ok(Planned::Steps(Plan { steps, output: json!({ "workload": object, "restartedAt": at }) }))
}

/// Why nothing would come of a restart.
fn cannot(object: &ObjectRef, live: &Value) -> Option<String> {
    if live["spec"]["paused"] == true {
        return Some(format!(
            "{object} is paused, and its pods are not replaced: resume it first (`spec.paused: false`)"
        ));
    }
    if live["spec"]["updateStrategy"]["type"] == "OnDelete" {
        return Some(format!(
            "{object} replaces a pod only when somebody deletes it (`updateStrategy: OnDelete`): delete them, or change that"
        ));
    }
    let partition =
        live["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_u64().filter(|p| *p > 0)?;
    Some(format!(
        "{object} would restart only its pods from number {partition} on: set its `partition` to 0 first"
    ))
}
