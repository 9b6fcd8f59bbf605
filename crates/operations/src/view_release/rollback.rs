//! What a release is told of rollbacks: how one goes about it, and what it holds from then on (V1, X4).

use futures::future::try_join_all;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::hold::Hold;
use pilothouse_domain::pipeline::EnvironmentSpec;
use pilothouse_domain::release::Release;

use super::ReleaseRecords;
use super::types::{HoldView, RollbackView};
use crate::{Context, OperationError};

/// What is held in the environments of a release.
pub(super) async fn holds(context: &Context, release: &Release) -> Result<Vec<Hold>, OperationError> {
    let names = release.spec.environments.iter().map(|environment| environment.name.as_str());
    let all = try_join_all(names.map(|name| context.store.holds(&release.application, name))).await?;
    Ok(all.into_iter().flatten().map(|hold| hold.record).collect())
}

/// The hold that keeps the release from starting in an environment by itself. One that was deployed there nevertheless is
/// not held any more.
pub(super) fn hold_on(
    records: &ReleaseRecords,
    spec: &EnvironmentSpec,
    latest: Option<&Attempt>,
) -> Option<HoldView> {
    if latest.is_some_and(|latest| !latest.is_rollback()) {
        return None;
    }
    let here = records.holds.iter().filter(|hold| hold.environment == spec.name);
    let hold = here.filter(|hold| hold.holds(&records.release)).max_by_key(|hold| hold.since)?;
    Some(HoldView { release: hold.release.clone(), reason: hold.reason.clone(), since: hold.since })
}

/// How a rollback goes about it.
pub(super) fn rollback(attempt: &Attempt) -> Option<RollbackView> {
    let terms = attempt.rollback_terms()?;
    Some(RollbackView {
        restores: terms.restores.clone(),
        pipeline: terms.pipeline.as_ref().map(|pipeline| pipeline.name.clone()),
        revision: terms.pipeline.as_ref().map(|pipeline| pipeline.revision),
        note: terms.note.clone(),
        deadline: attempt.deadline().filter(|_| !attempt.state.is_terminal()),
    })
}
