//! What one step of a rollback restores: the objects of its snapshot that no other step sees to.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_cluster::{Snapshot, SnapshotObject, SnapshotState};
use pilothouse_domain::attempt::{AttemptKind, AttemptRef, RollbackReason, UndoStep};
use pilothouse_domain::stage::StageRun;

use super::super::StageContext;
use super::{Options, phases};
use crate::OperationError;

/// What is restored by a step, and how.
pub(super) struct Way {
    /// The objects that this step restores.
    pub(super) snapshot: Snapshot,
    /// Whether fields of ours that others changed since are taken back: what was deployed by force is taken back so, and
    /// what somebody asked to.
    pub(super) force: bool,
    /// Whether something ran before in place of what the stage created.
    pub(super) replaced: bool,
    /// The Service of a canary, which gets only what a route gives it: nothing, once the route is as it was.
    pub(super) spare: Option<String>,
}

impl Way {
    /// The objects of the stage's snapshot that no later step restores too: those go back to what they were before the
    /// first change at once, and not by way of a state that may never have worked. What stood around them is another
    /// step's, if one changed it.
    pub(super) async fn of(stage: &StageContext<'_>) -> Result<Self, OperationError> {
        let step = Step::of(stage)?;
        let mut snapshot = snapshot(stage, &step).await?;
        let AttemptKind::Rollback { undoes, stages, reason, .. } = &stage.attempt.kind else {
            return Ok(Self { replaced: phases::replaces(&snapshot), snapshot, force: false, spare: None });
        };
        // An object of that name in another cluster is another object.
        let here =
            |s: &&UndoStep| s.cluster.as_ref().unwrap_or(&stage.environment.cluster) == stage.account();
        let steps: Vec<Step> = stages.iter().filter(here).map(|s| Step::new(undoes, s)).collect();
        let runs = Runs::read(stage, &steps).await?;
        let place = steps.iter().position(|s| *s == step).unwrap_or(0);
        let mut later = BTreeSet::new();
        let mut others = BTreeSet::new();
        for (index, other) in steps.iter().enumerate().filter(|(_, other)| **other != step) {
            let touched = runs.touched(stage, other).await?;
            if index > place {
                later.extend(touched.iter().cloned());
            }
            others.extend(touched);
        }
        // Traffic goes back by the way it came: it must have left what this step takes away before that goes.
        let moves_traffic = |entry: &SnapshotObject| {
            (phases::is_route(&entry.object) || phases::is_service(&entry.object))
                && entry.state != SnapshotState::Absent
        };
        snapshot.taken.retain(|entry| moves_traffic(entry) || !later.contains(&entry.object.fingerprint()));
        snapshot.context.retain(|entry| !others.contains(&entry.object.fingerprint()));
        let asked = matches!(reason, RollbackReason::Requested { force: true, .. });
        let force = asked || runs.get(&step).is_some_and(|run| run.options["force"] == true);
        // A stage of several steps says which version its new one is beside.
        let beside = |run: &StageRun| !run.plan["output"]["previous"].is_null();
        let replaced = phases::replaces(&snapshot) || runs.get(&step).is_some_and(beside);
        let canary = |run: &StageRun| run.options["route"]["canaryService"].as_str().map(str::to_owned);
        let spare = runs.get(&step).and_then(canary);
        Ok(Self { snapshot, force, replaced, spare })
    }
}

/// What the undone stage stored before it changed anything, as a whole.
pub(super) async fn snapshot_of(stage: &StageContext<'_>) -> Result<Snapshot, OperationError> {
    snapshot(stage, &Step::of(stage)?).await
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

/// The runs of the stages of a rollback's steps: one read for each attempt that it takes back, however many its stages.
struct Runs(BTreeMap<u32, Vec<StageRun>>);

impl Runs {
    async fn read(stage: &StageContext<'_>, steps: &[Step]) -> Result<Self, OperationError> {
        let attempts: BTreeMap<u32, &AttemptRef> =
            steps.iter().map(|step| (step.at.number, &step.at)).collect();
        let mut all = BTreeMap::new();
        for (number, at) in attempts {
            let runs = stage.context.store.stage_runs(at).await?;
            all.insert(number, runs.into_iter().map(|run| run.record).collect());
        }
        Ok(Self(all))
    }

    fn get(&self, step: &Step) -> Option<&StageRun> {
        self.0.get(&step.at.number)?.iter().find(|run| run.stage == step.stage)
    }

    /// The fingerprints of what a step's stage changed; from its snapshot where the run is of an earlier version.
    async fn touched(&self, stage: &StageContext<'_>, step: &Step) -> Result<Vec<String>, OperationError> {
        match self.get(step) {
            Some(run) if !run.touched.is_empty() => Ok(run.touched.clone()),
            _ => {
                let snapshot = snapshot(stage, step).await?;
                Ok(snapshot.taken.iter().map(|entry| entry.object.fingerprint()).collect())
            }
        }
    }
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
