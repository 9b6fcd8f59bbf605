//! One step of a plan, carried out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilothouse_cluster::{
    ApplyOptions, Cluster, ClusterError, Endpoints, Manifest, ObjectRef, Rehearsal, Watched,
};
use pilothouse_domain::duration::Span;
use serde_json::Value;

use super::{Step, create, guard, relabel, routed};
use crate::OperationError;
use crate::stages::{Observed, StageContext, StageEnd, rollout};

/// How a step stands.
pub(super) enum Outcome {
    /// Done: in words.
    Done(String),
    /// Not yet.
    Pending {
        /// How it stands.
        said: String,
        /// What it waits for, as far as the cluster shows it.
        evidence: Option<Box<Value>>,
    },
    /// It failed, and the stage with it.
    Ended(StageEnd),
}

impl Outcome {
    pub(super) fn pending(said: impl Into<String>) -> Self {
        Self::Pending { said: said.into(), evidence: None }
    }

    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::Ended(StageEnd::failed(reason))
    }
}

/// Carries out a step that has been under way since `since`, for up to `within`. What the cluster refuses for good ends the
/// stage; what may pass is an error to be tried again.
pub(super) async fn carry_out(
    stage: &StageContext<'_>,
    step: &Step,
    since: Timestamp,
    within: Span,
) -> Result<Outcome, OperationError> {
    match act(stage, step, since, within).await {
        Err(OperationError::Cluster(error)) if !error.is_retryable() => {
            Ok(Outcome::Ended(rollout::refused(&[error])))
        }
        other => other,
    }
}

/// What a step would come to: those that change something are rehearsed, the traffic guard counts, and the others have nothing
/// to wait for. `Err` says why the stage would fail there.
pub(crate) async fn rehearse(
    stage: &StageContext<'_>,
    step: &Step,
) -> Result<Result<Option<String>, String>, OperationError> {
    let guards = matches!(step, Step::Guard { .. });
    if step.touches().is_none() && !guards {
        return Ok(Ok(None));
    }
    Ok(match carry_out(stage, step, stage.context.now(), Span::from_millis(0)).await? {
        Outcome::Done(said) => Ok(guards.then_some(said)),
        Outcome::Pending { .. } => Ok(None),
        Outcome::Ended(end) => Err(end.status.explanation().unwrap_or_default()),
    })
}

async fn act(
    stage: &StageContext<'_>,
    step: &Step,
    since: Timestamp,
    within: Span,
) -> Result<Outcome, OperationError> {
    let cluster = stage.cluster().await?;
    if step.touches().is_some() && stage.rehearsal.is_none() {
        // Just before the change, as for every other (invariant 6).
        stage.context.check_fence(stage.attempt).await?;
    }
    match step {
        Step::Guard { namespace, services, leaving, least, gone } => {
            guard::check(&cluster, namespace, (services, gone), leaving, *least).await
        }
        Step::Apply { content, force } => apply(stage, &cluster, content, *force).await,
        Step::Set { object, fields, what } => {
            cluster.set_fields(object, &options(stage, true), fields).await?;
            Ok(Outcome::Done(what.clone()))
        }
        Step::Template { object, template, what } => {
            cluster.set_template(object, template, &options(stage, true)).await?;
            Ok(Outcome::Done(what.clone()))
        }
        Step::Scale { object, replicas } => {
            cluster.scale(object, *replicas, &options(stage, true)).await?;
            Ok(Outcome::Done(format!("{object} scaled to {replicas}")))
        }
        Step::Traffic(step) => step.carry_out(&cluster, &options(stage, true)).await,
        Step::Ready { object } => ready(stage, &cluster, object, within).await,
        Step::Emptied { object } => Ok(match cluster.running_pods(object, within.as_duration()).await? {
            0 => Outcome::Done(format!("{object} has no pod that runs")),
            left => Outcome::pending(format!("{left} still run")),
        }),
        Step::Serving { namespace, service, labels, least } => {
            serving(&cluster, (namespace, service), labels, *least, within).await
        }
        Step::Create { content } => create::create(stage, &cluster, content).await,
        Step::Relabel { object, labels, carry } => {
            relabel::relabel(stage, &cluster, (object, labels), *carry, within).await
        }
        Step::Routed { object, service, least } => {
            routed::routed(&cluster, object, service, *least, within).await
        }
        Step::Unrouted { object, service } => routed::unrouted(&cluster, object, service, within).await,
        Step::Hold { seconds, what } => Ok(hold(stage, *seconds, what, since, within).await),
        Step::Delete { object, options } => {
            let uid = cluster.delete(object, options).await?;
            match cluster
                .gone(object, uid.as_deref().or(options.uid.as_deref()), within.as_duration())
                .await?
            {
                true => Ok(Outcome::Done(format!("{object} deleted"))),
                false => Ok(Outcome::pending("it is being deleted")),
            }
        }
    }
}

pub(super) fn options(stage: &StageContext<'_>, force: bool) -> ApplyOptions {
    ApplyOptions { dry_run: false, force, marks: rollout::marks(stage) }
}

async fn apply(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    content: &Value,
    force: bool,
) -> Result<Outcome, OperationError> {
    let object = ObjectRef::of(content)
        .ok_or_else(|| OperationError::Inconsistent("a step of the plan applies no object".to_owned()))?;
    let manifest = Manifest { object: object.clone(), content: content.clone(), document: 0, line: 0 };
    cluster.apply(std::slice::from_ref(&manifest), &options(stage, force)).await?;
    Ok(Outcome::Done(format!("{object} applied")))
}

/// What the server says against the objects that these steps apply, as things are.
pub(super) async fn refusals(
    stage: &StageContext<'_>,
    steps: &[Step],
) -> Result<Vec<ClusterError>, OperationError> {
    let cluster = stage.cluster().await?.rehearsing(&Rehearsal::default());
    let mut refusals = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let Step::Apply { content, force } = step else { continue };
        if step.builds_on(&steps[..index]) {
            continue;
        }
        match apply(stage, &cluster, content, *force).await {
            Ok(_) => {}
            Err(OperationError::Cluster(error)) if !error.is_retryable() => refusals.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(refusals)
}

/// Watches the workload from the state of its specification that is there now.
async fn ready(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    object: &ObjectRef,
    within: Span,
) -> Result<Outcome, OperationError> {
    let live = cluster.get(object).await?;
    let generation = live.as_ref().and_then(|live| live["metadata"]["generation"].as_i64()).unwrap_or(0);
    let watched = Watched { object: object.clone(), generation };
    let rollout = rollout::watch(stage, std::slice::from_ref(&watched), within).await?;
    let summary = rollout.summary();
    Ok(match rollout::observed(rollout, || Value::Null) {
        Observed::Ended(end) if end.status.reason().is_none() => Outcome::Done(summary),
        Observed::Ended(end) => Outcome::Ended(end),
        Observed::Pending { progress, evidence } => Outcome::Pending { said: progress, evidence },
        Observed::Moved { progress, .. } => Outcome::pending(progress),
    })
}

/// Waits until the Service's ready endpoints are enough, and all of them such pods: old pods go only after the route shows
/// the new ones (X8). Enough are those that are ready, or `least` of them; at least one, if any was asked for.
async fn serving(
    cluster: &Cluster,
    (namespace, service): (&str, &str),
    labels: &BTreeMap<String, String>,
    least: u32,
    within: Span,
) -> Result<Outcome, OperationError> {
    let pods = cluster.labelled_pods(namespace, labels).await?;
    let ours = |name: &String| pods.ready.contains(name) || pods.not_ready.contains(name);
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    let wanted = least.min(pods.ready.len().max(1));
    let enough = |seen: &Endpoints| {
        seen.ready.iter().filter(|name| ours(name)).count() >= wanted && seen.ready.iter().all(ours)
    };
    let seen = cluster.endpoints_until(namespace, service, within.as_duration(), enough).await?;
    let new = seen.ready.iter().filter(|name| ours(name)).count();
    let old = seen.ready.len() - new;
    let told = format!("Service {namespace}/{service} has {new} new and {old} old endpoints ready");
    Ok(if enough(&seen) { Outcome::Done(told) } else { Outcome::pending(told) })
}

async fn hold(stage: &StageContext<'_>, seconds: u64, what: &str, since: Timestamp, within: Span) -> Outcome {
    let until = Span::from_secs(seconds).after(since);
    let left = until.duration_since(stage.context.now());
    if left.is_positive() {
        let wait = left.unsigned_abs().min(within.as_duration());
        tokio::time::sleep(wait).await;
    }
    let left = until.duration_since(stage.context.now());
    match left.is_positive() {
        true => Outcome::pending(format!("until {until}")),
        false => Outcome::Done(format!("{seconds} s: {what}")),
    }
}

/// What a cluster's refusal to be read means here: nothing may be taken away unseen.
pub(super) fn cannot_count(error: &ClusterError) -> Outcome {
    Outcome::failed(uncounted(error))
}

/// As [`cannot_count`], in words.
pub(crate) fn uncounted(error: &ClusterError) -> String {
    format!("the traffic guard cannot count endpoints: {error}")
}
