//! A release as it is shown: one pure function from its records to a view (H2, H3, H8, T66).

mod gates;
mod rollback;
mod types;
mod waits;

use std::collections::BTreeMap;

use pilothouse_domain::approval::Approval;
use pilothouse_domain::attempt::{Attempt, AttemptKind, AttemptRef, AttemptState, AttemptStatus, Control};
use pilothouse_domain::environment::EnvironmentStatus;
use pilothouse_domain::gate::GateRun;
use pilothouse_domain::hold::Hold;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::pipeline::{
    EnvironmentSpec, Requires, StageSpec, environment_order, topological_order,
};
use pilothouse_domain::release::Release;
use pilothouse_domain::settings::Frozen;
use pilothouse_domain::stage::{StageRun, StageStatus, stages_of};
use serde_json::Value;

pub use gates::{GateCheckView, GateState, GateView};
pub use types::{
    ApprovalView, Asks, AttemptPurpose, AttemptView, EnvironmentView, ExecutionName, HoldView, Outcome,
    ReleaseView, RollbackView, StageState, StageView,
};
pub use waits::{StageWait, WaitKind};

use gates::gates_of;
use rollback::{hold_on, holds, rollback};

use crate::lanes::{PlaceView, line_of};
use crate::rollback::trigger;
use crate::stages::pipeline;
use crate::{Context, OperationError};

/// The records of a release that its view is made from.
#[derive(Debug, Clone)]
pub struct ReleaseRecords {
    /// The release.
    pub release: Release,
    /// Its attempts, in any order.
    pub attempts: Vec<Attempt>,
    /// Their stage runs, in any order.
    pub runs: Vec<StageRun>,
    /// Their approvals, in the order in which they were asked.
    pub approvals: Vec<Approval>,
    /// Their gates, in any order.
    pub gates: Vec<GateRun>,
    /// Where its attempts that wait for room stand in line (X2).
    pub places: BTreeMap<AttemptRef, PlaceView>,
    /// What is held in its environments, in any order.
    pub holds: Vec<Hold>,
}

/// Reads a release and all that happened in it.
///
/// # Errors
/// [`OperationError::NotFound`], or the table's.
pub async fn view_release(context: &Context, id: &ReleaseId) -> Result<ReleaseView, OperationError> {
    let records = context.store.release_records(id).await?;
    let release = records.all::<Release>()?.into_iter().next().ok_or_else(|| OperationError::NotFound {
        what: format!("release `{id}`"),
        hint: "list releases with `pilothouse release ls`".to_owned(),
    })?;
    let attempts: Vec<Attempt> = records.all::<Attempt>()?.into_iter().map(|a| a.record).collect();
    let mut places = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.in_line_for().is_some()) {
        places.extend(line_of(context, attempt).await?.map(|place| (attempt.at.clone(), place)));
    }
    let holds = holds(context, &release.record).await?;
    Ok(release_view(&ReleaseRecords {
        release: release.record,
        attempts,
        places,
        holds,
        runs: records.all::<StageRun>()?.into_iter().map(|r| r.record).collect(),
        approvals: records.all::<Approval>()?.into_iter().map(|a| a.record).collect(),
        gates: records.all::<GateRun>()?.into_iter().map(|g| g.record).collect(),
    }))
}

/// The view of a release.
#[must_use]
pub fn release_view(records: &ReleaseRecords) -> ReleaseView {
    let release = &records.release;
    let specs = &release.spec.environments;
    let environments: Vec<EnvironmentView> =
        environment_order(specs).into_iter().map(|i| environment(records, &specs[i])).collect();
    ReleaseView {
        id: release.id.clone(),
        application: release.application.clone(),
        pipeline: release.pipeline.clone(),
        revision: release.revision,
        status: release.status,
        outcome: outcome(&records.attempts, &records.approvals),
        at_rest: records.attempts.iter().all(|a| a.completed_at.is_some()),
        artifacts: release.artifacts.clone(),
        parameters: release.parameters.clone(),
        cause: release.cause.clone(),
        trigger: release.cause.summary(),
        abandoned: release.abandoned.clone(),
        created_at: release.created_at,
        environments,
    }
}

fn environment(records: &ReleaseRecords, spec: &EnvironmentSpec) -> EnvironmentView {
    let mut attempts: Vec<&Attempt> =
        records.attempts.iter().filter(|a| a.at.environment == spec.name).collect();
    attempts.sort_by_key(|a| a.at.number);
    EnvironmentView {
        name: spec.name.clone(),
        status: EnvironmentStatus::derive(attempts.last().copied()),
        next_scheduled_time: attempts.last().and_then(|a| a.state.starts_at()),
        schedule: spec.schedule.as_ref().map(ToString::to_string),
        skipped: records.release.skipped.contains(&spec.name),
        start: spec.start,
        after: spec.after.clone(),
        cluster: spec.cluster.clone(),
        namespace: spec.namespace.clone(),
        rollback_policy: spec.rollback.policy,
        held: hold_on(records, spec, attempts.last().copied()),
        attempts: attempts.into_iter().map(|a| attempt(records, a)).collect(),
    }
}

fn attempt(records: &ReleaseRecords, attempt: &Attempt) -> AttemptView {
    let (status, operation_status) = attempt.state.pair();
    let specs = stages_of(&records.release, attempt);
    let stages = topological_order(&specs).into_iter().map(|i| stage(records, attempt, &specs[i])).collect();
    let (undoes, rollback_trigger) = match &attempt.kind {
        AttemptKind::Rollback { undoes, reason, .. } => (Some(undoes.clone()), Some(trigger(reason))),
        AttemptKind::Deploy | AttemptKind::Redeploy => (None, None),
    };
    let approvals = records.approvals.iter().filter(|a| a.at == attempt.at).map(ApprovalView::from);
    let frozen = attempt.frozen.clone().filter(|_| !attempt.state.is_terminal());
    let line = records.places.get(&attempt.at).cloned();
    AttemptView {
        id: attempt.id.clone(),
        number: attempt.at.number,
        kind: purpose(attempt),
        status,
        operation_status,
        execution: execution_name(attempt, &records.attempts),
        reason: held(attempt)
            .or_else(|| scheduled(&records.release, attempt))
            .or_else(|| attempt.state.reason())
            .or_else(|| frozen.as_ref().map(Frozen::summary))
            .or_else(|| line.as_ref().map(|line| line.summary.clone())),
        frozen,
        freeze_override: attempt.freeze_override.clone(),
        line,
        control: attempt.control,
        resume_by: attempt.resume_by,
        open: attempt.completed_at.is_none(),
        created_by: attempt.created_by.clone(),
        last_modified_by: attempt.last_modified_by.clone(),
        created_at: attempt.created_at,
        started_at: attempt.started_at,
        ended_at: attempt.ended_at,
        rolled_back_by: attempt.rolled_back_by.as_ref().map(|by| by.number),
        undoes,
        rollback_trigger,
        rollback: rollback(attempt),
        rollback_requested_by: attempt.rollback_request.as_ref().map(|request| request.by.clone()),
        continues: attempt.carried.as_ref().map(|carried| carried.from),
        overrides: attempt.overrides.clone(),
        override_reason: attempt.override_reason.clone(),
        stages,
        approvals: approvals.collect(),
        gates: gates_of(&records.gates, attempt),
    }
}

/// Who holds an attempt back, and until when (N13, N15).
fn held(attempt: &Attempt) -> Option<String> {
    let who = attempt.controlled_by.as_deref().unwrap_or(&attempt.last_modified_by);
    let how = match attempt.control {
        _ if attempt.state.is_terminal() => return None,
        Control::Pausing => format!("pausing, as {who} asked: what runs comes to its end"),
        Control::Paused => format!("paused by {who}"),
        Control::Interrupted => "interrupted: its execution was lost again and again".to_owned(),
        Control::Stopping if !attempt.is_canceling() => {
            let why = attempt.control_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            return Some(format!(
                "stopping, as {who} asked{why}: what runs comes to its end, and nothing more starts"
            ));
        }
        Control::Running | Control::Stopping | Control::Stopped => return None,
    };
    let end = attempt
        .resume_by
        .map(|until| format!("; it is stopped soon after {until:.0} unless somebody resumes it"));
    Some(how + &end.unwrap_or_default())
}

/// When an attempt starts that waits for its time, and why then. The schedule gives the same time again for the moment at
/// which the attempt was created; a time that it does not give was asked for.
fn scheduled(release: &Release, attempt: &Attempt) -> Option<String> {
    let AttemptState::Scheduled { at } = attempt.state else { return None };
    let name = &attempt.at.environment;
    let schedule = release.environment(name).and_then(|spec| spec.schedule.as_ref());
    let by_schedule = schedule.filter(|s| s.next_start(attempt.created_at) == Ok(at));
    Some(match by_schedule {
        Some(schedule) => {
            let (next, zone) = (schedule.next_in_words(), schedule.timezone());
            format!("starts at {} ({next} of {name}, {zone})", schedule.local(at))
        }
        None => {
            let shown = schedule.map_or_else(|| format!("{at:.0}"), |schedule| schedule.local(at));
            format!("starts at {shown} (asked for by {})", attempt.created_by)
        }
    })
}

/// What an attempt is for, without its details.
#[must_use]
pub fn purpose(attempt: &Attempt) -> AttemptPurpose {
    match attempt.kind {
        AttemptKind::Deploy => AttemptPurpose::Deploy,
        AttemptKind::Redeploy => AttemptPurpose::Redeploy,
        AttemptKind::Rollback { .. } => AttemptPurpose::Rollback,
    }
}

/// The name that Code Stream would give (V15): what it shows of an attempt depends on the rollback of it.
fn execution_name(attempt: &Attempt, attempts: &[Attempt]) -> ExecutionName {
    let find = |at: &AttemptRef| attempts.iter().find(|a| a.at == *at);
    if let Some(rollback) = attempt.rolled_back_by.as_ref().and_then(find) {
        return match rollback.state.is_terminal() {
            false => ExecutionName::RollingBack,
            true if rollback.state.is_success() => ExecutionName::RollbackCompleted,
            true => ExecutionName::RollbackFailed,
        };
    }
    match &attempt.state {
        state if !state.is_terminal() => ExecutionName::Running,
        state if state.is_success() => ExecutionName::Completed,
        AttemptState::CanceledBefore { .. } | AttemptState::CanceledAfter { .. } => ExecutionName::Canceled,
        _ => ExecutionName::Failed,
    }
}

fn stage(records: &ReleaseRecords, attempt: &Attempt, spec: &StageSpec) -> StageView {
    let blank = StageView {
        name: spec.name.clone(),
        stage_type: spec.stage_type.clone(),
        depends_on: spec.depends_on.clone(),
        requires: Some(spec.requires.clone()).filter(|requires| *requires != Requires::All),
        always_run: spec.always_run,
        cluster: spec.cluster.clone(),
        // What has not begun when the attempt is at its end never will.
        status: if attempt.state.is_terminal() { StageState::NotRun } else { StageState::NotStarted },
        reason: None,
        evidence: None,
        progress: None,
        started_at: None,
        deadline: None,
        ended_at: None,
        waits: None,
        child: None,
        undoable: false,
        carried_from: None,
        notes: Vec::new(),
        output: Value::Null,
    };
    let run = records.runs.iter().find(|r| r.at == attempt.at && r.stage == spec.name);
    let Some(run) = run else { return blank };
    let passed_over = matches!(run.status, StageStatus::NotRun { .. });
    StageView {
        status: StageState::from(&run.status),
        reason: run.status.explanation(),
        evidence: match &run.status {
            StageStatus::Failed { evidence, .. } => evidence.as_deref().cloned(),
            _ => None,
        },
        progress: run.progress.clone(),
        started_at: (!passed_over).then_some(run.started_at),
        deadline: (!run.status.is_terminal()).then_some(run.deadline),
        ended_at: run.ended_at.filter(|_| !passed_over),
        waits: waits::waits(run),
        child: pipeline::child(run),
        undoable: run.has_snapshot,
        carried_from: run.carried_from,
        notes: run.notes(),
        output: run.output.clone(),
        ..blank
    }
}

/// What a release came to, from its attempts and the approvals that they wait for.
#[must_use]
pub fn outcome(attempts: &[Attempt], approvals: &[Approval]) -> Outcome {
    let mut open = attempts.iter().filter(|a| a.completed_at.is_none()).peekable();
    if open.peek().is_some() {
        let waits = |a: &Attempt| match a.state {
            AttemptState::PendingBefore
            | AttemptState::PendingAfter { .. }
            | AttemptState::GatesFailedBefore { asks: true, .. }
            | AttemptState::GatesFailedAfter { .. } => true,
            AttemptState::ManualInterventionPending => {
                approvals.iter().any(|p| p.at == a.at && ApprovalView::from(p).pending)
            }
            _ => false,
        };
        return if open.all(waits) { Outcome::AwaitingPerson } else { Outcome::InProgress };
    }
    // The worst end that an environment came to is what the release came to.
    latest_of_each_environment(attempts).map(ended_as).max().unwrap_or(Outcome::NotStarted)
}

pub(crate) fn latest_of_each_environment(attempts: &[Attempt]) -> impl Iterator<Item = &Attempt> {
    attempts.iter().filter(|a| {
        let here = attempts.iter().filter(|b| b.at.environment == a.at.environment);
        here.map(|b| b.at.number).max() == Some(a.at.number)
    })
}

fn ended_as(attempt: &Attempt) -> Outcome {
    match (EnvironmentStatus::derive(Some(attempt)), attempt.state.status()) {
        (EnvironmentStatus::Succeeded | EnvironmentStatus::PartiallySucceeded, _)
            if attempt.is_rollback() =>
        {
            Outcome::RolledBack
        }
        (EnvironmentStatus::Succeeded, _) => Outcome::Succeeded,
        (EnvironmentStatus::PartiallySucceeded, _) => Outcome::PartiallySucceeded,
        (EnvironmentStatus::Canceled, _) => Outcome::Canceled,
        (EnvironmentStatus::Rejected, _) => Outcome::Rejected,
        (_, AttemptStatus::InProgress) => Outcome::InProgress,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests;
