//! Notifications that are still to be delivered, and those that could not be (T4, T12).

use axum::Json;
use axum::extract::State;
use pilothouse_operations::Context;

use crate::api::{List, ListNotifications, NotificationView};
use crate::extract::{Params, page_size};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/notifications",
            "listNotifications",
            "List the notifications that are still to be delivered, or those that were given up.",
        )
        .query::<ListNotifications>()
        .answers::<List<NotificationView>>(200, "The notifications; what was delivered to all is not kept.")
        .handled_by(list),
    ]
}

async fn list(
    State(context): State<Context>,
    Params(ask): Params<ListNotifications>,
) -> Result<Json<List<NotificationView>>, Failure> {
    let (dead, cursor) = (ask.dead.unwrap_or(false), ask.cursor.map(Into::into));
    let page = context.store.messages(dead, page_size(ask.limit, 50), cursor.as_ref()).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    Ok(Json(List { items: page.items.iter().map(|m| NotificationView::from(&m.record)).collect(), next }))
}
