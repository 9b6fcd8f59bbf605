//! The samples of gates (A34-A38).

use axum::Json;
use axum::extract::State;
use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::gate::GateSide;
use pilothouse_operations::Context;

use crate::api::{GateSampleView, List, ListSamples};
use crate::extract::{Params, Segments, page_size, release_id};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/releases/{release}/environments/{environment}/attempts/{number}/gates/{side}/samples",
            "listGateSamples",
            "List the samples of an attempt's gate, the latest first.",
        )
        .query::<ListSamples>()
        .answers::<List<GateSampleView>>(200, "The samples.")
        .handled_by(samples),
    ]
}

async fn samples(
    State(context): State<Context>,
    Segments((release, environment, number, side)): Segments<(String, String, String, String)>,
    Params(ask): Params<ListSamples>,
) -> Result<Json<List<GateSampleView>>, Failure> {
    let release = release_id(&release)?;
    let what = format!("gate `{side}` of attempt `{number}` in `{environment}` of release `{release}`");
    let missing = || Failure::not_found(&what, "see `pilothouse release show`");
    let number: u32 = number.parse().map_err(|_| missing())?;
    let side: GateSide = side.parse().map_err(|_| missing())?;
    let at = AttemptRef { release, environment, number };
    if context.store.gate(&at, side).await?.is_none() {
        return Err(missing());
    }
    let cursor = ask.cursor.map(Into::into);
    let page = context.store.gate_samples(&at, side, page_size(ask.limit, 50), cursor.as_ref()).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    Ok(Json(List { items: page.records().into_iter().map(Into::into).collect(), next }))
}
