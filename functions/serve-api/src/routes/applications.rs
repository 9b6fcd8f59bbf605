//! What an application has in its clusters (T6, T7), and the links of its instances (T14).

use axum::Json;
use axum::extract::State;
use pilothouse_operations::{
    Context, application_clusters, application_instances, instance_links, set_instance_links,
};

use crate::api::{ApplicationInstances, ApplicationView, InstanceLinks, ListInstances};
use crate::auth::Caller;
use crate::extract::{JsonBody, Params, Segments};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/applications/{application}/clusters",
            "applicationClusters",
            "Show the clusters, server groups and load balancers of an application, as they are now.",
        )
        .answers::<ApplicationView>(200, "What it has.")
        .handled_by(clusters),
        Route::get(
            "/v1/applications/{application}/instances",
            "applicationInstances",
            "List the instances of an application, each with its links.",
        )
        .query::<ListInstances>()
        .answers::<ApplicationInstances>(200, "The instances.")
        .handled_by(instances),
        Route::get(
            "/v1/applications/{application}/instance-links",
            "getInstanceLinks",
            "Show the links of an application's instances.",
        )
        .answers::<InstanceLinks>(200, "The links; no sections where nobody saved any.")
        .handled_by(links),
        Route::put(
            "/v1/applications/{application}/instance-links",
            "setInstanceLinks",
            "Save the links of an application's instances in the place of those before.",
        )
        .takes::<InstanceLinks>()
        .answers::<InstanceLinks>(200, "The links as they stand now.")
        .handled_by(set_links),
    ]
}

async fn clusters(
    State(context): State<Context>,
    Segments(application): Segments<String>,
) -> Result<Json<ApplicationView>, Failure> {
    Ok(Json(application_clusters(&context, &application).await?))
}

async fn instances(
    State(context): State<Context>,
    Segments(application): Segments<String>,
    Params(ask): Params<ListInstances>,
) -> Result<Json<ApplicationInstances>, Failure> {
    Ok(Json(application_instances(&context, &application, ask.cluster.as_deref()).await?))
}

async fn links(
    State(context): State<Context>,
    Segments(application): Segments<String>,
) -> Result<Json<InstanceLinks>, Failure> {
    Ok(Json(instance_links(&context, &application).await?))
}

async fn set_links(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(application): Segments<String>,
    JsonBody(links): JsonBody<InstanceLinks>,
) -> Result<Json<InstanceLinks>, Failure> {
    Ok(Json(set_instance_links(&context, &application, links, &who.name).await?))
}
