//! `scale`: sets how many pods a workload has: a number, more or fewer, a share, or as many as its autoscaler allows (T44, T3).

use pilothouse_cluster::{Cluster, ObjectRef};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::steps::{Plan, Planned, Step};
use super::workload::{self, Claims, Kind, MOST_PODS, Number, Workload};
use super::{StageContext, StageType, Stepped, check};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "scale";

/// What a `scale` stage says. One of `replicas`, `by` and `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The workload: the name of a Deployment, or `{kind, name, namespace}`.
    pub workload: Workload,
    /// Exactly so many pods. May be one `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Number>,
    /// So many more or fewer, `2` or `-1`, or a share of those that there are, `50%` or `-25%`, rounded up to whole pods. May be
    /// one `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// `maximum`: as many as the workload's HorizontalPodAutoscaler allows at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<To>,
    /// Never fewer than these, whatever `by` comes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Never more than these, whatever `by` or `to` comes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// What to do about a HorizontalPodAutoscaler of the workload, which would scale it back.
    #[serde(default)]
    pub autoscaler: Autoscaler,
    /// Allows to take pods from a StatefulSet that deletes their claims with them: what is in those does not come back.
    #[serde(default)]
    pub allow_data_loss: bool,
}

/// More or fewer pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum By {
    /// So many.
    Pods(i64),
    /// A share such as `50%`, or an expression.
    Text(String),
}

/// What to scale to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum To {
    /// The `maxReplicas` of its HorizontalPodAutoscaler.
    Maximum,
}

/// What to do about a HorizontalPodAutoscaler of the workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Autoscaler {
    /// Refuse to scale what it scales. `to: maximum` and a scaling to 0, in which it rests, are never refused.
    #[default]
    Refuse,
    /// Set its `minReplicas` to the new number, and its `maxReplicas` to no less: it may add pods, and takes none away.
    Adjust,
}

/// A change of the number of pods, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Pods(i64),
    Percent(i64),
}

impl By {
    fn change(&self) -> Result<Change, String> {
        let text = match self {
            Self::Pods(count) => return Ok(Change::Pods(*count)),
            Self::Text(text) => text.trim(),
        };
        let number = |text: &str| text.strip_prefix('+').unwrap_or(text).parse::<i64>().ok();
        let change = match text.strip_suffix('%') {
            Some(share) => number(share).filter(|percent| *percent >= -100).map(Change::Percent),
            None => number(text).map(Change::Pods),
        };
        let most = i64::from(MOST_PODS);
        change
            .filter(|change| matches!(change, Change::Pods(n) | Change::Percent(n) if n.abs() <= most))
            .ok_or_else(|| {
                format!("`{text}` is no change of a number of pods: write `2`, `-1`, `50%` or `-25%`")
            })
    }
}

impl Change {
    /// What `now` pods become; shares are rounded up. Below 0 when more are taken away than there are.
    fn of(self, now: u32) -> i64 {
        let now = i64::from(now);
        match self {
            Self::Pods(count) => now + count,
            Self::Percent(percent) => -((-now * (100 + percent)).div_euclid(100)),
        }
    }
}

/// Sets the number of a workload's pods.
#[derive(Debug, Clone, Copy)]
pub struct Scale;

impl StageType for Scale {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Sets how many pods a workload has, and waits until they run.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T44, T3"
    }

    fn undone(&self) -> &'static str {
        "Puts back the number of pods, and the bounds of its autoscaler."
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
    problems.extend(parsed.workload.problems(
        &[Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet],
        |kind| match kind {
            Kind::DaemonSet => "a DaemonSet has a pod on each of its nodes: change its `nodeSelector`",
            _ => "a job has no number of pods to change: use `stop` and `start` to suspend it",
        },
    ));
    let said = [parsed.replicas.is_some(), parsed.by.is_some(), parsed.to.is_some()];
    if said.iter().filter(|said| **said).count() != 1 {
        let message = "there must be exactly one of `replicas`, `by` and `to`";
        problems.push(Problem::new("", message).with_hint("write `replicas: 5`, `by: 50%` or `to: maximum`"));
    }
    problems.extend(parsed.replicas.as_ref().and_then(|number| number.problem("replicas")));
    if let Some(by) = &parsed.by
        && !matches!(by, By::Text(text) if check::has_expression(text))
    {
        problems.extend(by.change().err().map(|message| Problem::new("by", message)));
    }
    for (path, bound) in [("min", parsed.min), ("max", parsed.max)] {
        if let Some(bound) = bound.filter(|bound| *bound > MOST_PODS) {
            let message = format!("{bound} is no number of pods: write 0 to {MOST_PODS}");
            problems.push(Problem::new(path, message));
        }
    }
    if let (Some(min), Some(max)) = (parsed.min, parsed.max)
        && min > max
    {
        problems.push(Problem::new("min", format!("{min} is more than `max`, which is {max}")));
    }
    problems
}

/// A HorizontalPodAutoscaler of the workload.
pub(super) struct Scaler {
    pub(super) object: ObjectRef,
    pub(super) min: u32,
    max: u32,
    /// As it is.
    pub(super) live: Value,
}

impl Scaler {
    /// The same for another workload, under its name.
    pub(super) fn of_another(&self, workload: &ObjectRef) -> Value {
        let mut spec = self.live["spec"].clone();
        spec["scaleTargetRef"] =
            json!({ "apiVersion": workload.api_version, "kind": workload.kind, "name": workload.name });
        json!({
            "apiVersion": self.object.api_version, "kind": self.object.kind, "spec": spec,
            "metadata": {"name": workload.name, "namespace": workload.namespace},
        })
    }
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let object = options.workload.object(stage);
    let live = match workload::live(stage, &object).await? {
        Ok(live) => live,
        Err(refused) => return Ok(refused),
    };
    if let Some(owner) = controller(&live) {
        return Ok(Planned::refused(format!(
            "{object} belongs to {owner}, which would scale it back: scale that"
        )));
    }
    let scaler = scaler(&stage.cluster().await?, &object).await?;
    let now = workload::replicas(&live);
    let wanted = match wanted(&options, &object, now, scaler.as_ref()) {
        Ok(wanted) => wanted,
        Err(reason) => return Ok(Planned::refused(reason)),
    };
    let lost = workload::loses_claims(&object, &live, &[Claims::Scaled]);
    if let Some(reason) = lost.filter(|_| wanted < now && !options.allow_data_loss) {
        return Ok(Planned::refused(reason));
    }
    let rests = wanted == 0 || options.to.is_some() || options.autoscaler == Autoscaler::Adjust;
    if let Some(scaler) = scaler.as_ref().filter(|_| !rests) {
        return Ok(Planned::refused(format!(
            "{} scales {object} between {} and {} pods, and would scale it back: say `autoscaler: adjust` to set its bounds too, \
             or scale with `to: maximum`",
            scaler.object, scaler.min, scaler.max
        )));
    }
    let adjusted = scaler.filter(|_| options.autoscaler == Autoscaler::Adjust && wanted > 0);
    Ok(Planned::Steps(steps(stage, &object, (now, wanted), adjusted)))
}

fn steps(
    stage: &StageContext<'_>,
    object: &ObjectRef,
    (now, wanted): (u32, u32),
    scaler: Option<Scaler>,
) -> Plan {
    let mut steps = Vec::new();
    if wanted < now {
        steps.push(Step::guard(stage, object, wanted));
    }
    if let Some(scaler) = scaler {
        let max = scaler.max.max(wanted);
        let what = format!("{} keeps between {wanted} and {max} pods", scaler.object);
        let fields = json!({"spec": {"minReplicas": wanted, "maxReplicas": max}});
        steps.push(Step::Set { object: scaler.object, fields, what });
    }
    steps.push(Step::Scale { object: object.clone(), replicas: wanted });
    steps.push(Step::Ready { object: object.clone() });
    Plan { steps, output: json!({ "workload": object, "from": now, "to": wanted }) }
}

/// How many pods there are to be, within the bounds.
fn wanted(options: &Options, object: &ObjectRef, now: u32, scaler: Option<&Scaler>) -> Result<u32, String> {
    let asked = match (&options.replicas, &options.by, options.to) {
        (Some(exact), _, _) => return exact.pods().map_err(|message| format!("replicas: {message}")),
        (_, Some(by), _) => by.change().map_err(|message| format!("by: {message}"))?.of(now),
        (_, _, Some(To::Maximum)) => i64::from(
            scaler
                .ok_or_else(|| {
                    format!(
                        "`to: maximum` needs a HorizontalPodAutoscaler of {object}, and there is none: say `replicas` instead"
                    )
                })?
                .max,
        ),
        (None, None, None) => return Err("there is neither `replicas` nor `by` nor `to`".to_owned()),
    };
    let above = asked.max(options.min.map_or(i64::MIN, i64::from));
    let bounded = above.min(options.max.map_or(i64::MAX, i64::from));
    u32::try_from(bounded).ok().filter(|count| *count <= MOST_PODS).ok_or_else(|| {
        format!(
            "{object} has {now} pods, and this would make them {bounded}: it must be 0 to {MOST_PODS}; `min` and `max` bound it"
        )
    })
}

/// The controller that owns the object, in words.
fn controller(live: &Value) -> Option<String> {
    let owners = live["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some(format!("{} {}", owner["kind"].as_str()?, owner["name"].as_str()?))
}

/// What scales the workload by itself.
pub(super) async fn scaler(cluster: &Cluster, object: &ObjectRef) -> Result<Option<Scaler>, OperationError> {
    let all = scalers(cluster, object.namespace.as_deref().unwrap_or_default()).await?;
    Ok(scaler_of(&all, object))
}

/// Every autoscaler of a namespace.
pub(super) async fn scalers(cluster: &Cluster, namespace: &str) -> Result<Vec<Value>, OperationError> {
    const KIND: (&str, &str) = ("autoscaling/v2", "HorizontalPodAutoscaler");
    Ok(cluster.select(KIND, namespace, None).await?)
}

/// Which of these scales the workload.
pub(super) fn scaler_of(all: &[Value], object: &ObjectRef) -> Option<Scaler> {
    let group =
        |api_version: &Value| api_version.as_str().and_then(|v| v.split_once('/')).map(|(g, _)| g.to_owned());
    let found = all.iter().find(|hpa| {
        let target = &hpa["spec"]["scaleTargetRef"];
        let same = |key: &str, value: &str| target[key].as_str() == Some(value);
        same("kind", &object.kind)
            && same("name", &object.name)
            && group(&target["apiVersion"]).is_none_or(|group| group == object.group())
    });
    let count = |value: &Value, otherwise: u32| {
        value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(otherwise)
    };
    found.and_then(|hpa| {
        Some(Scaler {
            object: ObjectRef::of(hpa)?,
            min: count(&hpa["spec"]["minReplicas"], 1),
            max: count(&hpa["spec"]["maxReplicas"], 1),
            live: hpa.clone(),
        })
    })
}

#[cfg(test)]
#[path = "scale_tests.rs"]
mod tests;
