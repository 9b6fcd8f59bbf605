//! Who is under way at once, and who waits: lanes (X2), limits (A19, A20) and freezes (X14).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pilothouse_domain::lane::LaneName;
use pilothouse_domain::token::Permission;
use pilothouse_operations::lanes::{limited, list_lanes, view_lane};
use pilothouse_operations::{Context, StartFreeze, lift_freeze, list_freezes, set_limit, start_freeze};

use crate::api::{AddFreeze, FreezeView, LaneView, List, ListLanes, SetLimit};
use crate::auth::Caller;
use crate::extract::{JsonBody, Params, Segments};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    let mut all = lanes();
    all.extend(limits());
    all.extend(freezes());
    all
}

fn lanes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/lanes",
            "listLanes",
            "List the lanes in which something is under way, and the limits.",
        )
        .query::<ListLanes>()
        .answers::<List<LaneView>>(200, "The lanes.")
        .handled_by(list),
        Route::get(
            "/v1/environments/{application}/{environment}/lane",
            "getLane",
            "Show who holds an environment, and who waits for it.",
        )
        .answers::<LaneView>(200, "The lane.")
        .handled_by(lane),
    ]
}

fn limits() -> Vec<Route> {
    vec![
        Route::get("/v1/limits", "listLimits", "List how much may be under way at once, and what is.")
            .answers::<List<LaneView>>(200, "The limits; what is not limited is not in it.")
            .handled_by(limited_lanes),
        Route::put(
            "/v1/limits/installation",
            "limitInstallation",
            "Limit how many deployments are under way in the installation.",
        )
        .takes::<SetLimit>()
        .answers::<LaneView>(200, "The limit, with what is under way.")
        .handled_by(limit_installation),
        Route::delete("/v1/limits/installation", "unlimitInstallation", "Lift the installation's limit.")
            .handled_by(unlimit_installation),
        Route::put(
            "/v1/limits/clusters/{cluster}",
            "limitCluster",
            "Limit how many deployments are under way in a cluster.",
        )
        .takes::<SetLimit>()
        .answers::<LaneView>(200, "The limit, with what is under way.")
        .handled_by(limit_cluster),
        Route::delete("/v1/limits/clusters/{cluster}", "unlimitCluster", "Lift a cluster's limit.")
            .handled_by(unlimit_cluster),
    ]
}

fn freezes() -> Vec<Route> {
    vec![
        Route::get("/v1/freezes", "listFreezes", "List the freezes that are not over.")
            .answers::<List<FreezeView>>(200, "The freezes, the oldest first.")
            .handled_by(list_all_freezes),
        Route::post("/v1/freezes", "addFreeze", "Stop the line: no deployment that is covered begins.")
            .needs(Permission::Operate)
            .takes::<AddFreeze>()
            .answers::<FreezeView>(201, "The freeze.")
            .handled_by(add_freeze),
        Route::delete(
            "/v1/freezes/{freeze}",
            "liftFreeze",
            "Let the line go on. A freeze of somebody else needs the permission `administer`.",
        )
        .needs(Permission::Operate)
        .answers::<FreezeView>(200, "The freeze that was lifted.")
        .handled_by(lift),
    ]
}

async fn list(
    State(context): State<Context>,
    Params(ask): Params<ListLanes>,
) -> Result<Json<List<LaneView>>, Failure> {
    Ok(Json(List::whole(list_lanes(&context, ask.application.as_deref()).await?)))
}

async fn lane(
    State(context): State<Context>,
    Segments((application, environment)): Segments<(String, String)>,
) -> Result<Json<LaneView>, Failure> {
    Ok(Json(view_lane(&context, &LaneName::environment(&application, &environment)).await?))
}

async fn limited_lanes(State(context): State<Context>) -> Result<Json<List<LaneView>>, Failure> {
    Ok(Json(List::whole(limited(&context).await?)))
}

async fn limit(context: &Context, lane: LaneName, ask: SetLimit) -> Result<Json<LaneView>, Failure> {
    set_limit(context, &lane, Some(ask.at_once)).await?;
    Ok(Json(view_lane(context, &lane).await?))
}

async fn unlimit(context: &Context, lane: LaneName) -> Result<StatusCode, Failure> {
    set_limit(context, &lane, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn limit_installation(
    State(context): State<Context>,
    JsonBody(ask): JsonBody<SetLimit>,
) -> Result<Json<LaneView>, Failure> {
    limit(&context, LaneName::Installation {}, ask).await
}

async fn unlimit_installation(State(context): State<Context>) -> Result<StatusCode, Failure> {
    unlimit(&context, LaneName::Installation {}).await
}

async fn limit_cluster(
    State(context): State<Context>,
    Segments(name): Segments<String>,
    JsonBody(ask): JsonBody<SetLimit>,
) -> Result<Json<LaneView>, Failure> {
    limit(&context, LaneName::Cluster { name }, ask).await
}

async fn unlimit_cluster(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Failure> {
    unlimit(&context, LaneName::Cluster { name }).await
}

async fn list_all_freezes(State(context): State<Context>) -> Result<Json<List<FreezeView>>, Failure> {
    Ok(Json(List::whole(list_freezes(&context).await?)))
}

async fn add_freeze(
    State(context): State<Context>,
    Caller(who): Caller,
    JsonBody(ask): JsonBody<AddFreeze>,
) -> Result<(StatusCode, Json<FreezeView>), Failure> {
    let AddFreeze { application, environment, cluster, reason, until } = ask;
    let ask = StartFreeze { application, environment, cluster, reason, until };
    Ok((StatusCode::CREATED, Json(start_freeze(&context, &ask, &who.name).await?)))
}

async fn lift(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(freeze): Segments<String>,
) -> Result<Json<FreezeView>, Failure> {
    let id = freeze.parse().map_err(|_| {
        let shown: String = freeze.chars().take(60).collect();
        Failure::not_found(&format!("freeze `{shown}`"), "list freezes with `pilothouse freeze ls`")
    })?;
    let anybodys = who.role.allows(Permission::Administer);
    Ok(Json(lift_freeze(&context, &id, &who.name, anybodys).await?))
}
