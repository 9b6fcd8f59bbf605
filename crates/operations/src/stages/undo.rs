//! `undo`: takes back what a stage of another attempt changed, and reads it back (V1, X4). Not written in pipelines: the
//! stages of a rollback are of this type.

mod phases;
mod told;
mod way;

use jiff::Timestamp;
use pilothouse_cluster::{
    Cluster, ObjectRef, RestoreOptions, RestoreOutcome, Restored, Rollout, Snapshot, Watched,
};
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageTypeInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rollout;
use super::{Begun, Observed, StageContext, StageEnd, StageType, Stepped};
use crate::OperationError;
use phases::{Later, Phase};
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
    /// What does not come back at once, and in which phase it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    later: Vec<Later>,
    /// The phase whose objects were restored last.
    #[serde(default)]
    phase: Phase,
    /// When traffic was last sent another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved: Option<Timestamp>,
}

impl Action {
    fn part(&self, snapshot: &Snapshot) -> Snapshot {
        phases::part(snapshot, &self.later, self.phase)
    }

    /// The next phase that restores something, or has to wait for traffic that moved.
    fn next(&self) -> Phase {
        let mut next = self.phase.next();
        let restores = |phase: Phase| self.later.iter().any(|later| later.phase == phase);
        while next != Phase::Down && !restores(next) && !(next == Phase::Services && self.moved.is_some()) {
            next = next.next();
        }
        next
    }

    fn progress(&self) -> String {
        let open = self.later.iter().filter(|later| later.phase > self.phase).count();
        let restored = &self.restored;
        format!("{} of {} objects changed back", changed(restored), restored.len() + open)
    }
}

/// How often the traffic guard looks before it refuses, and how long after each look.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Span = Span::from_secs(2);

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
    let way = Way::of(stage).await?;
    let cluster = stage.sealing_cluster().await?;
    let later = phases::later(&cluster, &way.snapshot).await?;
    let phase = if later.is_empty() { Phase::Down } else { Phase::Up };
    let mut action =
        Action { restored: Vec::new(), missed: way.snapshot.missed.clone(), later, phase, moved: None };
    // With nothing to wait for, everything comes back at once.
    let part = if phase == Phase::Down { way.snapshot.clone() } else { action.part(&way.snapshot) };
    if let Some(end) = restore(stage, &cluster, &way, &part, &mut action).await? {
        return Ok(Begun::Ended(end));
    }
    let progress = action.progress();
    Ok(Begun::Observe { action: written(&action)?, progress })
}

/// Brings one part back; the end of the stage, if a Service would have too few endpoints then.
async fn restore(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    way: &Way,
    part: &Snapshot,
    action: &mut Action,
) -> Result<Option<StageEnd>, OperationError> {
    let guarded = action.phase != Phase::Down || way.replaced;
    let spare = way.spare.as_deref();
    let mut looks = if guarded { LOOKS } else { 0 };
    while looks > 0 {
        let Some(reason) = phases::refusal(stage, cluster, part, action.phase, spare).await? else { break };
        looks -= 1;
        if looks == 0 {
            return Ok(Some(told::refused(&reason, &action.restored)));
        }
        // Endpoints follow their pods a moment later.
        tokio::time::sleep(LOOK_AGAIN.as_duration()).await;
    }
    let options = RestoreOptions { force: way.force, ..RestoreOptions::default() };
    // The pods that run get their traffic back before what has it now goes; those of the last moment after it.
    cluster.settle_templates(part).await?;
    cluster.settle_pods(part).await?;
    let restored = cluster.restore(part, &options).await?;
    cluster.settle_pods(part).await?;
    let moves = matches!(action.phase, Phase::Routes | Phase::Services) && changed(&restored) > 0;
    if moves {
        action.moved = Some(stage.context.now());
    }
    action.restored.extend(restored);
    Ok(None)
}

async fn observe(stage: &StageContext<'_>, within: Span) -> Result<Observed, OperationError> {
    let action: Action = stage.action()?;
    let rollout = rollout::watch(stage, &workloads(&action.restored), within).await?;
    if !matches!(rollout, Rollout::Ready { .. }) {
        return Ok(rollout::observed(rollout, || Value::Null));
    }
    match action.phase {
        Phase::Down => verify(stage, action).await,
        _ => go_on(stage, action, within).await,
    }
}

/// What was restored runs: the next part, if what was moved before it has settled.
async fn go_on(
    stage: &StageContext<'_>,
    mut action: Action,
    within: Span,
) -> Result<Observed, OperationError> {
    let way = Way::of(stage).await?;
    let cluster = stage.sealing_cluster().await?;
    if action.phase == Phase::Services {
        let moved = action.moved.filter(|_| action.later.iter().any(|later| later.phase == Phase::Down));
        let part = action.part(&way.snapshot);
        if let Some(progress) = phases::unsettled(stage, &cluster, &part, moved, within).await? {
            return Ok(Observed::Pending { progress, evidence: None });
        }
    }
    action.phase = action.next();
    let part = action.part(&way.snapshot);
    if let Some(end) = restore(stage, &cluster, &way, &part, &mut action).await? {
        return Ok(Observed::Ended(end));
    }
    let progress = action.progress();
    Ok(Observed::Moved { action: written(&action)?, progress })
}

async fn verify(stage: &StageContext<'_>, action: Action) -> Result<Observed, OperationError> {
    let mut snapshot = way::snapshot_of(stage).await?;
    let Action { mut restored, missed, .. } = action;
    // Told in the order of the snapshot, in whatever order they came back.
    let place = |r: &Restored| snapshot.taken.iter().position(|taken| taken.object == r.object);
    restored.sort_by_key(|r| (r.context, place(r)));
    snapshot.taken.retain(|taken| restored.iter().any(|r| r.object == taken.object));
    // What was left as it is has said so; only what was put back is read back.
    let put_back = |r: &Restored| r.context && r.outcome == RestoreOutcome::Restored;
    snapshot.context.retain(|entry| restored.iter().any(|r| put_back(r) && r.object == entry.object));
    let differences = stage.sealing_cluster().await?.verify(&snapshot).await?;
    Ok(Observed::Ended(verdict(&restored, &differences, &missed)))
}

fn written(action: &Action) -> Result<Value, OperationError> {
    serde_json::to_value(action)
        .map_err(|e| OperationError::Inconsistent(format!("the action cannot be written: {e}")))
}

/// What a rollback that is cancelled leaves in the cluster.
async fn left(stage: &StageContext<'_>) -> Result<Option<String>, OperationError> {
    if stage.run.action.is_null() {
        return Ok(Some("nothing was recorded as changed back".to_owned()));
    }
    let Action { restored, later, phase, .. } = stage.action()?;
    let open = later.iter().filter(|later| later.phase > phase).count();
    let rest = if open > 0 { format!("; {open} objects not yet") } else { String::new() };
    let runs = rollout::left(stage, &workloads(&restored)).await;
    Ok(Some(format!("{}{rest}; {runs}", left_behind(&restored))))
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
