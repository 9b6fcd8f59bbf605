//! Point operations: scale, restart, stop, start, undo a rollout, without a pipeline file (T3).

use axum::extract::State;
use pilothouse_domain::token::Permission;
use pilothouse_operations::{Context, start_point_operation};

use super::releases::{Created, created};
use crate::api::{PointOperation, StartedRelease};
use crate::auth::Caller;
use crate::extract::{JsonBody, Segments};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/environments/{application}/{environment}/operations",
            "startPointOperation",
            "Scale, restart, stop or start a workload, or undo its rollout: a release of one stage.",
        )
        .needs(Permission::Operate)
        .takes::<PointOperation>()
        .answers::<StartedRelease>(201, "The release that carries it out.")
        .handled_by(start),
    ]
}

async fn start(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments((application, environment)): Segments<(String, String)>,
    JsonBody(ask): JsonBody<PointOperation>,
) -> Result<Created, Failure> {
    let asked = pilothouse_operations::PointOperation {
        application,
        environment,
        pipeline: ask.pipeline,
        stage_type: ask.stage_type,
        options: ask.options,
        administers: who.role.allows(Permission::Administer),
        by: who.name,
    };
    Ok(created(start_point_operation(&context, asked).await?))
}
