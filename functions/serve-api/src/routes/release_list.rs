//! The list of releases: of one application from its index, of all by merging the applications' lists.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::environment::EnvironmentStatus;
use pilothouse_domain::hold::Hold;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::pipeline::environment_order;
use pilothouse_domain::problem::Problem;
use pilothouse_domain::release::{Release, ReleaseStatus};
use pilothouse_operations::Context;
use pilothouse_operations::view_release::outcome;

use crate::api::{EnvironmentStanding, List, ListReleases, ReleaseSummary, StandingNote};
use crate::extract::{Params, page_size};
use crate::failure::Failure;

/// How many releases are read at once to say how they stand.
const AT_ONCE: usize = 8;

pub(super) async fn list(
    State(context): State<Context>,
    Params(ask): Params<ListReleases>,
) -> Result<Json<List<ReleaseSummary>>, Failure> {
    let limit = page_size(ask.limit, 20);
    let (releases, next) = match &ask.application {
        Some(application) => {
            let cursor = ask.cursor.map(Into::into);
            let page = context.store.releases_of(application, limit, cursor.as_ref()).await?;
            let next = page.next.as_ref().map(ToString::to_string);
            (page.records(), next)
        }
        None => of_all(&context, limit, ask.cursor.as_deref()).await?,
    };
    let holds = holds_of(&context, &releases).await?;
    let summaries =
        stream::iter(releases).map(|release| summary(&context, release, &holds)).buffered(AT_ONCE);
    Ok(Json(List { items: summaries.try_collect().await?, next }))
}

/// What is held in each environment, by application and name.
type Holds = BTreeMap<(String, String), Vec<Hold>>;

/// Those of all environments that these releases may still go to, each read once.
async fn holds_of(context: &Context, releases: &[Release]) -> Result<Holds, Failure> {
    let places: BTreeSet<(String, String)> = releases
        .iter()
        .filter(|release| release.status == ReleaseStatus::Active)
        .flat_map(|r| r.spec.environments.iter().map(|e| (r.application.clone(), e.name.clone())))
        .collect();
    let read = stream::iter(places).map(|place| async {
        let holds = context.store.holds(&place.0, &place.1).await?;
        Ok::<_, Failure>((place, holds.into_iter().map(|hold| hold.record).collect()))
    });
    read.buffered(AT_ONCE).try_collect().await
}

async fn summary(context: &Context, release: Release, holds: &Holds) -> Result<ReleaseSummary, Failure> {
    let attempts: Vec<Attempt> =
        context.store.attempts(&release.id).await?.into_iter().map(|a| a.record).collect();
    let approvals: Vec<_> =
        context.store.approvals(&release.id).await?.into_iter().map(|a| a.record).collect();
    let specs = &release.spec.environments;
    let order = environment_order(specs).into_iter().map(|i| specs[i].name.as_str());
    let environments = order.map(|name| standing(&release, &attempts, holds, name)).collect();
    Ok(ReleaseSummary {
        status: release.status,
        outcome: outcome(&attempts, &approvals),
        trigger: release.cause.summary(),
        environments,
        id: release.id,
        application: release.application,
        pipeline: release.pipeline,
        revision: release.revision,
        artifacts: release.artifacts,
        created_at: release.created_at,
    })
}

/// How the release stands in an environment.
fn standing(release: &Release, attempts: &[Attempt], holds: &Holds, name: &str) -> EnvironmentStanding {
    let latest = attempts.iter().filter(|a| a.at.environment == name).max_by_key(|a| a.at.number);
    let waits = release.status == ReleaseStatus::Active && !release.skipped.contains(name);
    let note = match latest {
        Some(latest) if latest.is_rollback() && latest.state.is_success() => Some(StandingNote::RolledBack),
        None if waits => {
            let held = holds.get(&(release.application.clone(), name.to_owned()));
            held.into_iter().flatten().any(|hold| hold.holds(release)).then_some(StandingNote::Held)
        }
        _ => None,
    };
    EnvironmentStanding { name: name.to_owned(), status: EnvironmentStatus::derive(latest), note }
}

/// The newest releases of all applications that have a pipeline, older than the release named by `cursor`.
async fn of_all(
    context: &Context,
    limit: u32,
    cursor: Option<&str>,
) -> Result<(Vec<Release>, Option<String>), Failure> {
    let before: Option<ReleaseId> = cursor.map(str::parse).transpose().map_err(|_| {
        Failure::invalid(vec![Problem::new("cursor", "the cursor does not belong to this list")])
    })?;
    let applications = applications(context).await?;
    // One more than asked for says whether there are more.
    let wanted = limit as usize + 1;
    let lists = applications.iter().map(|a| newest_before(context, a, before.as_ref(), wanted));
    let mut releases: Vec<Release> = try_join_all(lists).await?.into_iter().flatten().collect();
    releases.sort_by(|a, b| b.id.cmp(&a.id));
    let more = releases.len() >= wanted;
    releases.truncate(limit as usize);
    let next = releases.last().filter(|_| more).map(|last| last.id.to_string());
    Ok((releases, next))
}

async fn applications(context: &Context) -> Result<BTreeSet<String>, Failure> {
    let mut applications = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = context.store.pipelines(None, 100, cursor.as_ref()).await?;
        cursor = page.next.clone();
        applications.extend(page.records().into_iter().map(|head| head.application));
        if cursor.is_none() {
            return Ok(applications);
        }
    }
}

/// The `wanted` newest releases of an application whose ids come before `before`. Ids sort by time.
async fn newest_before(
    context: &Context,
    application: &str,
    before: Option<&ReleaseId>,
    wanted: usize,
) -> Result<Vec<Release>, Failure> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let size = u32::try_from(wanted).unwrap_or(100).clamp(1, 100);
        let page = context.store.releases_of(application, size, cursor.as_ref()).await?;
        cursor = page.next.clone();
        found.extend(page.records().into_iter().filter(|r| before.is_none_or(|b| r.id < *b)));
        if found.len() >= wanted || cursor.is_none() {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}
