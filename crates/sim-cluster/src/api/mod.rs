//! The HTTP side of the API server.

mod call;
mod columns;
mod discovery;
mod events;
mod eviction;
mod logs;
mod openapi;
mod path;
mod protobuf;
mod read;
mod reviews;
mod scale;
mod table;
mod watch;
mod writes;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use tokio::sync::watch as channel;

use crate::{
    access::{self, Identity},
    cluster::Shared,
    faults::FaultEffect,
    requests::{Asked, RequestRecord},
    status::{ApiError, ApiResult, PLAIN},
};
use call::Call;
use path::{Address, Target};

/// Who comes in by an entrance.
#[derive(Clone)]
pub(crate) enum Entrance {
    /// In process: everybody is this one.
    Trusted(Identity),
    /// A listener, which asks for tokens; the channel turns true when it closes.
    Listener(channel::Receiver<bool>),
}

/// The API server behind one entrance.
#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    entrance: Entrance,
}

/// In the extensions of a response that the client must not get: its connection breaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broken;

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
pub(crate) fn router(shared: Arc<Shared>, entrance: Entrance) -> axum::Router {
    axum::Router::new().fallback(handle).with_state(Api { shared, entrance })
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let identity = match api.authenticate(&parts.headers) {
        Ok(identity) => identity,
        Err(error) => return refusal(&error),
    };
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return refusal(&ApiError::new(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        ));
    };
    let call = match Call::new(parts.method, &parts.uri, &parts.headers, body, identity) {
        Ok(call) => call,
        Err(error) => return refusal(&error),
    };
    let target = api.shared.core.transact(|tx| path::parse(&call.path, &|g, v, p| tx.served_at(g, v, p)));
    let asked = path::asked(&call, target.as_ref());
    let at = api.shared.core.now();
    let response = match api.answer_or_fail(&call, target, &asked).await {
        Ok(reply) => Some(reply.into_response()),
        Err(Failure::Refused(error)) => Some(refusal(&error)),
        Err(Failure::Broken) => None,
    };
    api.shared.requests().record(RequestRecord {
        method: call.method.to_string(),
        path: call.path.clone(),
        query: call.raw_query.clone(),
        verb: asked.verb,
        resource: asked.resource,
        subresource: asked.subresource,
        namespace: asked.namespace,
        name: asked.name,
        label_selector: call.param("labelSelector").to_owned(),
        field_selector: call.param("fieldSelector").to_owned(),
        user: call.identity.user.clone(),
        at,
        manager: (call.method != Method::GET).then(|| call.manager()),
        dry_run: call.dry_run(),
        summary: call.summary(),
        status: response.as_ref().map_or(0, |r| r.status().as_u16()),
    });
    response.unwrap_or_else(broken)
}

/// Why a request is not answered as it asked.
enum Failure {
    Refused(ApiError),
    Broken,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// What stands for no answer at all: in process it becomes an error, on a listener the connection breaks in the middle of the body.
fn broken() -> Response {
    let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let mut response = Response::new(Body::from_stream(futures::stream::iter([Err::<bytes::Bytes, _>(cut)])));
    response.extensions_mut().insert(Broken);
    response
}

impl Api {
    /// Who asks: whoever the entrance trusts, else the holder of the token; changed by impersonation.
    fn authenticate(&self, headers: &HeaderMap) -> ApiResult<Identity> {
        let header = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let unknown = || ApiError::new(401, "Unauthorized", "Unauthorized");
        let identity = match &self.entrance {
            Entrance::Trusted(identity) => identity.clone(),
            Entrance::Listener(_) => {
                let token = header(header::AUTHORIZATION.as_str()).and_then(|v| v.strip_prefix("Bearer "));
                let known = token
                    .and_then(|t| self.shared.tokens.get(t).cloned().or_else(|| reviews::holder(self, t)));
                match known {
                    Some(identity) => identity,
                    // Without a token of its own the listener is open.
                    None if self.shared.tokens.is_empty() => Identity::admin(),
                    None => return Err(unknown()),
                }
            }
        };
        Ok(header("impersonate-user").map_or(identity, Identity::named))
    }

    /// Refuses what the roles do not grant.
    fn authorize(&self, who: &Identity, asked: &Asked) -> ApiResult<()> {
        let denials = self.shared.denials();
        let verdict = self.shared.core.transact(|tx| access::decide(tx, &denials, who, asked));
        verdict.map(drop).map_err(|()| access::refusal(who, asked))
    }

    async fn answer_or_fail(
        &self,
        call: &Call,
        target: Option<Target>,
        asked: &Asked,
    ) -> Result<Reply, Failure> {
        if *self.shared.down.borrow() {
            return Err(ApiError::injected(503).into());
        }
        let effect = self.shared.faults().take(asked);
        if let Some(error) = effect.as_ref().and_then(FaultEffect::refusal) {
            return Err(error.into());
        }
        match effect {
            Some(FaultEffect::Unreachable) => return Err(Failure::Broken),
            Some(FaultEffect::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(FaultEffect::LoseAnswer) => {
                // What came of it is lost with the answer.
                drop(self.answer(call, target, asked, None));
                return Err(ApiError::injected(504).into());
            }
            Some(FaultEffect::CutWatch(after)) => {
                return Ok(self.answer(call, target, asked, Some(after))?);
            }
            _ => {}
        }
        Ok(self.answer(call, target, asked, None)?)
    }

    /// The refusal of a path that names nothing: a `Status` within a built-in group, plain text elsewhere.
    fn nothing_at(&self, path: &str) -> ApiError {
        let mut parts = path.split('/').filter(|p| !p.is_empty());
        let group = match (parts.next(), parts.next(), parts.next()) {
            (Some("api"), Some("v1"), _) => "",
            (Some("apis"), Some(group), Some(_)) => group,
            _ => return ApiError::no_path(),
        };
        let known = crate::kinds::all().iter().any(|k| k.group == group && k.custom.is_none());
        if known { ApiError::no_resource() } else { ApiError::no_path() }
    }

    /// Performs the request. A watch is cut off `cut` after its begin.
    fn answer(
        &self,
        call: &Call,
        target: Option<Target>,
        asked: &Asked,
        cut: Option<Duration>,
    ) -> ApiResult<Reply> {
        if let Some(why) = self.shared.core.transact(|tx| tx.broken().map(str::to_owned)) {
            return Err(ApiError::new(500, "InternalError", format!("Internal error occurred: {why}")));
        }
        let target = target.ok_or_else(|| self.nothing_at(&call.path))?;
        self.authorize(&call.identity, &path::authorized(call, asked))?;
        match (&call.method, target) {
            (_, Target::Object(address)) => self.object(call, &address, asked, cut),
            (&Method::POST, Target::Review(plural)) => reviews::answer(self, call, &plural),
            (&Method::GET, target) => discovery::answer(self, call, &target),
            _ => Err(not_allowed()),
        }
    }

    fn object(
        &self,
        call: &Call,
        address: &Address,
        asked: &Asked,
        cut: Option<Duration>,
    ) -> ApiResult<Reply> {
        let collection = address.name.is_empty();
        match (call.method.as_str(), address.sub.as_str()) {
            ("GET", "") if collection && call.flag("watch") => watch::answer(self, call, address, cut),
            ("GET", "") if collection => read::list(self, call, address),
            ("GET", "" | "status") => read::get(self, call, address),
            ("GET", "scale") if address.kind.scale => scale::get(self, address),
            ("GET", "log") if address.kind.is("pods") => logs::get(self, call, address),
            ("POST", "") if collection && (address.kind.namespaced != address.ns.is_empty()) => {
                writes::create(self, call, address)
            }
            ("POST", "eviction") if address.kind.is("pods") => eviction::evict(self, call, address),
            ("POST", "token") if address.kind.is("serviceaccounts") => {
                reviews::token(self, call, &address.ns, &address.name)
            }
            ("PUT" | "PATCH", "") if events::is_newer(address.kind) => Err(not_allowed()),
            ("PUT" | "PATCH", "scale") if address.kind.scale => scale::write(self, call, address),
            ("PUT", "" | "status") if !collection => writes::replace(self, call, address),
            ("PATCH", "" | "status") if !collection => writes::patch(self, call, address, asked),
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

fn with_json(code: StatusCode, content_type: &'static str, body: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

fn refusal(error: &ApiError) -> Response {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match error.reason {
        PLAIN => (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], error.message.clone())
            .into_response(),
        _ => with_json(code, "application/json", &error.to_status()),
    };
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
