//! Cluster accounts: added, verified, listed, removed (T9, T10).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pilothouse_operations::{
    Context, get_cluster, list_clusters, remove_cluster, set_cluster, verify_cluster,
};

use crate::api::{ClusterView, List, ListClusters, SetCluster};
use crate::auth::Caller;
use crate::extract::{JsonBody, Params, Segments, page_size};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/clusters", "listClusters", "List cluster accounts, by name.")
            .query::<ListClusters>()
            .answers::<List<ClusterView>>(200, "The accounts.")
            .handled_by(list),
        Route::put(
            "/v1/clusters/{cluster}",
            "setCluster",
            "Add a cluster account, or change how it is reached; the cluster is asked what it allows.",
        )
        .takes::<SetCluster>()
        .answers::<ClusterView>(200, "The account, verified or with the reason why not.")
        .handled_by(set),
        Route::get("/v1/clusters/{cluster}", "getCluster", "Show a cluster account.")
            .answers::<ClusterView>(200, "The account.")
            .handled_by(get),
        Route::post("/v1/clusters/{cluster}/verify", "verifyCluster", "Ask a cluster anew what it allows.")
            .answers::<ClusterView>(200, "The account, verified or with the reason why not.")
            .handled_by(verify),
        Route::delete(
            "/v1/clusters/{cluster}",
            "deleteCluster",
            "Remove a cluster account that nothing uses.",
        )
        .handled_by(delete),
    ]
}

async fn list(
    State(context): State<Context>,
    Params(ask): Params<ListClusters>,
) -> Result<Json<List<ClusterView>>, Failure> {
    let cursor = ask.cursor.map(Into::into);
    let (found, next) =
        list_clusters(&context, ask.search.as_deref(), page_size(ask.limit, 50), cursor).await?;
    let items = found.into_iter().map(Into::into).collect();
    Ok(Json(List { items, next: next.as_ref().map(ToString::to_string) }))
}

async fn get(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<Json<ClusterView>, Failure> {
    Ok(Json(get_cluster(&context, &name).await?.into()))
}

async fn set(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(name): Segments<String>,
    JsonBody(ask): JsonBody<SetCluster>,
) -> Result<Json<ClusterView>, Failure> {
    let ask =
        pilothouse_operations::SetCluster { name, credentials: ask.credentials, namespaces: ask.namespaces };
    Ok(Json(set_cluster(&context, &ask, &who.name).await?.into()))
}

async fn verify(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<Json<ClusterView>, Failure> {
    Ok(Json(verify_cluster(&context, &name).await?.into()))
}

async fn delete(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Failure> {
    remove_cluster(&context, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
