//! Releases that would wait for each other's environments (T36): a deployment to `staging` waits for a release that goes to
//! `prod`, while one to `prod` waits for a release that goes to `staging`.

use std::collections::BTreeSet;

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::lane::LaneName;
use pilothouse_domain::pipeline::{EnvironmentSpec, Start, environment_order};
use pilothouse_domain::release::Release;

use super::named;
use crate::stages::pipeline::NAME;
use crate::{Context, OperationError};

/// The most environments that are looked at: what is not found by then ends with the stage's timeout.
const MOST_PLACES: usize = 100;

/// An environment of an application that a release goes to.
pub(super) struct Place {
    application: String,
    environment: String,
    at_once: Option<u32>,
}

impl Place {
    /// That environment of `application`.
    pub(super) fn of(application: &str, spec: &EnvironmentSpec) -> Self {
        let (application, environment) = (application.to_owned(), spec.name.clone());
        Self { application, environment, at_once: spec.lane.at_once() }
    }

    fn key(&self) -> (String, String) {
        (self.application.clone(), self.environment.clone())
    }
}

/// The release, in words, that would have to end before one that goes to `targets` does, and that waits itself for an
/// environment in `held` (application and name); and that environment.
///
/// What others start in this very moment is not seen: the stage's timeout ends that.
///
/// # Errors
/// [`OperationError`] when the records cannot be read.
pub(super) async fn leads_back(
    context: &Context,
    targets: Vec<Place>,
    held: &BTreeSet<(String, String)>,
) -> Result<Option<(String, String)>, OperationError> {
    let mut seen: BTreeSet<(String, String)> = targets.iter().map(Place::key).collect();
    let mut ahead = targets;
    while let Some(place) = ahead.pop() {
        for holder in holders(context, &place).await? {
            for child in waited_for(context, &holder).await? {
                for next in places_ahead(context, &child).await? {
                    if held.contains(&next.key()) && !holders(context, &next).await?.is_empty() {
                        return Ok(Some((named(&child), next.environment)));
                    }
                    if seen.len() < MOST_PLACES && seen.insert(next.key()) {
                        ahead.push(next);
                    }
                }
            }
        }
    }
    Ok(None)
}

/// Those who must let go of an environment before anybody else comes in.
async fn holders(context: &Context, place: &Place) -> Result<Vec<AttemptRef>, OperationError> {
    let lane = LaneName::environment(&place.application, &place.environment);
    let lease = context.store.lease(&lane).await?.filter(|lease| lease.record.room(place.at_once) == 0);
    Ok(lease.map_or_else(Vec::new, |l| l.record.holders.into_iter().map(|holder| holder.attempt).collect()))
}

/// The releases that stages of the attempt wait for.
async fn waited_for(context: &Context, at: &AttemptRef) -> Result<Vec<Release>, OperationError> {
    let mut found = Vec::new();
    for run in context.store.stage_runs(at).await? {
        if run.record.stage_type == NAME && !run.record.status.is_terminal() {
            let child = context.store.release(&ReleaseId::of_child(&run.record.id)).await?;
            found.extend(child.map(|child| child.record));
        }
    }
    Ok(found)
}

/// Where the release has yet to come to an end.
async fn places_ahead(context: &Context, release: &Release) -> Result<Vec<Place>, OperationError> {
    let attempts = context.store.attempts(&release.id).await?;
    let latest = |name: &str| {
        let here = attempts.iter().filter(|a| a.record.at.environment == name);
        here.max_by_key(|a| a.record.at.number)
    };
    let specs = &release.spec.environments;
    let (mut ahead, mut leads_on) = (BTreeSet::new(), BTreeSet::new());
    for spec in environment_order(specs).into_iter().map(|index| &specs[index]) {
        let may_follow = spec.after.iter().all(|before| leads_on.contains(before.as_str()));
        let untouched = may_follow && spec.start == Start::Automatic;
        let (goes_there, leads) = match latest(&spec.name).map(|a| &a.record) {
            // Nothing follows a rollback.
            Some(attempt) if attempt.completed_at.is_none() => (true, !attempt.is_rollback()),
            Some(attempt) => (false, attempt.state.is_success() && !attempt.is_rollback()),
            None if release.skipped.contains(&spec.name) => (false, may_follow),
            None => (untouched, untouched),
        };
        if goes_there {
            ahead.insert(spec.name.as_str());
        }
        if leads {
            leads_on.insert(spec.name.as_str());
        }
    }
    let ahead = specs.iter().filter(|spec| ahead.contains(spec.name.as_str()));
    Ok(ahead.map(|spec| Place::of(&release.application, spec)).collect())
}
