//! Single-use links (X7). Opening one decides nothing: chats and mail programs open what they are sent.

use axum::RequestExt as _;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::Response;
use pilothouse_domain::approval::LinkAction;
use pilothouse_operations::{Context, LinkDecision, decide_by_link, open_link};

use super::link_page::{Format, decided, page, refused};
use crate::api::{DecideByLink, DecidedByLink, LinkPage};
use crate::client::Client;
use crate::extract::{JsonBody, Segments, TextBody};
use crate::failure::Failure;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/links/{token}", "showLink", "Show what a single-use link decides; decides nothing.")
            .open_to_all()
            .answers::<LinkPage>(200, "What it is for: HTML, text or JSON, as `accept` asks.")
            .handled_by(show),
        Route::post("/links/{token}/approve", "approveByLink", "Approve by a single-use link.")
            .open_to_all()
            .may_take::<DecideByLink>()
            .answers::<DecidedByLink>(200, "What it came to: HTML, text or JSON, as `accept` asks.")
            .handled_by(approve),
        Route::post("/links/{token}/reject", "rejectByLink", "Reject by a single-use link.")
            .open_to_all()
            .may_take::<DecideByLink>()
            .answers::<DecidedByLink>(200, "What it came to: HTML, text or JSON, as `accept` asks.")
            .handled_by(reject),
    ]
}

fn format(headers: &HeaderMap) -> Format {
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    Format::of(accept)
}

async fn show(
    State(context): State<Context>,
    headers: HeaderMap,
    Segments(token): Segments<String>,
) -> Response {
    let format = format(&headers);
    match open_link(&context, &token).await {
        Ok(link) => page(format, &token, &link),
        Err(error) => refused(format, error.into()),
    }
}

async fn approve(
    State(context): State<Context>,
    client: Client,
    Segments(token): Segments<String>,
    request: Request,
) -> Response {
    decide(&context, client, &token, LinkAction::Approve, request).await
}

async fn reject(
    State(context): State<Context>,
    client: Client,
    Segments(token): Segments<String>,
    request: Request,
) -> Response {
    decide(&context, client, &token, LinkAction::Reject, request).await
}

async fn decide(
    context: &Context,
    client: Client,
    token: &str,
    action: LinkAction,
    request: Request,
) -> Response {
    let format = format(request.headers());
    let ask = match read(request).await {
        Ok(ask) => ask,
        Err(failure) => return refused(format, failure),
    };
    let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let decision =
        LinkDecision { action, comment: said(ask.comment), input: said(ask.input), address: client.address };
    match decide_by_link(context, token, decision).await {
        Ok(approval) => decided(format, &approval),
        Err(error) => refused(format, error.into()),
    }
}

/// The fields of a page's form, or JSON; nothing is as good as empty.
async fn read(request: Request) -> Result<DecideByLink, Failure> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let TextBody(form) = request.extract::<TextBody, _>().await?;
        return serde_urlencoded::from_str(&form).map_err(|e| Failure::malformed(e.to_string()));
    }
    request.extract::<JsonBody<DecideByLink>, _>().await.map(|JsonBody(ask)| ask)
}
