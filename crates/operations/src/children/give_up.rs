//! The stage that waits for a release gives it up: it was cancelled, ran out of time, or its machinery broke. What the
//! release has under way is cancelled with it, and nothing follows.

use std::time::Duration;

use jiff::Timestamp;
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::duration::Span;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::Versioned;

use super::outcome::in_words;
use super::{is_at_rest, named};
use crate::cancel_deployment::{Why, cancel};
use crate::load::SYSTEM;
use crate::view_release::outcome;
use crate::{Context, OperationError};

/// For how long it is watched until it is at rest: less than a stage may take to say what it leaves behind.
const WITHIN: Span = Span::from_secs(8);

/// How long between two looks.
const LOOK_UP: Duration = Duration::from_millis(250);

/// An environment that follows on another is created with what was read just before: so late may it come.
const SLACK: Span = Span::from_secs(10);

/// Cancels what the release has under way, waits a little until it is at rest, and says how it stands; `None` when there
/// is no such release. A rollback is left to come to its end: half of one is worse than either.
///
/// # Errors
/// [`OperationError`] when it cannot be read or cancelled; what has ended meanwhile is no error.
pub(crate) async fn put_to_rest(
    context: &Context,
    id: &ReleaseId,
    by: &str,
    at_most: Option<Timestamp>,
) -> Result<Option<String>, OperationError> {
    let Some(release) = context.store.release(id).await? else { return Ok(None) };
    let until = WITHIN.after(context.now());
    let until = at_most.map_or(until, |at_most| at_most.min(until));
    loop {
        let attempts = context.store.attempts(id).await?;
        if is_at_rest(&attempts) || until <= context.now() {
            return Ok(Some(stands(&release.record, attempts)));
        }
        let under_way: Vec<&Attempt> =
            attempts.iter().map(|a| &a.record).filter(|attempt| may_be_canceled(attempt)).collect();
        cancel_all(context, &release.record, &under_way, by).await?;
        tokio::time::sleep(LOOK_UP).await;
    }
}

fn may_be_canceled(attempt: &Attempt) -> bool {
    !attempt.state.is_terminal() && !attempt.is_canceling() && !attempt.is_rollback()
}

async fn cancel_all(
    context: &Context,
    release: &Release,
    attempts: &[&Attempt],
    by: &str,
) -> Result<(), OperationError> {
    let Some(parent) = release.cause.parent() else { return Ok(()) };
    for attempt in attempts {
        let told = Some(Happening::ParentGaveUp { parent: parent.release.clone() });
        match cancel(context, &attempt.at, by, Why { told, rollback: None }).await {
            // It ended just before, or somebody else cancels it.
            Ok(_) | Err(OperationError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How the release stands, for people.
fn stands(release: &Release, attempts: Vec<Versioned<Attempt>>) -> String {
    let attempts: Vec<Attempt> = attempts.into_iter().map(|a| a.record).collect();
    let open: Vec<&str> =
        attempts.iter().filter(|a| a.completed_at.is_none()).map(|a| a.at.environment.as_str()).collect();
    if open.is_empty() {
        return format!("{} {}", named(release), in_words(outcome(&attempts, &[])));
    }
    format!("{} is still being canceled in {}", named(release), open.join(", "))
}

/// Whether the stage that waited for the release of this attempt ended without it: then nothing follows on the attempt.
/// What people start in the release after that is theirs.
///
/// # Errors
/// [`OperationError`] when the stage's run cannot be read.
pub(crate) async fn given_up(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
) -> Result<bool, OperationError> {
    let Some(parent) = release.cause.parent().filter(|parent| parent.waited) else { return Ok(false) };
    let Some(run) = context.store.stage_run(&parent.at(), &parent.stage).await? else { return Ok(false) };
    // A stage that heard of the release's end has it in its output.
    let heard = run.record.output.get("outcome").is_some();
    let ended = run.record.ended_at.filter(|_| run.record.status.is_terminal() && !heard);
    Ok(ended.is_some_and(|ended| attempt.created_at <= SLACK.after(ended)))
}

/// Cancels an attempt whose release was given up by the stage that waited for it, if its own end was lost on the way:
/// the process died, or the stage ended by other means than its own steps. Says whether it did.
///
/// # Errors
/// [`OperationError`].
pub(crate) async fn heed_parent(context: &Context, attempt: &Attempt) -> Result<bool, OperationError> {
    if !may_be_canceled(attempt) {
        return Ok(false);
    }
    let release = context.release(&attempt.at.release).await?.record;
    let given_up = given_up(context, &release, attempt).await?;
    if given_up {
        cancel_all(context, &release, &[attempt], SYSTEM).await?;
    }
    Ok(given_up)
}
