//! The deployment history of an environment, over all releases (H1).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use futures::future::try_join_all;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::release::Release;
use pilothouse_operations::Context;

use crate::api::{Deployment, History, HistoryEntry, List};
use crate::extract::{Params, Segments, page_size};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/environments/{application}/{environment}/history",
            "deploymentHistory",
            "List what was deployed to an environment, the newest first.",
        )
        .query::<History>()
        .answers::<List<HistoryEntry>>(
            200,
            "The deployments; none for an environment that nothing was deployed to.",
        )
        .handled_by(history),
    ]
}

async fn history(
    State(context): State<Context>,
    Segments((application, environment)): Segments<(String, String)>,
    Params(ask): Params<History>,
) -> Result<Json<List<HistoryEntry>>, Failure> {
    let cursor = ask.cursor.map(Into::into);
    let limit = page_size(ask.limit, 20);
    let page =
        context.store.attempts_of_environment(&application, &environment, limit, cursor.as_ref()).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    let attempts = page.records();
    let current = context.current_deployment(&application, &environment).await?.map(|attempt| attempt.id);
    let releases = releases(&context, attempts.iter().map(|a| &a.at.release)).await?;
    let items = attempts
        .iter()
        .filter_map(|attempt| {
            let release = releases.get(&attempt.at.release)?;
            Some(HistoryEntry {
                deployment: Deployment::from(attempt),
                pipeline: release.pipeline.clone(),
                artifacts: release.artifacts.clone(),
                trigger: release.cause.summary(),
                current: current.as_ref() == Some(&attempt.id),
            })
        })
        .collect();
    Ok(Json(List { items, next }))
}

/// Each of the releases, read once.
async fn releases<'a>(
    context: &Context,
    ids: impl Iterator<Item = &'a ReleaseId>,
) -> Result<BTreeMap<ReleaseId, Release>, Failure> {
    let mut ids: Vec<&ReleaseId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let found = try_join_all(ids.into_iter().map(|id| context.store.release(id))).await?;
    Ok(found.into_iter().flatten().map(|r| (r.record.id.clone(), r.record)).collect())
}
