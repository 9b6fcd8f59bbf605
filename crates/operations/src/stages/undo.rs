//! `undo`: takes back what a stage of another attempt changed, and reads it back (V1, X4). Not written in pipelines: the
//! stages of a rollback are of this type.

use futures::{StreamExt, TryStreamExt};
use pilothouse_cluster::{
    Difference, ObjectRef, RestoreOptions, RestoreOutcome, Restored, Rollout, Snapshot, Watched,
};
use pilothouse_domain::attempt::{AttemptKind, AttemptRef, UndoStep};
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageTypeInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rollout;
use super::{Begun, Observed, StageContext, StageEnd, StageType, Stepped};
use crate::OperationError;

/// The name of the type.
pub const NAME: &str = pilothouse_domain::stage::UNDO;

/// What an `undo` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The stage whose changes are taken back.
    pub stage: String,
    /// The attempt it ran in; the one that the rollback undoes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// What became of each object of the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Action {
    restored: Vec<Restored>,
}

/// How many snapshots are read at once.
const READ_AT_ONCE: usize = 8;

/// Restores the snapshot that a stage stored before it changed anything.
#[derive(Debug, Clone, Copy)]
pub struct Undo;

impl StageType for Undo {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Takes back what a stage of another attempt changed.",
            schema: schemars::schema_for!(Options),
            validate: |_, _| Vec::new(),
        }
    }

    fn features(&self) -> &'static str {
        "H6, X4"
    }

    fn undone(&self) -> &'static str {
        "Nothing: a rollback is not rolled back."
    }

    fn timeout(&self, _: &Value) -> Span {
        Span::from_secs(900)
    }

    fn verbatim(&self, _: &Map<String, Value>) -> &'static [&'static str] {
        &["stage"]
    }

    /// What it is about to change back: the record of the rollback says what it found (invariant 9).
    fn targets<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Vec<ObjectRef>> {
        Box::pin(async { Ok(to_restore(stage).await?.taken.into_iter().map(|taken| taken.object).collect()) })
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(begin(stage))
    }

    fn observe<'a>(&'a self, stage: &'a StageContext<'a>, within: Span) -> Stepped<'a, Observed> {
        Box::pin(observe(stage, within))
    }

    fn cancel<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Option<String>> {
        Box::pin(left(stage))
    }
}

async fn begin(stage: &StageContext<'_>) -> Result<Begun, OperationError> {
    let snapshot = to_restore(stage).await?;
    let restored = stage.cluster().await?.restore(&snapshot, &RestoreOptions::default()).await?;
    let progress = format!("{} of {} objects changed back", changed(&restored), restored.len());
    let action = serde_json::to_value(Action { restored })
        .map_err(|e| OperationError::Inconsistent(format!("the action cannot be written: {e}")))?;
    Ok(Begun::Observe { action, progress })
}

async fn observe(stage: &StageContext<'_>, within: Span) -> Result<Observed, OperationError> {
    let Action { restored } = stage.action()?;
    let rollout = rollout::watch(stage, &workloads(&restored), within).await?;
    if !matches!(rollout, Rollout::Ready { .. }) {
        return Ok(rollout::observed(rollout, || Value::Null));
    }
    let mut snapshot = snapshot(stage, &Step::of(stage)?).await?;
    snapshot.taken.retain(|taken| restored.iter().any(|r| r.object == taken.object));
    let differences = stage.cluster().await?.verify(&snapshot).await?;
    Ok(Observed::Ended(verdict(&restored, &differences)))
}

/// What a rollback that is cancelled leaves in the cluster.
async fn left(stage: &StageContext<'_>) -> Result<Option<String>, OperationError> {
    if stage.run.action.is_null() {
        return Ok(Some("nothing was recorded as changed back".to_owned()));
    }
    let Action { restored } = stage.action()?;
    Ok(Some(format!("{}; {}", told(&restored), rollout::left(stage, &workloads(&restored)).await)))
}

/// What was changed back and what was not, by name.
fn told(restored: &[Restored]) -> String {
    let (done, not): (Vec<_>, Vec<_>) =
        restored.iter().partition(|r| !matches!(r.outcome, RestoreOutcome::Conflict { .. }));
    let names = |all: &[&Restored]| shorten(&all.iter().map(|r| r.object.to_string()).collect::<Vec<_>>());
    match (done.as_slice(), not.as_slice()) {
        ([], []) => "there was nothing to change back".to_owned(),
        (done, []) => format!("changed back: {}", names(done)),
        ([], not) => format!("not changed back: {}", names(not)),
        (done, not) => format!("changed back: {}; not: {}", names(done), names(not)),
    }
}

/// One step of a rollback: a stage, and the attempt that it changed something in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    at: AttemptRef,
    stage: String,
}

impl Step {
    fn of(stage: &StageContext<'_>) -> Result<Self, OperationError> {
        let Options { stage: name, attempt } = stage.options()?;
        let AttemptKind::Rollback { undoes, .. } = &stage.attempt.kind else {
            return Err(OperationError::Inconsistent(format!(
                "stage `{}` undoes, but its attempt is no rollback",
                stage.run.stage
            )));
        };
        Ok(Self::new(undoes, &UndoStep { stage: name, attempt, cluster: None }))
    }

    fn new(undoes: &AttemptRef, step: &UndoStep) -> Self {
        let number = step.attempt.unwrap_or(undoes.number);
        Self { at: AttemptRef { number, ..undoes.clone() }, stage: step.stage.clone() }
    }
}

/// What is restored by this step: the objects of its snapshot that no later step restores too. Those go back to what they
/// were before the first change at once, and not by way of a state that may never have worked.
async fn to_restore(stage: &StageContext<'_>) -> Result<Snapshot, OperationError> {
    let step = Step::of(stage)?;
    let mut own = snapshot(stage, &step).await?;
    let AttemptKind::Rollback { undoes, stages, .. } = &stage.attempt.kind else { return Ok(own) };
    // An object of that name in another cluster is another object.
    let here = |s: &&UndoStep| s.cluster == stage.run.cluster;
    let steps: Vec<Step> = stages.iter().filter(here).map(|s| Step::new(undoes, s)).collect();
    let steps = steps.into_iter().skip_while(|s| *s != step).skip(1);
    let later: Vec<Snapshot> = futures::stream::iter(steps)
        .map(|later| async move { snapshot(stage, &later).await })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await?;
    own.taken.retain(|taken| !later.iter().flat_map(|s| &s.taken).any(|other| other.object == taken.object));
    Ok(own)
}

/// What a stage stored before it changed anything.
async fn snapshot(stage: &StageContext<'_>, step: &Step) -> Result<Snapshot, OperationError> {
    let record = stage.context.store.snapshot(&step.at, &step.stage).await?;
    let record = record.ok_or_else(|| missing(step, "is gone"))?;
    serde_json::from_value(record.content).map_err(|e| missing(step, &format!("cannot be read: {e}")))
}

fn missing(step: &Step, what: &str) -> OperationError {
    let Step { at, stage } = step;
    OperationError::Inconsistent(format!(
        "the snapshot of stage `{stage}` of attempt {} {what}; nothing was changed",
        at.number
    ))
}

fn changed(restored: &[Restored]) -> usize {
    let changes = |r: &&Restored| matches!(r.outcome, RestoreOutcome::Restored | RestoreOutcome::Deleted);
    restored.iter().filter(changes).count()
}

/// The objects that must run again: those that are there now, whether or not they had to be changed.
fn workloads(restored: &[Restored]) -> Vec<Watched> {
    let there = |r: &&Restored| {
        r.generation > 0 && matches!(r.outcome, RestoreOutcome::Restored | RestoreOutcome::Unchanged)
    };
    restored
        .iter()
        .filter(there)
        .map(|r| Watched { object: r.object.clone(), generation: r.generation })
        .collect()
}

/// How it ended, once everything that was restored runs.
fn verdict(restored: &[Restored], differences: &[Difference]) -> StageEnd {
    let output = json!({ "objects": restored });
    let conflicts: Vec<String> = restored.iter().filter_map(conflict).collect();
    if conflicts.is_empty() && differences.is_empty() {
        return StageEnd::succeeded(output);
    }
    // What was left alone differs, and has said why.
    let left_alone = |d: &&Difference| restored.iter().any(|r| r.object == d.object && conflict(r).is_some());
    let others = differences.iter().filter(|d| !left_alone(d)).map(describe);
    let all: Vec<String> = conflicts.into_iter().chain(others).collect();
    let evidence = json!({ "objects": restored, "differences": differences });
    StageEnd {
        output,
        ..StageEnd::failed_with(format!("not everything is as it was: {}", shorten(&all)), evidence)
    }
}

fn conflict(restored: &Restored) -> Option<String> {
    match &restored.outcome {
        RestoreOutcome::Conflict { reason } => Some(format!("{}: {reason}", restored.object)),
        _ => None,
    }
}

fn describe(difference: &Difference) -> String {
    let shown = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => value.to_string().chars().take(80).collect(),
    };
    let Difference { object, path, want, got } = difference;
    let place = if path.is_empty() { String::new() } else { format!(" {path}") };
    format!("{object}{place} is {} instead of {}", shown(got), shown(want))
}

/// The most that one sentence lists.
const MOST: usize = 5;

fn shorten(all: &[String]) -> String {
    let shown = all.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_cluster::KeptField;
    use pilothouse_domain::stage::StageStatus;

    use super::*;

    fn object(kind: &str) -> ObjectRef {
        ObjectRef::namespaced("v1", kind, "prod", "web")
    }

    fn restored(kind: &str, outcome: RestoreOutcome, generation: i64) -> Restored {
        Restored { object: object(kind), outcome, generation, kept: Vec::new() }
    }

    fn difference(kind: &str, path: &str) -> Difference {
        Difference {
            object: object(kind),
            path: path.into(),
            want: Some(json!("hello")),
            got: Some(json!("bye")),
        }
    }

    #[test]
    fn only_what_is_there_is_watched() {
        let all = [
            restored("Deployment", RestoreOutcome::Restored, 3),
            restored("StatefulSet", RestoreOutcome::Unchanged, 1),
            restored("ConfigMap", RestoreOutcome::Restored, 0),
            restored("Job", RestoreOutcome::Deleted, 0),
            restored("DaemonSet", RestoreOutcome::Conflict { reason: "x".into() }, 2),
        ];
        let watched: Vec<String> = workloads(&all).into_iter().map(|w| w.object.kind).collect();
        assert_eq!(watched, ["Deployment", "StatefulSet"]);
        assert_eq!(changed(&all), 3);
    }

    #[test]
    fn an_undo_succeeds_when_everything_reads_back_and_tells_what_others_keep() {
        let kept = vec![KeptField { path: ".spec.replicas".into(), manager: "hpa".into() }];
        let all = [Restored { kept, ..restored("Deployment", RestoreOutcome::Restored, 3) }];
        let end = verdict(&all, &[]);
        assert_eq!(end.status, StageStatus::Succeeded);
        assert_eq!(end.output["objects"][0]["outcome"], "restored");
        assert_eq!(end.output["objects"][0]["kept"][0]["manager"], "hpa");
    }

    #[test]
    fn an_undo_that_left_something_alone_or_reads_back_otherwise_fails_and_says_what() {
        let conflict = RestoreOutcome::Conflict { reason: "its values changed since the snapshot".into() };
        let all = [restored("Secret", conflict, 0), restored("ConfigMap", RestoreOutcome::Restored, 0)];
        let differences = [difference("Secret", ""), difference("ConfigMap", ".data.GREETING")];
        let StageStatus::Failed { reason, evidence } = verdict(&all, &differences).status else {
            panic!("it failed")
        };
        assert_eq!(
            reason,
            "not everything is as it was: Secret prod/web: its values changed since the snapshot; \
             ConfigMap prod/web .data.GREETING is \"bye\" instead of \"hello\""
        );
        assert_eq!(evidence.unwrap()["differences"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_long_list_is_cut() {
        let many: Vec<Difference> = (0..8).map(|i| difference("ConfigMap", &format!(".data.k{i}"))).collect();
        let end = verdict(&[restored("ConfigMap", RestoreOutcome::Restored, 0)], &many);
        assert!(end.status.reason().unwrap().ends_with("; and 3 more"), "{end:?}");
    }
}
