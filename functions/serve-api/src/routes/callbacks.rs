//! Receivers of webhooks call back (T38). The URL is the permission: it is signed, for one stage's run, and used once.

use axum::Json;
use axum::extract::State;
use pilothouse_operations::Context;
use pilothouse_operations::stages::webhook::{CallBack, call_back};

use crate::api::CallbackTaken;
use crate::extract::{JsonBody, Segments};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/callbacks/{token}",
            "callBack",
            "Say what a webhook stage's call came to, with the URL it brought.",
        )
        .open_to_all()
        .takes::<CallBack>()
        .answers::<CallbackTaken>(200, "It is taken; the same said again is answered the same.")
        .handled_by(take),
    ]
}

async fn take(
    State(context): State<Context>,
    Segments(token): Segments<String>,
    JsonBody(ask): JsonBody<CallBack>,
) -> Result<Json<CallbackTaken>, Failure> {
    let run = call_back(&context, &token, &ask).await?;
    Ok(Json(CallbackTaken {
        release: run.at.release,
        environment: run.at.environment,
        attempt: run.at.number,
        stage: run.stage,
        status: ask.status,
    }))
}
