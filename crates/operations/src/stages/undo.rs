//! `undo`: takes back what a stage of another attempt changed, and reads it back (V1, X4). Not written in pipelines: the
//! stages of a rollback are of this type.

mod told;
mod way;

use pilothouse_cluster::{ObjectRef, RestoreOptions, RestoreOutcome, Restored, Rollout, Watched};
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageTypeInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rollout;
use super::{Begun, Observed, StageContext, StageType, Stepped};
use crate::OperationError;
use told::{left_behind, verdict};
use way::Way;

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
    /// What stood around those objects and could not be looked at when the snapshot was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missed: Vec<String>,
}

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
        Box::pin(async {
            let snapshot = Way::of(stage).await?.snapshot;
            Ok(snapshot.taken.into_iter().chain(snapshot.context).map(|entry| entry.object).collect())
        })
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
    let Way { snapshot, force } = Way::of(stage).await?;
    let options = RestoreOptions { force, ..RestoreOptions::default() };
    let cluster = stage.sealing_cluster().await?;
    // The pods that run get their traffic back before what has it now goes; those of the last moment after it.
    cluster.settle_templates(&snapshot).await?;
    cluster.settle_pods(&snapshot).await?;
    let restored = cluster.restore(&snapshot, &options).await?;
    cluster.settle_pods(&snapshot).await?;
    let progress = format!("{} of {} objects changed back", changed(&restored), restored.len());
    let action = serde_json::to_value(Action { restored, missed: snapshot.missed })
        .map_err(|e| OperationError::Inconsistent(format!("the action cannot be written: {e}")))?;
    Ok(Begun::Observe { action, progress })
}

async fn observe(stage: &StageContext<'_>, within: Span) -> Result<Observed, OperationError> {
    let Action { restored, missed } = stage.action()?;
    let rollout = rollout::watch(stage, &workloads(&restored), within).await?;
    if !matches!(rollout, Rollout::Ready { .. }) {
        return Ok(rollout::observed(rollout, || Value::Null));
    }
    let mut snapshot = way::snapshot_of(stage).await?;
    snapshot.taken.retain(|taken| restored.iter().any(|r| r.object == taken.object));
    // What was left as it is has said so; only what was put back is read back.
    let put_back = |r: &Restored| r.context && r.outcome == RestoreOutcome::Restored;
    snapshot.context.retain(|entry| restored.iter().any(|r| put_back(r) && r.object == entry.object));
    let differences = stage.sealing_cluster().await?.verify(&snapshot).await?;
    Ok(Observed::Ended(verdict(&restored, &differences, &missed)))
}

/// What a rollback that is cancelled leaves in the cluster.
async fn left(stage: &StageContext<'_>) -> Result<Option<String>, OperationError> {
    if stage.run.action.is_null() {
        return Ok(Some("nothing was recorded as changed back".to_owned()));
    }
    let Action { restored, .. } = stage.action()?;
    Ok(Some(format!("{}; {}", left_behind(&restored), rollout::left(stage, &workloads(&restored)).await)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_watched() {
        let object = |kind: &str| ObjectRef::namespaced("v1", kind, "prod", "web");
        let restored = |kind: &str, outcome: RestoreOutcome, generation: i64| Restored {
            object: object(kind),
            outcome,
            generation,
            kept: Vec::new(),
            context: false,
        };
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
}
