//! What a release would do, before it does it (X6).

use axum::Json;
use axum::extract::State;
use pilothouse_domain::release::Cause;
use pilothouse_domain::token::Permission;
use pilothouse_operations::Context;
use pilothouse_operations::preview::{Preview, preview_release, preview_start};

use super::releases::asked_for;
use crate::api::{PreviewOf, Previews, StartRelease};
use crate::auth::Caller;
use crate::extract::{JsonBody, Params, Segments, release_id};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/previews",
            "previewStart",
            "Tell what a release would do if it were started now; nothing is started, and no cluster is changed.",
        )
        .needs(Permission::Operate)
        .takes::<StartRelease>()
        .query::<PreviewOf>()
        .answers::<Previews>(200, "What it would do in each environment.")
        .handled_by(start),
        Route::get(
            "/v1/releases/{release}/environments/{environment}/preview",
            "previewDeployment",
            "Tell what deploying a release to an environment would do now; no cluster is changed.",
        )
        // Who is asked to approve it wants to see it.
        .needs(Permission::Decide)
        .answers::<Preview>(200, "What it would do.")
        .handled_by(deployment),
    ]
}

async fn start(
    State(context): State<Context>,
    Caller(who): Caller,
    Params(of): Params<PreviewOf>,
    JsonBody(ask): JsonBody<StartRelease>,
) -> Result<Json<Previews>, Failure> {
    let asked = asked_for(&context, &ask, Cause::Manual { by: who.name }).await?;
    let environments = preview_start(&context, asked, of.environment.as_deref()).await?;
    Ok(Json(Previews { environments }))
}

async fn deployment(
    State(context): State<Context>,
    Segments((release, environment)): Segments<(String, String)>,
) -> Result<Json<Preview>, Failure> {
    Ok(Json(preview_release(&context, &release_id(&release)?, &environment).await?))
}
