//! The HTTP side of the API server.

mod call;
mod columns;
mod discovery;
mod logs;
mod openapi;
mod path;
mod protobuf;
mod read;
mod scale;
mod table;
mod watch;
mod writes;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::watch as channel;

use crate::{
    cluster::Shared,
    faults::{FaultEffect, RequestRecord},
    status::{ApiError, ApiResult},
};
use call::Call;
use path::{Address, Target};

/// The API server behind one entrance: in process, or a listener.
#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    /// Turns true when the listener closes; `None` in process.
    closing: Option<channel::Receiver<bool>>,
}

/// An answer that is not a refusal.
enum Reply {
    Json { code: StatusCode, body: Value, warnings: Vec<String> },
    Typed { content_type: &'static str, body: Value },
    Text(String),
    Stream(Body),
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self::Json { code: StatusCode::OK, body, warnings: Vec::new() }
    }
}

/// The largest body that is read, as etcd's limit makes it in a real cluster.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// The API as a router.
pub(crate) fn router(shared: Arc<Shared>, closing: Option<channel::Receiver<bool>>) -> axum::Router {
    axum::Router::new().fallback(handle).with_state(Api { shared, closing })
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(error) = api.authenticate(parts.headers.get(header::AUTHORIZATION)) {
        return refusal(&error);
    }
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return refusal(&ApiError::new(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        ));
    };
    let call = match Call::new(parts.method, &parts.uri, &parts.headers, body) {
        Ok(call) => call,
        Err(error) => return refusal(&error),
    };
    let response = match api.answer_or_fail(&call).await {
        Ok(reply) => reply.into_response(),
        Err(error) => refusal(&error),
    };
    api.shared.faults().record(RequestRecord {
        method: call.method.to_string(),
        path: call.path.clone(),
        query: call.raw_query.clone(),
        manager: (call.method != Method::GET).then(|| call.manager()),
        dry_run: call.dry_run(),
        summary: call.summary(),
        status: response.status().as_u16(),
    });
    response
}

impl Api {
    /// Asks for the token on a listener; the in-process service is trusted.
    fn authenticate(&self, given: Option<&HeaderValue>) -> ApiResult<()> {
        let (Some(token), true) = (&self.shared.token, self.closing.is_some()) else { return Ok(()) };
        let expected = format!("Bearer {token}");
        if given.is_some_and(|v| v.as_bytes() == expected.as_bytes()) {
            return Ok(());
        }
        Err(ApiError::new(401, "Unauthorized", "Unauthorized"))
    }

    async fn answer_or_fail(&self, call: &Call) -> ApiResult<Reply> {
        if *self.shared.down.borrow() {
            return Err(ApiError::injected(503));
        }
        let effect = self.shared.faults().take(&call.method, &call.path);
        match effect {
            None => self.answer(call),
            Some(FaultEffect::Status(code)) => Err(ApiError::injected(code)),
            Some(FaultEffect::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.answer(call)
            }
            Some(FaultEffect::LoseAnswer) => {
                // What came of it is lost with the answer.
                drop(self.answer(call));
                Err(ApiError::injected(504))
            }
        }
    }

    fn answer(&self, call: &Call) -> ApiResult<Reply> {
        if let Some(why) = self.shared.core.transact(|tx| tx.broken().map(str::to_owned)) {
            return Err(ApiError::new(500, "InternalError", format!("Internal error occurred: {why}")));
        }
        let target = path::parse(&call.path).ok_or_else(ApiError::no_resource)?;
        match (&call.method, target) {
            (_, Target::Object(address)) => self.object(call, &address),
            (&Method::POST, Target::AccessReview) => access_review(call),
            (&Method::GET, target) => discovery::answer(call, &target),
            _ => Err(not_allowed()),
        }
    }

    fn object(&self, call: &Call, address: &Address) -> ApiResult<Reply> {
        let collection = address.name.is_empty();
        match (call.method.as_str(), address.sub.as_str()) {
            ("GET", "") if collection && call.flag("watch") => watch::answer(self, call, address),
            ("GET", "") if collection => read::list(self, call, address),
            ("GET", "" | "status") => read::get(self, call, address),
            ("GET", "scale") if address.kind.scale => scale::get(self, address),
            ("GET", "log") if address.kind.is("pods") => logs::get(self, call, address),
            ("POST", "") if collection && (address.kind.namespaced != address.ns.is_empty()) => {
                writes::create(self, call, address)
            }
            ("POST", "eviction") if address.kind.is("pods") => writes::evict(self, call, address),
            ("PUT" | "PATCH", "scale") if address.kind.scale => scale::write(self, call, address),
            ("PUT", "" | "status") if !collection => writes::replace(self, call, address),
            ("PATCH", "" | "status") if !collection => writes::patch(self, call, address),
            ("DELETE", "") if collection => writes::delete_collection(self, call, address),
            ("DELETE", "") => writes::delete(self, call, address),
            (_, "" | "status") => Err(not_allowed()),
            _ => Err(ApiError::no_resource()),
        }
    }
}

fn not_allowed() -> ApiError {
    ApiError::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

/// Everything is allowed here.
fn access_review(call: &Call) -> ApiResult<Reply> {
    let mut body = call.body_value()?;
    body["status"] = json!({ "allowed": true, "reason": "the simulated cluster allows everything" });
    Ok(Reply::Json { code: StatusCode::CREATED, body, warnings: Vec::new() })
}

fn with_json(code: StatusCode, content_type: &'static str, body: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

fn refusal(error: &ApiError) -> Response {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_json(code, "application/json", &error.to_status());
    if let Some(seconds) = error.details["retryAfterSeconds"].as_i64() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Json { code, body, warnings } => {
                let mut response = with_json(code, "application/json", &body);
                for warning in warnings {
                    let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
                    if let Ok(value) = HeaderValue::from_str(&text) {
                        response.headers_mut().append(header::WARNING, value);
                    }
                }
                response
            }
            Self::Typed { content_type, body } => with_json(StatusCode::OK, content_type, &body),
            Self::Text(text) => ([(header::CONTENT_TYPE, "text/plain")], text).into_response(),
            Self::Stream(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        }
    }
}
