//! `start`: brings back what `stop` took away (N5, T3).

use pilothouse_cluster::{ObjectRef, STOPPED_REPLICAS};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::steps::{Plan, Planned, Step};
use super::stop::{able, already};
use super::workload::{self, Kind, Number, Workload};
use super::{StageContext, StageType, Stepped, check};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "start";

/// What a `start` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The workload: the name of a Deployment, or `{kind, name, namespace}`. A CronJob or a Job is no longer suspended.
    pub workload: Workload,
    /// How many pods; when absent as many as there were when a `stop` stage stopped it. May be one `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Number>,
}

/// Starts a workload.
#[derive(Debug, Clone, Copy)]
pub struct Start;

impl StageType for Start {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Brings back the pods of a stopped workload and waits until they run, or ends the suspension of a CronJob or Job.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "N5"
    }

    fn undone(&self) -> &'static str {
        "Stops or suspends it again."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    problems.extend(able(&parsed.workload));
    let Some(number) = &parsed.replicas else { return problems };
    problems.extend(number.problem("replicas"));
    let kind = parsed.workload.kind();
    if matches!(kind, Kind::CronJob | Kind::Job) {
        let message = format!("a {} has no number of pods", kind.names().1);
        problems.push(Problem::new("replicas", message).with_hint("leave `replicas` out"));
    } else if number.pods() == Ok(0) {
        problems.push(Problem::new("replicas", "0 pods are no start").with_hint("use `stop`"));
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
    if matches!(options.workload.kind(), Kind::CronJob | Kind::Job) {
        return Ok(resume(object, &live));
    }
    let given = match options.replicas.as_ref().map(Number::pods).transpose() {
        Ok(given) => given,
        Err(message) => return Ok(workload::refused(message, "replicas")),
    };
    Ok(scale_up(object, &live, given))
}

fn resume(object: ObjectRef, live: &Value) -> Planned {
    if live["spec"]["suspend"] != true {
        return already(&object, "is not suspended");
    }
    let output = json!({ "workload": object });
    let what = format!("{object} goes on");
    let steps = vec![Step::Set { object, fields: json!({"spec": {"suspend": false}}), what }];
    Planned::Steps(Plan { steps, output })
}

fn scale_up(object: ObjectRef, live: &Value, given: Option<u32>) -> Planned {
    let now = workload::replicas(live);
    let remembered =
        live["metadata"]["annotations"][STOPPED_REPLICAS].as_str().and_then(|count| count.parse().ok());
    let wanted = match (given, remembered.filter(|count| *count > 0)) {
        (Some(0), _) => return workload::refused("0 pods are no start: use `stop`", "replicas"),
        (None, _) if now > 0 => return already(&object, &format!("has {now} pods")),
        (Some(given), _) if now >= given => {
            return already(&object, &format!("has {now} pods, and {given} were asked for"));
        }
        (Some(given), _) => given,
        (None, Some(remembered)) => remembered,
        (None, None) => {
            return Planned::refused(format!(
                "nothing says how many pods {object} had: no `stop` stage stopped it; say `replicas`"
            ));
        }
    };
    let output = json!({ "workload": object, "replicas": wanted });
    let set = Step::Set {
        fields: json!({
            "metadata": {"annotations": {STOPPED_REPLICAS: null}},
            "spec": {"replicas": wanted},
        }),
        what: format!("start {object} with {wanted} pods"),
        object: object.clone(),
    };
    Planned::Steps(Plan { steps: vec![set, Step::Ready { object }], output })
}
