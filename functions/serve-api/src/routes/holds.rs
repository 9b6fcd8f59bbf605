//! What is held in an environment, and lifting it (X4).

use axum::Json;
use axum::extract::State;
use pilothouse_domain::token::Permission;
use pilothouse_operations::{Context, LiftHolds, lift_holds};

use crate::api::{Hold, LiftHold, List};
use crate::auth::Caller;
use crate::extract::{JsonBody, Segments};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/environments/{application}/{environment}/holds",
            "listHolds",
            "List what was taken back from an environment and does not come there again by itself.",
        )
        .answers::<List<Hold>>(200, "The holds, that of the oldest release first.")
        .handled_by(list),
        Route::post(
            "/v1/environments/{application}/{environment}/holds/lift",
            "liftHolds",
            "Let what was taken back from an environment come there again by itself.",
        )
        .needs(Permission::Operate)
        .takes::<LiftHold>()
        .answers::<List<Hold>>(
            200,
            "What was lifted. Releases that were held do not start by that: deploy them.",
        )
        .handled_by(lift),
    ]
}

async fn list(
    State(context): State<Context>,
    Segments((application, environment)): Segments<(String, String)>,
) -> Result<Json<List<Hold>>, Failure> {
    let holds = context.store.holds(&application, &environment).await?;
    Ok(Json(List::whole(holds.into_iter().map(|hold| hold.record).collect())))
}

async fn lift(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments((application, environment)): Segments<(String, String)>,
    JsonBody(LiftHold { release, reason }): JsonBody<LiftHold>,
) -> Result<Json<List<Hold>>, Failure> {
    let ask = LiftHolds { application, environment, release, reason };
    Ok(Json(List::whole(lift_holds(&context, &ask, &who.name).await?)))
}
