//! What runs for a stage: read from its cluster while it runs, and kept when it ends (H9-H12, X10).

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use pilothouse_cluster::{Cluster, ObjectRef, ReportOptions};
use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::evidence::{StageEvidence, WorkloadReport};
use pilothouse_domain::stage::{StageRun, stages_of};
use pilothouse_store::Transaction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stages::{StageContext, StageType};
use crate::{Context, OperationError};

/// The most workloads of one stage that are read.
const WORKLOADS: usize = 10;
/// The most pods and events of a workload that are kept.
const KEPT: (usize, usize) = (50, 30);
/// How many workloads are read at once.
const AT_ONCE: usize = 4;
/// How long the end of a stage waits for one workload: what cannot be read keeps no stage from ending.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long somebody who looks waits for one workload.
const LOOK: Duration = Duration::from_secs(10);

/// What runs for a stage, or what ran when it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageWorkloads {
    /// The environment.
    pub environment: String,
    /// The attempt.
    pub attempt: u32,
    /// The stage.
    pub stage: String,
    /// Whether the stage runs, and the cluster was asked just now; otherwise it is what was seen when it ended.
    pub live: bool,
    /// When the cluster was asked; absent when nothing was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// The workloads that the stage changed, in its order.
    pub workloads: Vec<WorkloadReport>,
    /// What could not be read, or was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Reads what runs for a stage now, or what was kept when it ended.
///
/// # Errors
/// [`OperationError::NotFound`] when there is no such stage, or it has not begun; the table's and the cluster account's. What
/// the cluster does not tell is a note.
pub async fn stage_workloads(
    context: &Context,
    at: &AttemptRef,
    stage: &str,
) -> Result<StageWorkloads, OperationError> {
    let attempt = context.attempt(at).await?.record;
    let release = context.release(&at.release).await?.record.seen_by(&attempt);
    let specs = stages_of(&release, &attempt);
    let spec = specs.iter().find(|spec| spec.name == stage);
    let run = context.store.stage_run(at, stage).await?;
    let (Some(spec), Some(run)) = (spec, run) else {
        let names: Vec<String> = specs.iter().map(|spec| format!("`{}`", spec.name)).collect();
        return Err(OperationError::NotFound {
            what: format!("a run of stage `{stage}` in attempt {} of `{}`", at.number, at.environment),
            hint: match spec {
                Some(_) => "it has not begun yet".to_owned(),
                None => format!("its stages are {}", names.join(", ")),
            },
        });
    };
    let run = run.record;
    if run.status.is_terminal() {
        let kept_at = AttemptRef { number: run.carried_from.unwrap_or(at.number), ..at.clone() };
        let kept = context.store.stage_evidence(&kept_at, stage).await?;
        let changed = !run.touched.is_empty();
        return Ok(StageWorkloads::new(at, stage, false, kept.ok_or(changed)));
    }
    let environment = release.environment(&at.environment).ok_or_else(|| {
        OperationError::Inconsistent(format!("the release has no environment `{}`", at.environment))
    })?;
    let running = StageContext {
        context,
        release: &release,
        attempt: &attempt,
        environment,
        spec,
        run: &run,
        rehearsal: None,
        foreseen: &[],
    };
    let objects = workloads_of(&run, &environment.namespace);
    let evidence = match objects.is_empty() {
        true => nothing_yet(&running),
        false => read(&running, &running.cluster().await?, &objects, LOOK).await,
    };
    Ok(StageWorkloads::new(at, stage, true, Ok(evidence)))
}

impl StageWorkloads {
    /// Without evidence: whether the stage changed anything.
    fn new(at: &AttemptRef, stage: &str, live: bool, evidence: Result<StageEvidence, bool>) -> Self {
        let (seen_at, workloads, notes) = match evidence {
            Ok(evidence) => (Some(evidence.seen_at), evidence.workloads, evidence.notes),
            Err(true) => (None, Vec::new(), vec!["what it changed is no workload".to_owned()]),
            Err(false) => (None, Vec::new(), vec!["nothing was kept: it changed no workload".to_owned()]),
        };
        Self {
            environment: at.environment.clone(),
            attempt: at.number,
            stage: stage.to_owned(),
            live,
            seen_at,
            workloads,
            notes,
        }
    }
}

/// Keeps what runs for a stage that is about to end. Never an error, and soon over: the end must not wait for it.
pub(crate) async fn keep_evidence(stage: &StageContext<'_>) {
    keep(stage, workloads_of(stage.run, &stage.environment.namespace)).await;
}

/// The same for one that fails as it begins: it has told of nothing yet but what it was about to change.
pub(crate) async fn keep_evidence_of_begin(stage: &StageContext<'_>, kind: &dyn StageType) {
    let mut objects = workloads_of(stage.run, &stage.environment.namespace);
    if objects.is_empty() && stage.run.has_snapshot {
        let targets = tokio::time::timeout(PATIENCE, kind.targets(stage)).await;
        let targets = targets.ok().and_then(Result::ok).unwrap_or_default();
        objects.extend(targets.into_iter().filter(ObjectRef::is_workload));
    }
    keep(stage, objects).await;
}

async fn keep(stage: &StageContext<'_>, objects: Vec<ObjectRef>) {
    if objects.is_empty() {
        return;
    }
    let Ok(cluster) = stage.cluster().await else { return };
    let mut evidence = read(stage, &cluster, &objects, PATIENCE).await;
    let (instances, events) = KEPT;
    evidence.workloads = evidence.workloads.into_iter().map(|w| w.cut(instances, events)).collect();
    let kept = stage.context.store.commit(Transaction::new().put_evidence(&evidence)).await;
    if let Err(error) = kept {
        tracing::warn!(stage = stage.run.stage, error = %error, "what ran for the stage could not be kept");
    }
}

fn nothing_yet(stage: &StageContext<'_>) -> StageEvidence {
    StageEvidence {
        at: stage.run.at.clone(),
        stage: stage.run.stage.clone(),
        seen_at: stage.context.now(),
        workloads: Vec::new(),
        notes: vec!["it has changed no workload yet".to_owned()],
    }
}

/// Reads the workloads, each for at most `patience`.
async fn read(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    objects: &[ObjectRef],
    patience: Duration,
) -> StageEvidence {
    let options = ReportOptions::default();
    let one = |object: ObjectRef| {
        let options = &options;
        async move {
            match tokio::time::timeout(patience, cluster.report(&object, options)).await {
                Ok(Ok(Some(report))) => Ok(report),
                Ok(Ok(None)) => Err(format!("{object} does not exist")),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => {
                    Err(format!("{object}: the cluster gave no answer within {} s", patience.as_secs()))
                }
            }
        }
    };
    let read = objects.iter().take(WORKLOADS).cloned().map(one);
    let found: Vec<_> = futures::stream::iter(read).buffered(AT_ONCE).collect().await;
    let mut evidence = StageEvidence { notes: Vec::new(), ..nothing_yet(stage) };
    for report in found {
        match report {
            Ok(report) => evidence.workloads.push(report),
            Err(note) => evidence.notes.push(note),
        }
    }
    if objects.len() > WORKLOADS {
        evidence.notes.push(format!("{} more workloads", objects.len() - WORKLOADS));
    }
    evidence
}

/// The workloads that a stage's plan and action tell of, whatever its type: each reference to an object, and each object that it
/// applies.
fn workloads_of(run: &StageRun, namespace: &str) -> Vec<ObjectRef> {
    let mut found = Vec::new();
    collect(&run.plan, namespace, &mut found);
    collect(&run.action, namespace, &mut found);
    collect(&run.output, namespace, &mut found);
    found
}

fn collect(value: &Value, namespace: &str, found: &mut Vec<ObjectRef>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, namespace, found)),
        Value::Object(fields) => match reference(value, namespace) {
            Some(object) if object.is_workload() => {
                if !found.contains(&object) {
                    found.push(object);
                }
            }
            Some(_) => {}
            None => fields.values().for_each(|field| collect(field, namespace, found)),
        },
        _ => {}
    }
}

/// `{apiVersion, kind, namespace, name}`, or an object with its metadata.
fn reference(value: &Value, namespace: &str) -> Option<ObjectRef> {
    let text = |key: &str| value[key].as_str().or_else(|| value["metadata"][key].as_str());
    Some(ObjectRef::namespaced(
        value["apiVersion"].as_str()?,
        value["kind"].as_str()?,
        text("namespace").unwrap_or(namespace),
        text("name")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn workloads_are_found_in_whatever_a_stage_left() {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "prod", "name": "web"});
        let action = json!({
            "objects": [{"object": web, "generation": 3}, {"object": {"apiVersion": "v1", "kind": "Service", "name": "web"}}],
            "plan": {"steps": [
                {"do": "scale", "object": web, "replicas": 2},
                {"do": "apply", "content": {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {}}},
            ]},
        });
        let mut found = Vec::new();
        collect(&action, "dev", &mut found);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["Deployment prod/web", "Job dev/migrate"]);
    }
}
