//! What a rollback consists of: which attempts it takes back, how, and what it holds from then on (H6, V1, X4).

mod before;
mod chain;
mod pipeline;

use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptRef, RollbackReason, RollbackTerms, UndoStep};
use pilothouse_domain::hold::{Hold, artifacts_to_hold};
use pilothouse_domain::pipeline::topological_order;
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::{StageRun, stages_of};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

pub(crate) use pipeline::check_rollback_pipelines;

use crate::load::SYSTEM;
use crate::new_attempt::{new_attempt, queued};
use crate::{Context, OperationError};
use before::Before;
use pipeline::Way;

/// A rollback that is to be created, and what is written with it.
pub(crate) struct NewRollback {
    /// The attempt that rolls back.
    pub(crate) attempt: Attempt,
    /// The earlier attempts of its chain, which it takes back with the one that it undoes.
    earlier: Vec<Versioned<Attempt>>,
    hold: Hold,
    trigger: String,
    way: Option<String>,
}

impl NewRollback {
    /// Adds it to `tx`, with its event, the hold, and the link from the earlier attempts. That from the undone attempt
    /// is its caller's to write.
    pub(crate) fn add_to(
        &self,
        context: &Context,
        undone: &AttemptRef,
        by: &str,
        tx: Transaction,
    ) -> Transaction {
        let started = Happening::RollbackStarted {
            rollback: self.attempt.at.number,
            trigger: self.trigger.clone(),
            way: self.way.clone(),
        };
        let tx = self.earlier.iter().fold(tx, |tx, earlier| {
            let taken_back =
                Attempt { rolled_back_by: Some(self.attempt.at.clone()), ..earlier.record.clone() };
            tx.replace(earlier, &taken_back)
        });
        tx.create(&self.attempt)
            .put(&self.hold)
            .event(context.event(undone, by, started))
            .event(queued(context, &self.attempt))
    }
}

/// The rollback that takes `undone` back, and with it the attempts before it that belong to its chain; `None` when they
/// changed nothing. `runs` are the stage runs of `undone`.
pub(crate) async fn plan_rollback(
    context: &Context,
    release: &Release,
    undone: &Attempt,
    runs: &[Versioned<StageRun>],
    reason: RollbackReason,
) -> Result<Option<NewRollback>, OperationError> {
    let earlier = chain::earlier(context, undone).await?;
    let oldest = earlier.last().map_or(undone, |attempt| &attempt.record);
    let before = Before::of(context, oldest).await?;
    let trigger = trigger(&reason);
    let way = pipeline::way(context, release, undone, runs, &before, &trigger).await?;
    let mut terms = RollbackTerms {
        timeout: release.environment(&undone.at.environment).and_then(|e| e.rollback.timeout),
        restores: before.stood.as_ref().map(|stood| stood.at.release.clone()),
        note: None,
        pipeline: None,
    };
    let mut stages = Vec::new();
    match way {
        Way::Pipeline(pipeline) => {
            terms.restores = Some(pipeline.release.clone());
            terms.pipeline = Some(pipeline);
        }
        Way::Snapshot { note } => {
            terms.note = note;
            stages = steps(context, release, undone, runs, &earlier).await?;
            if stages.is_empty() {
                return Ok(None);
            }
        }
    }
    let by = match &reason {
        RollbackReason::Requested { by, .. } => by.clone(),
        _ => SYSTEM.to_owned(),
    };
    let hold = hold(context, release, undone, &terms, &by, &trigger).await?;
    let number = context.last_attempt_number(&undone.at.release, &undone.at.environment).await? + 1;
    let way = describe(&terms);
    let kind = AttemptKind::Rollback { undoes: undone.at.clone(), reason, stages, terms };
    let attempt = new_attempt(context, release, &undone.at.environment, number, kind, &by);
    Ok(Some(NewRollback { attempt, earlier, hold, trigger, way }))
}

/// What triggered a rollback, for people (V16).
pub(crate) fn trigger(reason: &RollbackReason) -> String {
    match reason {
        RollbackReason::StageFailed { reason }
        | RollbackReason::ApprovalRejected { reason }
        | RollbackReason::GateFailed { reason }
        | RollbackReason::Canceled { reason } => reason.clone(),
        RollbackReason::Requested { by, force: false } => format!("requested by {by}"),
        RollbackReason::Requested { by, force: true } => format!("requested by {by}, by force"),
    }
}

/// What a rollback does, where that is not simply to restore what was there before.
pub(crate) fn describe(terms: &RollbackTerms) -> Option<String> {
    match &terms.pipeline {
        Some(pipeline) => Some(format!(
            "runs pipeline `{}` (revision {}) with what release {} carries",
            pipeline.name, pipeline.revision, pipeline.release
        )),
        None => terms.note.as_ref().map(|note| format!("restores what was there before: {note}")),
    }
}

/// The steps of a rollback by snapshots, the last change first.
async fn steps(
    context: &Context,
    release: &Release,
    undone: &Attempt,
    runs: &[Versioned<StageRun>],
    earlier: &[Versioned<Attempt>],
) -> Result<Vec<UndoStep>, OperationError> {
    let mut steps = changes(release, undone, runs, None);
    for attempt in earlier {
        let runs = context.store.stage_runs(&attempt.record.at).await?;
        steps.extend(changes(release, &attempt.record, &runs, Some(attempt.record.at.number)));
    }
    Ok(steps)
}

/// What one attempt changed. Stages of different branches may have changed the same object: what counts is which came
/// last in time.
fn changes(
    release: &Release,
    attempt: &Attempt,
    runs: &[Versioned<StageRun>],
    number: Option<u32>,
) -> Vec<UndoStep> {
    let stages = stages_of(release, attempt);
    let changed = |name: &str| runs.iter().find(|r| r.record.stage == name && r.record.has_snapshot);
    let mut undo: Vec<_> = topological_order(&stages)
        .into_iter()
        .filter_map(|i| Some(&changed(&stages[i].name)?.record))
        .collect();
    undo.reverse();
    undo.sort_by_key(|run| std::cmp::Reverse(run.started_at));
    let step =
        |run: &StageRun| UndoStep { stage: run.stage.clone(), attempt: number, cluster: run.cluster.clone() };
    undo.into_iter().map(step).collect()
}

/// What must not come back by itself from now on.
async fn hold(
    context: &Context,
    release: &Release,
    undone: &Attempt,
    terms: &RollbackTerms,
    by: &str,
    trigger: &str,
) -> Result<Hold, OperationError> {
    let before = match &terms.restores {
        Some(restored) => context.store.release(restored).await?.map(|r| r.record.artifacts),
        None => None,
    };
    Ok(Hold {
        application: undone.application.clone(),
        environment: undone.at.environment.clone(),
        release: release.id.clone(),
        attempt: undone.at.number,
        artifacts: artifacts_to_hold(&release.artifacts, &before.unwrap_or_default()),
        by: by.to_owned(),
        reason: trigger.to_owned(),
        since: context.now(),
    })
}
