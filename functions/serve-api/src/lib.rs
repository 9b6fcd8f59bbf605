//! The HTTP API: one router, served by `pilothouse up` and by Lambda alike.
//!
//! Every route is a row of a table (`route::Route`) that says its method, path, permission, what it takes and what it
//! answers. The router and the OpenAPI document are both made from the table, so neither knows a route that the other
//! does not.

pub mod api;
mod auth;
mod client;
mod extract;
mod failure;
mod openapi;
mod route;
mod routes;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use pilothouse_operations::Context;

pub use openapi::openapi;

/// The largest body that is read.
pub const LARGEST_BODY: usize = 1024 * 1024;

/// The API over an installation.
pub fn router(context: Context) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        let handler = match route.needs {
            Some(permission) => {
                let gate = auth::Gate { context: context.clone(), permission };
                route.handler.layer(from_fn_with_state(gate, auth::authorize))
            }
            None => route.handler,
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(failure::unknown_path)
        .method_not_allowed_fallback(failure::unknown_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(context.clone(), failure::finish))
        .with_state(context)
}

#[cfg(test)]
mod tests;
