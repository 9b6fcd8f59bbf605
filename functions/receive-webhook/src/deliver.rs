//! One request from its method to its answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use pilothouse_domain::ids::DeliveryId;
use pilothouse_domain::intake::{Delivery, Hook};
use pilothouse_operations::Context;
use pilothouse_operations::intake::{Arrived, Received, receive, refuse};

use crate::answer::accepted;
use crate::authenticate::authenticate;
use crate::refusal::{Refusal, RefusalLimit};
use crate::senders::{self, Normalised};
use crate::{json, read};

/// What every request works with.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) context: Context,
    pub(crate) refusals: Arc<RefusalLimit>,
}

/// A request to `/webhooks/...`.
pub(crate) async fn deliver(State(intake): State<Intake>, request: Request) -> Response {
    match arrive(&intake, request).await {
        Ok(delivery) => accepted(&delivery),
        Err(refusal) => refusal.into_response(),
    }
}

/// A request to any other path.
pub(crate) async fn elsewhere(request: Request) -> Response {
    if request.method() == Method::POST { Refusal::Unknown } else { Refusal::Method }.into_response()
}

async fn arrive(intake: &Intake, request: Request) -> Result<Delivery, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    let hook = known_hook(&intake.context, request.uri().path()).await?;
    let id = DeliveryId::new(intake.context.ids.ulid());
    let taken = take(&intake.context, &hook, &id, request).await;
    match &taken {
        Ok(delivery) => {
            let started = delivery.verdicts.iter().filter(|verdict| verdict.started).count();
            let status = delivery.http_status;
            tracing::info!(operation = "receive_webhook", hook = hook.name, delivery = %id, status, started, "received");
        }
        Err(refusal) => {
            tracing::info!(operation = "receive_webhook", hook = hook.name, delivery = %id, code = refusal.code(), "refused");
            keep_refusal(intake, &hook, id, refusal).await;
        }
    }
    taken
}

/// The hook that a path names, if it is for that sender. Whatever is wrong is told in the same words.
async fn known_hook(context: &Context, path: &str) -> Result<Hook, Refusal> {
    let parts: Vec<&str> = path.strip_prefix("/webhooks/").unwrap_or_default().split('/').collect();
    let [sender, name] = parts.as_slice() else { return Err(Refusal::Unknown) };
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name.is_empty() || name.len() > 63 || !plain(name) {
        return Err(Refusal::Unknown);
    }
    let found = context.store.hook(name).await.map_err(|error| {
        tracing::error!(%error, operation = "receive_webhook", "a hook cannot be read");
        Refusal::Unavailable
    })?;
    let hook = found.ok_or(Refusal::Unknown)?.record;
    if hook.sender.name() == *sender { Ok(hook) } else { Err(Refusal::Unknown) }
}

/// Reads, authenticates and normalises a request to a known hook, and has it matched.
async fn take(
    context: &Context,
    hook: &Hook,
    id: &DeliveryId,
    request: Request,
) -> Result<Delivery, Refusal> {
    let (parts, body) = request.into_parts();
    let headers: HeaderMap = parts.headers;
    let bytes = read::body(&headers, body).await?;
    read::check_encoding(&headers)?;
    let presented = authenticate(&hook.auth, &headers)?;
    read::check_media_type(&headers)?;
    let body = json::parse(&bytes)?;
    drop(bytes);
    let Normalised { key, signals, ignored } = senders::receiver(hook.sender).normalise(&headers, &body);
    let arrived = Arrived { id: id.clone(), hook, key, body: &body, signals, ignored, presented };
    match receive(context, arrived).await {
        Ok(Received::Taken(delivery)) => Ok(*delivery),
        Ok(Received::Unproven(reason)) => Err(Refusal::Unauthorized { reason }),
        Err(error) => {
            let code = error.code();
            tracing::error!(%error, operation = "receive_webhook", hook = hook.name, delivery = %id, code, "not taken");
            Err(Refusal::Unavailable)
        }
    }
}

/// Records a refusal, as long as there are not too many. The answer does not wait for a table that is out of order.
async fn keep_refusal(intake: &Intake, hook: &Hook, id: DeliveryId, refusal: &Refusal) {
    if !intake.refusals.allows(&hook.name, intake.context.now()) {
        return;
    }
    let (status, reason) = (refusal.status().as_u16(), refusal.to_string());
    if let Err(error) = refuse(&intake.context, &hook.name, id, status, &reason).await {
        tracing::warn!(%error, operation = "receive_webhook", hook = hook.name, "a refusal is not on record");
    }
}
