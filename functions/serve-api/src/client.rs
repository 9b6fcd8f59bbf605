//! Where a request comes from, as far as the connection tells it.
//!
//! The address is the peer's of the connection, or on Lambda the one that API Gateway saw. `X-Forwarded-For` is not
//! read: whoever sends a request can write it. Behind a proxy of one's own the record therefore names the proxy.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::HOST;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;

/// Who sent the request.
pub(crate) struct Client {
    /// Absent in process, where there is no connection.
    pub(crate) address: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(gateway)) => gateway.http.source_ip.clone(),
            _ => {
                let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                peer.map(|ConnectInfo(peer)| peer.ip().to_string())
            }
        };
        Ok(Self { address })
    }
}

/// How the caller addressed this API: `https://api.example.com`, empty when the request does not say. It is only told
/// back to that caller.
pub(crate) struct Origin(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let fits = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
        let Some(host) = header(HOST.as_str()).filter(fits) else { return Ok(Self(String::new())) };
        let encrypted = parts.extensions.get::<RequestContext>().is_some()
            || header("x-forwarded-proto").is_some_and(|proto| proto == "https");
        Ok(Self(format!("{}://{host}", if encrypted { "https" } else { "http" })))
    }
}
