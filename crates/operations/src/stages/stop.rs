//! `stop`: takes the pods of a workload away and remembers how many they were; suspends what runs jobs (N5, T3).

use pilothouse_cluster::{ObjectRef, STOPPED_REPLICAS};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::steps::{Plan, Planned, Step};
use super::workload::{self, Claims, Kind, Workload};
use super::{StageContext, StageEnd, StageType, Stepped, check};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "stop";

/// What a `stop` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The workload: the name of a Deployment, or `{kind, name, namespace}`. A CronJob or a Job is suspended.
    pub workload: Workload,
    /// Allows to stop a StatefulSet that deletes the claims of its pods with them: what is in those does not come back.
    #[serde(default)]
    pub allow_data_loss: bool,
}

/// Stops a workload.
#[derive(Debug, Clone, Copy)]
pub struct Stop;

impl StageType for Stop {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Scales a workload to 0 and waits until its last pod has ended, or suspends a CronJob or Job.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "N5, T3, T15"
    }

    fn undone(&self) -> &'static str {
        "Brings back the number of pods that there was, or ends the suspension."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    match check::options::<Options>(options) {
        Ok(parsed) => problems.extend(able(&parsed.workload)),
        Err(problem) => return vec![problem],
    }
    problems
}

/// What is wrong with a workload that is to be stopped or started.
pub(super) fn able(workload: &Workload) -> Vec<Problem> {
    let able = [Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet, Kind::CronJob, Kind::Job];
    workload.problems(&able, |_| {
        "a DaemonSet has no number of pods: delete it with `delete-manifest`, or give it a `nodeSelector` that no node has"
    })
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let object = options.workload.object(stage);
    let live = match workload::live(stage, &object).await? {
        Ok(live) => live,
        Err(refused) => return Ok(refused),
    };
    let lost = workload::loses_claims(&object, &live, &[Claims::Scaled]);
    if let Some(reason) = lost.filter(|_| workload::replicas(&live) > 0 && !options.allow_data_loss) {
        return Ok(Planned::refused(reason));
    }
    Ok(match options.workload.kind() {
        Kind::CronJob | Kind::Job => suspend(stage, object, &live),
        _ => scale_to_nothing(stage, object, &live),
    })
}

fn scale_to_nothing(stage: &StageContext<'_>, object: ObjectRef, live: &Value) -> Planned {
    let now = workload::replicas(live);
    let output = json!({ "workload": object, "replicas": now });
    if now == 0 {
        return already(&object, "has no pods");
    }
    let steps = vec![
        Step::guard(stage, &object, 0),
        Step::Set {
            fields: json!({
                "metadata": {"annotations": {STOPPED_REPLICAS: now.to_string()}},
                "spec": {"replicas": 0},
            }),
            what: format!("stop {object}, which has {now} pods"),
            object: object.clone(),
        },
        Step::Ready { object: object.clone() },
        Step::Emptied { object },
    ];
    Planned::Steps(Plan { steps, output })
}

fn suspend(stage: &StageContext<'_>, object: ObjectRef, live: &Value) -> Planned {
    if live["spec"]["suspend"] == true {
        return already(&object, "is suspended");
    }
    let ended = |kind: &str| {
        let conditions = live["status"]["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|c| c["type"] == kind && c["status"] == "True"))
    };
    if object.kind == "Job" && (ended("Complete") || ended("Failed")) {
        return already(&object, "is at its end");
    }
    let output = json!({ "workload": object });
    let running = live["status"]["active"].as_array().map_or(0, Vec::len);
    let what = match (object.kind.as_str(), running) {
        ("CronJob", 0) => format!("suspend {object}"),
        ("CronJob", running) => format!("suspend {object}; {running} of its jobs run and go on"),
        _ => format!("suspend {object} and end its pods"),
    };
    let set = Step::Set { object: object.clone(), fields: json!({"spec": {"suspend": true}}), what };
    let steps = match object.kind.as_str() {
        "Job" => vec![Step::guard(stage, &object, 0), set, Step::Emptied { object }],
        _ => vec![set],
    };
    Planned::Steps(Plan { steps, output })
}

/// There is nothing to do; the stage says so and has succeeded.
pub(super) fn already(object: &ObjectRef, how: &str) -> Planned {
    let said = format!("{object} {how}: there was nothing to do");
    Planned::Ends(StageEnd::succeeded(json!({ "workload": object, "steps": [said] })))
}
