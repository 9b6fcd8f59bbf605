//! `run-job`: runs a Job to its end, once for each attempt, and keeps what it wrote.

mod options;

use jiff::Timestamp;
use pilothouse_cluster::{ApplyOptions, Cluster, ClusterError, DeleteOptions, ObjectRef, Rollout, Watched};
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageTypeInfo;
use pilothouse_domain::stage::StageStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use options::{KeepLogs, Options};

use super::deploy_manifest::DeployManifest;
use super::{Begun, Observed, StageContext, StageEnd, StageType, Stepped, rollout};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "run-job";

/// What is known of a Job that was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    job: Watched,
    images: Vec<String>,
    /// How it ended, once it has. Stored before the Job may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

/// How a Job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    /// Why it failed, with what proves it; `None` when it succeeded.
    failure: Option<(String, Option<Box<Value>>)>,
    /// Whether the Job itself is at its end: one that cannot start its pods would go on trying.
    finished: bool,
    /// What later stages read.
    output: Value,
}

/// Runs a Job.
#[derive(Debug, Clone, Copy)]
pub struct RunJob;

impl StageType for RunJob {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Runs a Job to its end, once for each attempt, and keeps the last lines that it wrote.",
            schema: schemars::schema_for!(Options),
            validate: options::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T53, X10"
    }

    fn undone(&self) -> &'static str {
        "Deletes the Job; what it did outside of the cluster stays done."
    }

    fn timeout(&self, _: &Value) -> Span {
        Span::from_secs(3600)
    }

    fn verbatim(&self, options: &Map<String, Value>) -> &'static [&'static str] {
        options::verbatim(options)
    }

    fn lacks(&self, options: &Map<String, Value>, artifacts: &[Artifact]) -> Option<String> {
        DeployManifest.lacks(options, artifacts)
    }

    fn targets<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Vec<ObjectRef>> {
        Box::pin(async move { Ok(vec![options::prepare(stage, &stage.options()?)?.manifest.object]) })
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(begin(stage))
    }

    fn observe<'a>(&'a self, stage: &'a StageContext<'a>, within: Span) -> Stepped<'a, Observed> {
        Box::pin(observe(stage, within))
    }

    fn cancel<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Option<String>> {
        Box::pin(cancel(stage))
    }
}

async fn begin(stage: &StageContext<'_>) -> Result<Begun, OperationError> {
    let job = options::prepare(stage, &stage.options()?)?;
    let apply = ApplyOptions { dry_run: false, force: false, marks: rollout::marks(stage) };
    let applied = match stage.cluster().await?.apply(std::slice::from_ref(&job.manifest), &apply).await {
        Ok(applied) => applied,
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => return Ok(Begun::Ended(rollout::refused(&[error]))),
    };
    let Some(applied) = applied.into_iter().next() else {
        return Err(OperationError::Inconsistent("the Job was applied, and nothing came of it".to_owned()));
    };
    let progress = format!("{} started", applied.object);
    let job_watched = Watched { object: applied.object, generation: applied.generation };
    let action = Action { job: job_watched, images: job.images, end: None };
    Ok(Begun::Observe { action: written(&action)?, progress })
}

fn written(action: &Action) -> Result<Value, OperationError> {
    serde_json::to_value(action)
        .map_err(|e| OperationError::Inconsistent(format!("the action cannot be written: {e}")))
}

async fn observe(stage: &StageContext<'_>, within: Span) -> Result<Observed, OperationError> {
    let action: Action = stage.action()?;
    if let Some(end) = action.end {
        return clean_up(stage, &action.job.object, end).await.map(Observed::Ended);
    }
    let failure = match rollout::watch(stage, std::slice::from_ref(&action.job), within).await? {
        Rollout::Progressing { summary, waiting } => {
            let evidence = waiting.and_then(|w| serde_json::to_value(w).ok()).map(Box::new);
            return Ok(Observed::Pending { progress: summary, evidence });
        }
        Rollout::Ready { .. } => None,
        Rollout::Failed { reason, evidence } => match rollout::failed(reason, &evidence).status {
            StageStatus::Failed { reason, evidence } => Some((reason, evidence)),
            other => Some((other.name().to_owned(), None)),
        },
    };
    let end = ended(stage, &action, failure).await?;
    let progress = match &end.failure {
        None => format!("{} has succeeded", action.job.object),
        Some(_) => format!("{} has failed", action.job.object),
    };
    Ok(Observed::Moved { action: written(&Action { end: Some(end), ..action })?, progress })
}

/// All that there is to know of a Job that ended, read while it is there.
async fn ended(
    stage: &StageContext<'_>,
    action: &Action,
    failure: Option<(String, Option<Box<Value>>)>,
) -> Result<End, OperationError> {
    let cluster = stage.cluster().await?;
    let object = &action.job.object;
    let live = cluster.get(object).await?.unwrap_or_default();
    let lines = stage.options::<Options>()?.lines(failure.is_none());
    let log = match lines.filter(|_| stage.environment.capture_logs) {
        Some(lines) => cluster.job_log(object, lines).await,
        None => None,
    };
    let time = |key: &str| live["status"][key].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let outcome = if failure.is_none() { "succeeded" } else { "failed" };
    let mut output = json!({
        "job": object, "images": action.images, "outcome": outcome,
        "startedAt": time("startTime"), "endedAt": time("completionTime"),
    });
    if let Some(log) = log {
        output["logs"] = json!(log.lines.join("\n"));
        output["logsOf"] = json!({ "pod": log.pod, "container": log.container });
        if let Some(note) = log.note {
            output["logsNote"] = json!(note);
        }
    }
    let finished = has_ended(&live);
    Ok(End { failure, finished, output })
}

fn has_ended(live: &Value) -> bool {
    let conditions = live["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        condition["status"] == "True"
            && matches!(
                condition["type"].as_str(),
                Some("Complete" | "Failed" | "FailureTarget" | "SuccessCriteriaMet")
            )
    })
}

/// Sees to it that the Job goes, at once or after its time; its end is stored by now.
async fn clean_up(stage: &StageContext<'_>, job: &ObjectRef, end: End) -> Result<StageEnd, OperationError> {
    let ttl = options::prepare(stage, &stage.options()?)?.ttl;
    let cluster = stage.cluster().await?;
    stage.context.check_fence(stage.attempt).await?;
    let gone = match (end.finished, ttl.as_millis()) {
        (false, _) | (_, 0) => cluster.delete(job, &DeleteOptions::default()).await.map(|uid| match uid {
            Some(_) => "it was deleted".to_owned(),
            None => "it is gone".to_owned(),
        }),
        _ => expire(stage, &cluster, job, ttl).await,
    };
    let gone = match gone {
        Ok(gone) => gone,
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => format!("it stays: {error}"),
    };
    let mut output = end.output;
    output["cleanUp"] = json!(gone);
    let status = match end.failure {
        None => StageStatus::Succeeded,
        Some((reason, evidence)) => {
            let reason = if end.finished { reason } else { format!("{reason}; {job}: {gone}") };
            StageStatus::Failed { reason, evidence }
        }
    };
    Ok(StageEnd { status, output })
}

async fn expire(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    job: &ObjectRef,
    ttl: Span,
) -> Result<String, ClusterError> {
    let seconds = ttl.as_millis() / 1000;
    let apply = ApplyOptions { dry_run: false, force: true, marks: rollout::marks(stage) };
    let fields = json!({"spec": {"ttlSecondsAfterFinished": seconds}});
    match cluster.set_fields(job, &apply, &fields).await {
        Ok(_) => Ok(format!("the cluster deletes it {ttl} after its end")),
        Err(ClusterError::NotFound { .. }) => Ok("it is gone".to_owned()),
        Err(error) => Err(error),
    }
}

/// The Job is deleted, and its pods with it: nobody would look at what comes of them.
async fn cancel(stage: &StageContext<'_>) -> Result<Option<String>, OperationError> {
    if !stage.run.has_snapshot {
        return Ok(None);
    }
    // It may have been started, whether or not that is recorded; its name is the same at each call.
    let job = options::prepare(stage, &stage.options()?)?.manifest.object;
    let seen = stage.run.progress.as_deref().map(|seen| format!("; last seen: {seen}")).unwrap_or_default();
    Ok(Some(match stage.cluster().await?.delete(&job, &DeleteOptions::default()).await? {
        Some(_) => format!("{job} was deleted, and its pods are being ended{seen}"),
        None => format!("there was no {job} to be deleted{seen}"),
    }))
}
