//! Hooks: made, rotated, deleted; and what arrived at them (X1, X5).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pilothouse_domain::intake::{HookAuth, Sender};
use pilothouse_domain::problem::Problem;
use pilothouse_operations::{Context, delete_hook, get_hook, set_hook};

use crate::api::{AuthScheme, DeliveryView, HookView, IssuedHook, List, ListDeliveries, ListHooks, SetHook};
use crate::auth::Caller;
use crate::extract::{JsonBody, Params, Segments, page_size};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/hooks", "listHooks", "List hooks, by name.")
            .query::<ListHooks>()
            .answers::<List<HookView>>(200, "The hooks.")
            .handled_by(list),
        Route::put(
            "/v1/hooks/{hook}",
            "setHook",
            "Make a hook, or change how its requests prove themselves.",
        )
        .takes::<SetHook>()
        .answers::<IssuedHook>(200, "The hook; its secret if one was made, shown this once.")
        .handled_by(set),
        Route::get("/v1/hooks/{hook}", "getHook", "Show a hook.")
            .answers::<HookView>(200, "The hook.")
            .handled_by(get),
        Route::delete("/v1/hooks/{hook}", "deleteHook", "Delete a hook.").handled_by(delete),
        Route::post(
            "/v1/hooks/{hook}/rotate",
            "rotateHook",
            "Make a new secret; the one before stays valid until the next rotation.",
        )
        .answers::<IssuedHook>(200, "The hook and its new secret, shown this once.")
        .handled_by(rotate),
        Route::get(
            "/v1/hooks/{hook}/deliveries",
            "listDeliveries",
            "List what arrived at a hook and what became of it, the newest first.",
        )
        .query::<ListDeliveries>()
        .answers::<List<DeliveryView>>(200, "The deliveries.")
        .handled_by(deliveries),
    ]
}

async fn list(
    State(context): State<Context>,
    Params(ask): Params<ListHooks>,
) -> Result<Json<List<HookView>>, Failure> {
    let cursor = ask.cursor.map(Into::into);
    let page = context.store.hooks(page_size(ask.limit, 50), cursor.as_ref()).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    Ok(Json(List { items: page.items.iter().map(|h| HookView::from(&h.record)).collect(), next }))
}

async fn get(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<Json<HookView>, Failure> {
    Ok(Json(HookView::from(&get_hook(&context, &name).await?)))
}

async fn set(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(name): Segments<String>,
    JsonBody(ask): JsonBody<SetHook>,
) -> Result<Json<IssuedHook>, Failure> {
    if ask.sender != Sender::Generic && ask.auth == Some(AuthScheme::Constraints) {
        let problem =
            Problem::new("auth", "only a `generic` hook can leave the proof to its triggers' constraints");
        return Err(Failure::invalid(vec![problem.with_hint("leave `auth` out")]));
    }
    let ask = pilothouse_operations::SetHook {
        name,
        sender: ask.sender,
        bearer: ask.auth == Some(AuthScheme::Bearer),
        rotate: false,
    };
    let (hook, secret) = set_hook(&context, &ask, &who.name).await?;
    Ok(Json(IssuedHook { hook: HookView::from(&hook), secret }))
}

async fn rotate(
    State(context): State<Context>,
    Caller(who): Caller,
    Segments(name): Segments<String>,
) -> Result<Json<IssuedHook>, Failure> {
    let hook = get_hook(&context, &name).await?;
    let bearer = matches!(hook.auth, HookAuth::Bearer { .. });
    let ask = pilothouse_operations::SetHook { name, sender: hook.sender, bearer, rotate: true };
    let (hook, secret) = set_hook(&context, &ask, &who.name).await?;
    Ok(Json(IssuedHook { hook: HookView::from(&hook), secret }))
}

async fn delete(
    State(context): State<Context>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Failure> {
    delete_hook(&context, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn deliveries(
    State(context): State<Context>,
    Segments(name): Segments<String>,
    Params(ask): Params<ListDeliveries>,
) -> Result<Json<List<DeliveryView>>, Failure> {
    // A hook that was deleted, or never made, may have refused deliveries: they are listed too.
    let cursor = ask.cursor.map(Into::into);
    let page = context.store.deliveries(&name, page_size(ask.limit, 20), cursor.as_ref()).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    let items: Vec<DeliveryView> = page.records().into_iter().map(Into::into).collect();
    if items.is_empty() {
        get_hook(&context, &name).await?;
    }
    Ok(Json(List { items, next }))
}
