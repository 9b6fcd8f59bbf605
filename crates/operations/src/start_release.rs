//! Starting a release: admitted once per artifact, in one transaction with its first deployments (X1).

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::attempt::{Attempt, AttemptKind};
use pilothouse_domain::duration::Span;
use pilothouse_domain::environment::startable;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::intake::Admission;
use pilothouse_domain::release::{Cause, Release, ReleaseStatus};
use pilothouse_domain::saved::PipelineRevision;
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Transaction, Versioned};

use crate::advance::settle::{new_attempt, queued};
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// For how long the same artifact is not admitted again at least; longer while its release is under way.
const ADMITTED_FOR: Span = Span::from_secs(24 * 3600);

/// What is to be started.
#[derive(Debug, Clone)]
pub struct StartRelease {
    /// The pipeline's revision.
    pub revision: PipelineRevision,
    /// What it carries, complete.
    pub artifacts: Vec<Artifact>,
    /// Its parameters, complete.
    pub parameters: BTreeMap<String, String>,
    /// What started it.
    pub cause: Cause,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// A release was started.
    Started(ReleaseId),
    /// The same was admitted before: this release.
    Before(ReleaseId),
}

/// Creates the release, its first attempts and its admission in one transaction, then starts the executions. A release
/// started by hand is always admitted; others once per artifact, or per fire of a schedule.
///
/// When an execution cannot be started the release stands nevertheless: `sweep` starts what is missing.
///
/// # Errors
/// [`OperationError`] when nothing was written.
pub async fn start_release(context: &Context, ask: StartRelease) -> Result<Admitted, OperationError> {
    let now = context.now();
    let release = Release {
        id: ReleaseId::new(context.ids.ulid()),
        application: ask.revision.spec.application.clone(),
        pipeline: ask.revision.spec.pipeline.clone(),
        revision: ask.revision.revision,
        spec: ask.revision.spec,
        status: ReleaseStatus::Active,
        artifacts: ask.artifacts,
        parameters: ask.parameters,
        cause: ask.cause,
        created_at: now,
    };
    let attempts: Vec<Attempt> = startable(&release.spec.environments, &[])
        .into_iter()
        .map(|e| new_attempt(context, &release, &e.name, 1, AttemptKind::Deploy, SYSTEM))
        .collect();
    let mut tx = Transaction::new();
    let admission = admission(&release, now);
    if let Some(admission) = &admission {
        tx = match over(context, admission).await? {
            Some(earlier) => tx.replace(&earlier, admission),
            None => tx.admit(admission),
        };
    }
    tx = tx.create(&release).event(started(&release));
    for attempt in &attempts {
        tx = tx.create(attempt).event(queued(context, attempt));
    }
    match context.store.commit(tx).await {
        Ok(_) => {}
        Err(e) if e.is_conflict() => return before(context, admission, e).await,
        Err(e) => return Err(e.into()),
    }
    for attempt in &attempts {
        context.executions.start_or_leave(attempt).await;
    }
    Ok(Admitted::Started(release.id))
}

fn admission(release: &Release, now: Timestamp) -> Option<Admission> {
    let pipeline = format!("{}/{}", release.application, release.pipeline);
    match &release.cause {
        Cause::Manual { .. } => None,
        Cause::Cron { trigger, intended } => {
            Some(Admission::of_schedule(&pipeline, trigger, *intended, release.id.clone(), now))
        }
        Cause::Registry { .. } | Cause::Webhook { .. } => Some(Admission::of_artifacts(
            &pipeline,
            &release.artifacts,
            &release.parameters,
            release.id.clone(),
            now,
        )),
    }
}

/// An earlier admission of the same that no longer stands in the way: older than a day, and its release at its end.
async fn over(
    context: &Context,
    admission: &Admission,
) -> Result<Option<Versioned<Admission>>, OperationError> {
    let Some(earlier) = context.store.admission(&admission.key).await? else { return Ok(None) };
    if ADMITTED_FOR.after(earlier.record.admitted_at) > context.now() {
        return Ok(None);
    }
    let attempts = context.store.attempts(&earlier.record.release).await?;
    let open = attempts.iter().any(|a| a.record.completed_at.is_none());
    Ok((!open).then_some(earlier))
}

fn started(release: &Release) -> EventDraft {
    EventDraft {
        release: release.id.clone(),
        at: release.created_at,
        actor: match &release.cause {
            Cause::Registry { hook, .. } | Cause::Webhook { hook, .. } => format!("hook {hook}"),
            Cause::Cron { trigger, .. } => format!("schedule {trigger}"),
            Cause::Manual { by } => by.clone(),
        },
        environment: None,
        attempt: None,
        stage: None,
        what: Happening::ReleaseStarted {
            cause: release.cause.summary(),
            artifacts: release.artifact_summary(),
        },
    }
}

async fn before(
    context: &Context,
    admission: Option<Admission>,
    conflict: pilothouse_store::StoreError,
) -> Result<Admitted, OperationError> {
    let Some(admission) = admission else { return Err(conflict.into()) };
    match context.store.admission(&admission.key).await? {
        Some(earlier) => Ok(Admitted::Before(earlier.record.release)),
        None => Err(conflict.into()),
    }
}
