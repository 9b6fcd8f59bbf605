//! Stopping the line, and letting it go on: freezes (X14).

use jiff::Timestamp;
use pilothouse_domain::attempt::{Attempt, AttemptStatus};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::ids::FreezeId;
use pilothouse_domain::lane::LaneName;
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::release::Release;
use pilothouse_domain::settings::{FreezeOverride, LineStop};
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Record as _, Transaction, Versioned};

use crate::advance::clusters;
use crate::gates::resuming;
use crate::lanes::frozen_place;
use crate::set_limit::change;
use crate::wake::{answer, wake_again};
use crate::{Context, OperationError};

/// The most freezes at once: they share a record.
const MOST: usize = 100;

/// What to freeze, and why.
#[derive(Debug, Clone)]
pub struct StartFreeze {
    /// One application; all when absent.
    pub application: Option<String>,
    /// The environments of one name; all when absent.
    pub environment: Option<String>,
    /// The deployments to one cluster account; all when absent.
    pub cluster: Option<String>,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// Stops the line: no deployment that is covered begins its stages. What deploys already goes on; rollbacks go on.
///
/// # Errors
/// [`OperationError::Invalid`] without a reason, or for an end that has passed; [`OperationError::NotFound`] for a cluster that there
/// is not; [`OperationError::Conflicting`] when there are too many.
pub async fn start_freeze(
    context: &Context,
    ask: &StartFreeze,
    by: &str,
) -> Result<LineStop, OperationError> {
    let now = context.now();
    let mut problems = Vec::new();
    if ask.reason.trim().is_empty() {
        problems.push(Problem::new("reason", "say why: it is shown to all whose deployments wait"));
    }
    if ask.until.is_some_and(|until| until <= now) {
        problems.push(Problem::new("until", "that time has passed"));
    }
    if !problems.is_empty() {
        return Err(OperationError::Invalid(Problems(problems)));
    }
    if let Some(cluster) = &ask.cluster {
        // A freeze of a name that nothing has would hold nothing, and nobody would notice.
        context.clusters.check(cluster).await?;
    }
    let freeze = LineStop {
        id: FreezeId::new(context.ids.ulid()),
        application: ask.application.clone(),
        environment: ask.environment.clone(),
        cluster: ask.cluster.clone(),
        reason: ask.reason.trim().to_owned(),
        by: by.to_owned(),
        since: now,
        until: ask.until,
    };
    change(context, |settings| {
        settings.freezes.retain(|freeze| !freeze.is_over(now));
        if settings.freezes.len() >= MOST {
            return Err(OperationError::Conflicting(format!(
                "there are {MOST} freezes already; end one with `pilothouse freeze lift`"
            )));
        }
        settings.freezes.push(freeze.clone());
        Ok(())
    })
    .await?;
    Ok(freeze)
}

/// The freezes that are not over, the oldest first.
///
/// # Errors
/// [`OperationError`] when they cannot be read.
pub async fn list_freezes(context: &Context) -> Result<Vec<LineStop>, OperationError> {
    let now = context.now();
    let freezes = context.settings().await?.freezes;
    Ok(freezes.into_iter().filter(|freeze| !freeze.is_over(now)).collect())
}

/// Lifts a freeze; what it held, and no other one holds, goes on. Whoever stopped the line may let it go on; others need
/// `anybodys`.
///
/// # Errors
/// [`OperationError::NotFound`] when there is none of that id, or it is over; [`OperationError::Conflicting`] when it is
/// somebody else's, and that is not allowed.
pub async fn lift_freeze(
    context: &Context,
    id: &FreezeId,
    by: &str,
    anybodys: bool,
) -> Result<LineStop, OperationError> {
    let now = context.now();
    let lifted = change(context, |settings| {
        let place = settings.freezes.iter().position(|freeze| freeze.id == *id && !freeze.is_over(now));
        let place = place.ok_or_else(|| OperationError::NotFound {
            what: format!("freeze `{id}`"),
            hint: "list freezes with `pilothouse freeze ls`".to_owned(),
        })?;
        let freeze = &settings.freezes[place];
        if freeze.by != by && !anybodys {
            return Err(OperationError::Conflicting(format!(
                "the line was stopped by {}: ask them, or an administrator, to lift freeze `{id}`",
                freeze.by
            )));
        }
        Ok(settings.freezes.remove(place))
    })
    .await?;
    // In the order of arrival, so that who waited longest asks first.
    for held in context.store.waiting(&LaneName::Freeze {}).await? {
        match context.store.attempt(&held.record.attempt).await? {
            Some(attempt) if attempt.record.frozen.is_some() && !attempt.record.state.is_terminal() => {
                answer(context, &attempt.record.at, &Awaited::Freeze {}).await?;
            }
            _ => {
                let gone = Transaction::new().delete_key(held.record.key());
                context.store.commit(gone).await?;
            }
        }
    }
    Ok(lifted)
}

/// Checks that a deployment may be given the right to begin in spite of freezes: one that nothing holds needs none, and would
/// only pass those before it in line.
///
/// # Errors
/// [`OperationError::Invalid`] without a reason; [`OperationError::Conflicting`] when no freeze covers it now.
pub(crate) async fn check_override(
    context: &Context,
    release: &Release,
    attempt: &Attempt,
    ask: &FreezeOverride,
) -> Result<(), OperationError> {
    if ask.reason.trim().is_empty() {
        let problem = Problem::new("overrideFreeze", "say why: it is recorded");
        return Err(OperationError::Invalid(Problems(vec![problem])));
    }
    let settings = context.settings().await?;
    let free = Attempt { freeze_override: None, ..attempt.clone() };
    match settings.freeze_of(&free, &clusters(release, attempt), context.now()) {
        Some(_) => Ok(()),
        None => Err(OperationError::Conflicting(format!(
            "cannot override: no freeze covers `{}`; deploy without it",
            attempt.at.environment
        ))),
    }
}

/// Lets a deployment that has not begun begin in spite of every freeze, before all others in its line; who and why is
/// recorded. `None`: it changed meanwhile.
///
/// # Errors
/// [`OperationError::Conflicting`] when it has begun or ended, or no freeze covers it.
pub(crate) async fn override_freeze(
    context: &Context,
    release: &Release,
    attempt: &Versioned<Attempt>,
    ask: &FreezeOverride,
) -> Result<Option<Attempt>, OperationError> {
    let (at, state) = (&attempt.record.at, &attempt.record.state);
    if state.status() != AttemptStatus::NotDeployed || state.is_terminal() {
        return Err(OperationError::Conflicting(format!(
            "cannot override the freeze: attempt {} to `{}` is {:?}, and no freeze holds that",
            at.number,
            at.environment,
            state.status()
        )));
    }
    check_override(context, release, &attempt.record, ask).await?;
    let next = Attempt {
        freeze_override: Some(ask.clone()),
        frozen: None,
        last_modified_by: ask.by.clone(),
        ..attempt.record.clone()
    };
    let overridden = Happening::FreezeOverridden { reason: ask.reason.trim().to_owned() };
    let mut tx = Transaction::new()
        .replace(attempt, &next)
        .delete_key(frozen_place(context, &next).key())
        .event(context.event(at, &ask.by, overridden));
    // Who is urgent stands elsewhere in the line.
    if let Some(stand) = context.stand_of(&next).await?
        && let Some(place) = context.store.place_in_line(&stand.place(context, &attempt.record)).await?
        && !place.record.urgent
    {
        tx = tx.delete(&place).put(&stand.place(context, &next));
    }
    let tx = resuming(context, &next, tx).await?;
    if !context.commit(tx).await? {
        return Ok(None);
    }
    wake_again(context, &next).await?;
    Ok(Some(next))
}
