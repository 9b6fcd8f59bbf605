//! What runs for a stage (H9-H12).

use axum::Json;
use axum::extract::State;
use pilothouse_domain::attempt::AttemptRef;
use pilothouse_operations::{Context, stage_workloads};

use crate::api::StageWorkloads;
use crate::extract::{Segments, release_id};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/releases/{release}/environments/{environment}/attempts/{number}/stages/{stage}/workloads",
            "stageWorkloads",
            "Show the workloads, instances and events of a stage: as they are while it runs, as they were when it ended.",
        )
        .answers::<StageWorkloads>(200, "What runs, or ran.")
        .handled_by(workloads),
    ]
}

async fn workloads(
    State(context): State<Context>,
    Segments((release, environment, number, stage)): Segments<(String, String, String, String)>,
) -> Result<Json<StageWorkloads>, Failure> {
    let release = release_id(&release)?;
    let what = format!("attempt `{number}` in `{environment}` of release `{release}`");
    let number: u32 =
        number.parse().map_err(|_| Failure::not_found(&what, "see `pilothouse release show`"))?;
    let at = AttemptRef { release, environment, number };
    Ok(Json(stage_workloads(&context, &at, &stage).await?))
}
