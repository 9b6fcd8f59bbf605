//! A stage begins: condition, options, snapshot, lease, first action; in this order, each stored before the next.

use pilothouse_domain::approval::Approval;
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::attempt::AttemptEvent;
use pilothouse_domain::expression::{Template, evaluate_all};
use pilothouse_domain::ids::StageRunId;
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::problem::Problems;
use pilothouse_domain::stage::{Readiness, StageEvent, StageRun, StageStatus, readiness};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};
use serde_json::{Map, Value};

use super::cancel::{cancel_of, end_canceled, too_late};
use super::end::{end_run, not_allowed, start_and_end, told_again};
use super::wait::seconds_left;
use super::{Loaded, StageInput, StageNext, in_cluster, scope, snapshot};
use crate::advance::LONGEST_SECONDS;
use crate::approvals::approval_of_stage;
use crate::load::{SYSTEM, outcomes};
use crate::stage_workloads::keep_evidence_of_begin;
use crate::stages::steps::Planned;
use crate::stages::{Begun, Question, StageEnd, StageType};
use crate::{Context, OperationError};

/// How often it is decided anew when the records change meanwhile. The definition tries again after that.
const TRIES: u32 = 20;

/// Begins the stage, or goes on where an earlier call left it.
///
/// # Errors
/// [`OperationError`]; what the stage itself makes of its first action is no error but its end.
pub async fn begin(context: &Context, input: &StageInput) -> Result<StageNext, OperationError> {
    for _ in 0..TRIES {
        let loaded = Loaded::new(context, input).await?;
        let spec = loaded.spec(&input.stage)?;
        let kind = context.stages.get(&spec.stage_type)?;
        let run = match &loaded.run {
            Some(run) if run.record.status.is_terminal() => return told_again(context, &loaded).await,
            // A call that comes late: its deployment ended without it, and another may have the environment.
            None if loaded.attempt.record.state.is_terminal() => return Ok(StageNext::Ended),
            Some(run) => run.clone(),
            None => match open(context, &loaded, spec, kind).await? {
                Opened::Run(run) => *run,
                Opened::Next(next) => return Ok(next),
                Opened::Again => continue,
            },
        };
        if let Some(next) = resume(context, &loaded, spec, &run).await? {
            return Ok(next);
        }
        return act(context, &loaded, spec, kind, run).await;
    }
    Err(OperationError::Contended(format!("stage `{}`", input.stage)))
}

/// Where a stage stands that has begun before; `None` when its first action is still to be done.
async fn resume(
    context: &Context,
    loaded: &Loaded,
    spec: &StageSpec,
    run: &Versioned<StageRun>,
) -> Result<Option<StageNext>, OperationError> {
    let attempt = &loaded.attempt.record;
    if let Some(cancel) = cancel_of(context, loaded, attempt, spec, &run.record).await? {
        return end_canceled(context, loaded, run, &cancel).await.map(Some);
    }
    Ok(match &run.record.status {
        StageStatus::AwaitingAnswer { .. } => {
            Some(StageNext::Await { timeout_seconds: seconds_left(context, attempt, &run.record) })
        }
        _ if !run.record.action.is_null() => Some(StageNext::Observe),
        _ => None,
    })
}

/// What came of opening a run.
enum Opened {
    /// It is there, and its first action is to be taken.
    Run(Box<Versioned<StageRun>>),
    /// It has no first action now, or never.
    Next(StageNext),
    /// The records changed meanwhile: it is to be decided anew.
    Again,
}

/// Creates the run with its options evaluated, or ends the stage here and now.
async fn open(
    context: &Context,
    loaded: &Loaded,
    spec: &StageSpec,
    kind: &dyn StageType,
) -> Result<Opened, OperationError> {
    let attempt = &loaded.attempt.record;
    let runs = context.store.stage_runs(&attempt.at).await?;
    let ready = readiness(&loaded.stages, &outcomes(&runs), &attempt.admission(), spec);
    let never = match (ready, too_late(context, attempt)) {
        (_, Some(reason)) | (Readiness::Never { reason }, None) => Some(reason),
        // It was let through, and a pause came in between: it waits as those do that have not been let through.
        (Readiness::Wait, None) => {
            return Ok(Opened::Next(StageNext::Await { timeout_seconds: LONGEST_SECONDS }));
        }
        (Readiness::Ready, None) => None,
    };
    if let Some(reason) = never {
        crate::wake::pass_over(context, attempt, spec, &reason).await?;
        crate::wake::wake_stages(context, attempt).await?;
        return Ok(Opened::Next(StageNext::Ended));
    }
    if attempt.deadline().is_some_and(|deadline| deadline <= context.now()) {
        let end = StageEnd::failed("the rollback's time was over before it began");
        start_and_end(context, attempt, &blank(context, loaded, spec), end).await?;
        return Ok(Opened::Next(StageNext::Ended));
    }
    let before = given_before(context, loaded).await?;
    let runs = runs.iter().map(|r| &r.record);
    let scope = in_cluster(scope(&loaded.release, &loaded.attempt.record, runs, before.as_ref()), spec);
    let mut run = blank(context, loaded, spec);
    match evaluate(spec, kind, &loaded.release.artifacts, &scope) {
        Ok(Evaluated::Skip(reason)) => {
            let end = StageEnd { status: StageStatus::Skipped { reason }, output: Value::Null };
            start_and_end(context, attempt, &run, end).await?;
            return Ok(Opened::Next(StageNext::Ended));
        }
        Err(reason) => {
            start_and_end(context, attempt, &run, StageEnd::failed(reason)).await?;
            return Ok(Opened::Next(StageNext::Ended));
        }
        Ok(Evaluated::Options(options)) => run.options = options,
    }
    let own = kind.limit(&run.options, spec.timeout).after(run.started_at);
    // What a rollback may take as a whole ends what is left of it (X4).
    run.deadline = attempt.deadline().map_or(own, |whole| whole.min(own));
    let started = Happening::StageStarted { stage_type: spec.stage_type.clone() };
    let event = context.stage_event(&run.at, &run.stage, SYSTEM, started);
    // A pause, a stop or a cancel since the attempt was read lets nothing begin.
    let tx = Transaction::new().check(&loaded.attempt).create(&run).event(event);
    match context.store.commit(tx).await {
        Ok(committed) => Ok(Opened::Run(Box::new(Versioned::created_by(run, &committed)))),
        Err(e) if e.is_conflict() => Ok(Opened::Again),
        Err(e) => Err(e.into()),
    }
}

/// The approval before the deployment, which expressions may read (T35); not looked for where none is asked for.
async fn given_before(context: &Context, loaded: &Loaded) -> Result<Option<Approval>, OperationError> {
    let attempt = &loaded.attempt.record;
    let asked = loaded.environment()?.approvals.as_ref().is_some_and(|a| a.before.is_some());
    if !asked || attempt.is_rollback() {
        return Ok(None);
    }
    context.approval_before(&attempt.at).await
}

/// The record of a stage that begins now, with nothing done yet.
pub(super) fn blank(context: &Context, loaded: &Loaded, spec: &StageSpec) -> StageRun {
    let now = context.now();
    StageRun {
        id: StageRunId::new(context.ids.ulid()),
        at: loaded.attempt.record.at.clone(),
        stage: spec.name.clone(),
        stage_type: spec.stage_type.clone(),
        status: StageStatus::Running,
        started_at: now,
        deadline: now,
        ended_at: None,
        progress: None,
        options: Value::Null,
        plan: Value::Null,
        action: Value::Null,
        output: Value::Null,
        cluster: spec.cluster.clone(),
        carried_from: None,
        has_snapshot: false,
        touched: Vec::new(),
    }
}

/// What a stage's expressions came to.
pub(crate) enum Evaluated {
    /// Its options.
    Options(Value),
    /// Its condition is false.
    Skip(String),
}

/// The condition (T31) and the options, each expression evaluated once (X11); undefined is a failure (T30).
pub(crate) fn evaluate(
    spec: &StageSpec,
    kind: &dyn StageType,
    artifacts: &[Artifact],
    scope: &Value,
) -> Result<Evaluated, String> {
    if let Some(condition) = &spec.condition {
        let value = Template::parse(condition).and_then(|t| t.evaluate(scope));
        match value.map_err(|e| format!("the condition `{condition}`: {e}"))? {
            Value::Bool(true) => {}
            Value::Bool(false) => {
                return Ok(Evaluated::Skip(format!("the condition `{condition}` is false")));
            }
            other => return Err(format!("the condition `{condition}` is {other}, neither true nor false")),
        }
    }
    if let Some(missing) = kind.lacks(&spec.options, artifacts) {
        return Err(missing);
    }
    let verbatim = kind.verbatim(&spec.options);
    let (kept, templates): (Map<String, Value>, Map<String, Value>) =
        spec.options.clone().into_iter().partition(|(key, _)| verbatim.contains(&key.as_str()));
    let evaluated = evaluate_all(&Value::Object(templates), scope).map_err(|p| Problems(p).to_string())?;
    let mut options = match evaluated {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    options.extend(kept);
    Ok(Evaluated::Options(Value::Object(options)))
}

async fn act(
    context: &Context,
    loaded: &Loaded,
    spec: &StageSpec,
    kind: &dyn StageType,
    mut run: Versioned<StageRun>,
) -> Result<StageNext, OperationError> {
    if !run.record.has_snapshot && run.record.plan.is_null() {
        run = match Box::pin(prepare(context, loaded, kind, run.clone())).await {
            Ok(Prepared::Run(run)) => *run,
            Ok(Prepared::Ends(end)) => {
                end_run(context, &run, end.status, Some(end.output), SYSTEM).await?;
                return Ok(StageNext::Ended);
            }
            Err(error) => return verdict(context, &run, error).await,
        };
    }
    let attempt = context.check_fence(&loaded.attempt.record).await?;
    if let Some(cancel) = cancel_of(context, loaded, &attempt, spec, &run.record).await? {
        return end_canceled(context, loaded, &run, &cancel).await;
    }
    let stage = loaded.stage(context, &run.record)?;
    let begun = match kind.begin(&stage).await {
        Ok(begun) => begun,
        Err(error) => {
            if !may_pass(context, &run.record, &error) {
                keep_evidence_of_begin(&stage, kind).await;
            }
            return verdict(context, &run, error).await;
        }
    };
    match begun {
        Begun::Ended(end) => {
            if matches!(end.status, StageStatus::Failed { .. }) {
                keep_evidence_of_begin(&stage, kind).await;
            }
            end_run(context, &run, end.status, Some(end.output), SYSTEM).await?;
            Ok(StageNext::Ended)
        }
        Begun::Observe { action, progress } => {
            let next = StageRun { action, progress: Some(progress), ..run.record.clone() };
            context.store.commit(Transaction::new().replace(&run, &next)).await?;
            Ok(StageNext::Observe)
        }
        Begun::Await { question, progress } => ask(context, loaded, &run, question, progress).await,
        Begun::AwaitEnd { action, progress } => {
            let asking = run.record.apply(StageEvent::Asked { approval: None }, context.now());
            let asking = asking.map_err(|e| not_allowed(&run.record, &e))?;
            let next = StageRun { action, progress: Some(progress), ..asking };
            context.store.commit(Transaction::new().replace(&run, &next)).await?;
            Ok(StageNext::Await { timeout_seconds: seconds_left(context, &attempt, &next) })
        }
    }
}

/// An error that may pass is the definition's to retry; any other is the stage's failure, and says why.
pub(super) async fn verdict(
    context: &Context,
    run: &Versioned<StageRun>,
    error: OperationError,
) -> Result<StageNext, OperationError> {
    if may_pass(context, &run.record, &error) {
        return Err(error);
    }
    let status = StageStatus::Failed { reason: error.to_string(), evidence: None };
    end_run(context, run, status, None, SYSTEM).await?;
    Ok(StageNext::Ended)
}

fn may_pass(context: &Context, run: &StageRun, error: &OperationError) -> bool {
    let superseded = matches!(error, OperationError::Superseded);
    superseded || (error.is_retryable() && run.deadline > context.now())
}

/// What came of getting ready.
enum Prepared {
    /// What the stage is about to change is stored.
    Run(Box<Versioned<StageRun>>),
    /// There is nothing to do, or it cannot be done.
    Ends(StageEnd),
}

/// Stores what the stage is about to do, where that is more than one step, and what it is about to change; the first snapshot
/// stays, whatever a second call finds (invariant 9).
async fn prepare(
    context: &Context,
    loaded: &Loaded,
    kind: &dyn StageType,
    run: Versioned<StageRun>,
) -> Result<Prepared, OperationError> {
    let stage = loaded.stage(context, &run.record)?;
    let (plan, targets) = match kind.plan(&stage).await? {
        Planned::Acts => (Value::Null, kind.targets(&stage).await?),
        Planned::Ends(end) => return Ok(Prepared::Ends(end)),
        Planned::Steps(plan) => match plan.stored() {
            Ok(stored) => (stored, plan.touches()),
            Err(end) => return Ok(Prepared::Ends(end)),
        },
    };
    if plan.is_null() && targets.is_empty() {
        return Ok(Prepared::Run(Box::new(run)));
    }
    let mut next = StageRun { plan, ..run.record.clone() };
    if targets.is_empty() {
        let committed = context.store.commit(Transaction::new().replace(&run, &next)).await?;
        return Ok(Prepared::Run(Box::new(run.replaced_by(next, &committed))));
    }
    let taken = stage.sealing_cluster().await?.snapshot(&targets).await?;
    next.touched = taken.taken.iter().map(|entry| entry.object.fingerprint()).collect();
    next.has_snapshot = true;
    match snapshot::store(context, &run, &next, taken).await? {
        Ok(committed) => Ok(Prepared::Run(Box::new(run.replaced_by(next, &committed)))),
        Err(end) => Ok(Prepared::Ends(end)),
    }
}

async fn ask(
    context: &Context,
    loaded: &Loaded,
    run: &Versioned<StageRun>,
    question: Option<Question>,
    progress: String,
) -> Result<StageNext, OperationError> {
    let (release, attempt) = (&loaded.release, &loaded.attempt.record);
    let opened = question.map(|q| approval_of_stage(context, release, attempt, &run.record, q));
    let event = StageEvent::Asked { approval: opened.as_ref().map(|(approval, _)| approval.id.clone()) };
    let asking = run.record.apply(event, context.now()).map_err(|e| not_allowed(&run.record, &e))?;
    let next = StageRun { progress: Some(progress), ..asking };
    let mut tx = Transaction::new().replace(run, &next);
    if let Some((approval, asked)) = opened {
        tx = tx.create(&approval).event(asked);
        // Written even when another stage asks already: that one may be answered just now, and must see this one.
        let event = AttemptEvent::InterventionOpened;
        let opened = loaded.attempt.record.apply(event, SYSTEM, context.now());
        tx = tx.replace(&loaded.attempt, opened.as_ref().unwrap_or(&loaded.attempt.record));
    }
    context.store.commit(tx).await?;
    Ok(StageNext::Await { timeout_seconds: seconds_left(context, &loaded.attempt.record, &next) })
}
