//! The API about itself.

use axum::Json;
use axum::extract::State;
use pilothouse_domain::pipeline::pipeline_schema;
use pilothouse_domain::token::Permission;
use pilothouse_operations::Context;
use serde_json::Value;

use crate::api::{Health, Whoami};
use crate::auth::{Caller, permission_name};
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", "health", "Say that the API answers.")
            .open_to_all()
            .answers::<Health>(200, "It does.")
            .handled_by(health),
        Route::get("/v1/whoami", "whoami", "Say who the caller is.")
            .answers::<Whoami>(200, "The caller.")
            .handled_by(whoami),
        Route::get("/v1/pipeline-schema", "pipelineSchema", "Give the JSON Schema of the pipeline file.")
            .answers::<Value>(200, "The schema, for editors.")
            .handled_by(schema),
        Route::get("/v1/openapi.json", "openapi", "Give this document.")
            .answers::<Value>(200, "The document.")
            .handled_by(document),
    ]
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

async fn whoami(Caller(who): Caller) -> Json<Whoami> {
    let all = [Permission::Read, Permission::Operate, Permission::Decide, Permission::Administer];
    let permissions = all.into_iter().filter(|p| who.role.allows(*p));
    Json(Whoami {
        permissions: permissions.map(|p| permission_name(p).to_owned()).collect(),
        name: who.name,
        role: who.role,
    })
}

async fn schema(State(context): State<Context>) -> Json<Value> {
    Json(pipeline_schema(&context.stages.catalog()))
}

async fn document() -> Json<Value> {
    Json(crate::openapi())
}
