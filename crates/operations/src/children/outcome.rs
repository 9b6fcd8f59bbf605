//! What a release came to, for the stage that started it and waits.

use pilothouse_domain::approval::Approval;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::environment::EnvironmentStatus;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::StageRun;
use serde_json::{Map, Value, json};

use super::is_at_rest;
use crate::stage_steps::scope;
use crate::view_release::{Outcome, latest_of_each_environment, outcome};
use crate::{Context, OperationError};

/// How much of what a release's stages gave is handed to the stage above, as JSON. A run's record holds it.
const MOST_OUTPUT: usize = 32 * 1024;

/// What a release that is at rest came to.
pub(crate) struct ChildEnd {
    /// Over all its environments.
    pub(crate) outcome: Outcome,
    /// The release as people call it.
    pub(crate) named: String,
    /// What went wrong first, if something did.
    pub(crate) reason: Option<String>,
    /// What later stages may read.
    pub(crate) output: Value,
}

/// What the release came to; `None` while it is not at rest, or not there.
///
/// # Errors
/// [`OperationError`] when its records cannot be read.
pub(crate) async fn came_to(context: &Context, id: &ReleaseId) -> Result<Option<ChildEnd>, OperationError> {
    if !is_at_rest(&context.store.attempts(id).await?) {
        return Ok(None);
    }
    let records = context.store.release_records(id).await?;
    let Some(release) = records.all::<Release>()?.into_iter().next() else { return Ok(None) };
    let attempts: Vec<Attempt> = records.all::<Attempt>()?.into_iter().map(|a| a.record).collect();
    let runs: Vec<StageRun> = records.all::<StageRun>()?.into_iter().map(|r| r.record).collect();
    let approvals: Vec<Approval> = records.all::<Approval>()?.into_iter().map(|a| a.record).collect();
    let outcome = outcome(&attempts, &approvals);
    Ok(Some(ChildEnd {
        outcome,
        named: super::named(&release.record),
        reason: reason(&attempts),
        output: output(&release.record, outcome, &attempts, &runs),
    }))
}

/// What a release came to, after its name.
pub(crate) const fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotStarted => "started nothing",
        Outcome::InProgress => "is under way",
        Outcome::AwaitingPerson => "waits for a person",
        Outcome::Succeeded => "succeeded",
        Outcome::PartiallySucceeded => "succeeded in part",
        Outcome::RolledBack => "was rolled back",
        Outcome::Canceled => "was canceled",
        Outcome::Rejected => "was rejected",
        Outcome::Failed => "failed",
    }
}

/// Why the first environment that did not end well did not.
fn reason(attempts: &[Attempt]) -> Option<String> {
    let bad = latest_of_each_environment(attempts).filter(|a| a.is_rollback() || !a.state.is_success());
    let mut told = bad.filter_map(|latest| {
        // A rollback that went well has no reason of its own: what it took back has.
        let undone = attempts.iter().find(|a| a.rolled_back_by.as_ref() == Some(&latest.at));
        let reason = latest.state.reason().or_else(|| undone?.state.reason())?;
        Some(format!("{}: {reason}", latest.at.environment))
    });
    told.next()
}

/// What later stages may read of it: its parameters, its artifacts, and what its environments and their stages came to.
fn output(release: &Release, outcome: Outcome, attempts: &[Attempt], runs: &[StageRun]) -> Value {
    let environment = |attempt: &Attempt| {
        let stages: Map<String, Value> = runs
            .iter()
            .filter(|r| r.at == attempt.at)
            .map(|r| (r.stage.clone(), json!({ "status": r.status.name(), "output": r.output })))
            .collect();
        json!({
            "status": EnvironmentStatus::derive(Some(attempt)),
            "attempt": attempt.at.number,
            "stages": stages,
        })
    };
    let environments: Map<String, Value> = latest_of_each_environment(attempts)
        .map(|attempt| (attempt.at.environment.clone(), environment(attempt)))
        .collect();
    let mut output = json!({
        "release": release.id,
        "application": release.application,
        "pipeline": release.pipeline,
        "revision": release.revision,
        "outcome": outcome,
        "parameters": release.parameters,
        "artifacts": scope::artifacts(release),
        "environments": environments,
    });
    if output.to_string().len() > MOST_OUTPUT {
        let environments = output["environments"].as_object_mut().into_iter().flatten();
        for (_, environment) in environments {
            environment["stages"] = json!({});
        }
        output["cut"] = json!(true);
    }
    output
}
