//! Holds: what was taken back from an environment does not come there again by itself (X4).

use pilothouse_domain::attempt::{Attempt, AttemptKind};
use pilothouse_domain::hold::Hold;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::problem::Problem;
use pilothouse_domain::release::Release;
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_store::{Transaction, Versioned};

use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// The hold that keeps a release from starting in an environment by itself; of several the latest.
pub(crate) async fn hold_on(
    context: &Context,
    release: &Release,
    environment: &str,
) -> Result<Option<Versioned<Hold>>, OperationError> {
    let holds = context.store.holds(&release.application, environment).await?;
    Ok(holds.into_iter().filter(|h| h.record.holds(release)).max_by_key(|h| h.record.since))
}

/// Of attempts that would start by themselves, those that nothing holds, and the events that say what holds the others.
pub(crate) async fn not_held(
    context: &Context,
    release: &Release,
    attempts: Vec<Attempt>,
) -> Result<(Vec<Attempt>, Vec<EventDraft>), OperationError> {
    let (mut free, mut events) = (Vec::new(), Vec::new());
    for attempt in attempts {
        match hold_on(context, release, &attempt.at.environment).await? {
            None => free.push(attempt),
            Some(hold) => {
                let held =
                    Happening::EnvironmentHeld { held: hold.record.release, reason: hold.record.reason };
                // Nothing was created: the event is the environment's.
                events.push(EventDraft { attempt: None, ..context.event(&attempt.at, SYSTEM, held) });
            }
        }
    }
    Ok((free, events))
}

/// Why an attempt that was started by no person and waited in line must not go on: what it carries was taken back from
/// its environment meanwhile.
pub(crate) async fn held_meanwhile(
    context: &Context,
    attempt: &Attempt,
) -> Result<Option<String>, OperationError> {
    if attempt.kind != AttemptKind::Deploy || attempt.created_by != SYSTEM {
        return Ok(None);
    }
    let release = context.release(&attempt.at.release).await?.record;
    let hold = hold_on(context, &release, &attempt.at.environment).await?;
    Ok(hold.map(|hold| {
        let Hold { release, reason, .. } = hold.record;
        format!("the environment is held since release {release} was rolled back there ({reason})")
    }))
}

/// The hold that an attempt overrode, when the attempt has come to a good end: what was held works there.
pub(crate) async fn outlived(
    context: &Context,
    ended: &Attempt,
) -> Result<Option<(Versioned<Hold>, EventDraft)>, OperationError> {
    let (application, environment) = (&ended.application, &ended.at.environment);
    let Some(held) = ended.overrides.as_ref().filter(|_| ended.state.is_success()) else { return Ok(None) };
    let hold = context.store.hold(application, environment, held).await?;
    // A rollback since then has put it there anew.
    let hold = hold.filter(|hold| hold.record.since <= ended.created_at);
    Ok(hold.map(|hold| {
        let reason = Some(format!("release {} succeeded there", ended.at.release));
        let lifted = context.event(&ended.at, SYSTEM, Happening::HoldLifted { reason });
        let event = EventDraft { release: hold.record.release.clone(), attempt: None, ..lifted };
        (hold, event)
    }))
}

/// The most characters of a reason.
const LONGEST_REASON: usize = 500;

/// A reason as it is recorded: trimmed, and nothing when it says nothing.
///
/// # Errors
/// [`OperationError::Invalid`] when it is too long.
pub(crate) fn checked_reason(reason: Option<&str>) -> Result<Option<String>, OperationError> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        let wrong = Problem::new("reason", format!("a reason has at most {LONGEST_REASON} characters"));
        return Err(OperationError::Invalid(wrong.into()));
    }
    Ok(reason.map(ToOwned::to_owned))
}

/// Which holds of an environment to lift, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiftHolds {
    /// The application.
    pub application: String,
    /// The environment.
    pub environment: String,
    /// The one that the rollback of this release put there; all when absent.
    pub release: Option<ReleaseId>,
    /// Why.
    pub reason: String,
}

/// Lifts holds of an environment; gives what was lifted. Releases that were held do not start by that: deploy them.
///
/// # Errors
/// [`OperationError::Invalid`] without a reason; [`OperationError::Conflicting`] when nothing is held there;
/// [`OperationError`].
pub async fn lift_holds(context: &Context, ask: &LiftHolds, by: &str) -> Result<Vec<Hold>, OperationError> {
    let LiftHolds { application, environment, release, reason } = ask;
    let Some(reason) = checked_reason(Some(reason))? else {
        let missing = Problem::new("reason", "a hold is lifted for a reason").with_hint("say which");
        return Err(OperationError::Invalid(missing.into()));
    };
    let mut holds = context.store.holds(application, environment).await?;
    holds.retain(|hold| release.as_ref().is_none_or(|release| hold.record.release == *release));
    let mut lifted = Vec::new();
    for hold in holds {
        let event = EventDraft {
            release: hold.record.release.clone(),
            at: context.now(),
            actor: by.to_owned(),
            environment: Some(environment.clone()),
            attempt: None,
            stage: None,
            what: Happening::HoldLifted { reason: Some(reason.clone()) },
        };
        match context.store.commit(Transaction::new().delete(&hold).event(event)).await {
            Ok(_) => lifted.push(hold.record),
            // Somebody else lifted it, or a newer rollback put it there anew.
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
    }
    if lifted.is_empty() {
        let of = release.as_ref().map(|release| format!(" since {release} was rolled back there"));
        return Err(OperationError::Conflicting(format!(
            "cannot lift: nothing is held in `{environment}` of `{application}`{}; see `pilothouse hold ls {application} {environment}`",
            of.unwrap_or_default()
        )));
    }
    Ok(lifted)
}
