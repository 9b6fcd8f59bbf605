//! The SDK's HTTP client, without HTTP: it takes the target and the body out of a request and hands them to a function.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use futures::future::BoxFuture;

/// Where requests say that they go; nobody listens there.
pub(crate) const ENDPOINT: &str = "http://in-process.invalid";

/// What came of a request: a status and a JSON body, or `None` for an answer that never arrives.
pub(crate) type Answer = Option<(u16, Vec<u8>)>;

type Handle = dyn Fn(String, Vec<u8>) -> BoxFuture<'static, Answer> + Send + Sync;

/// Answers every request of one client by one function.
#[derive(Clone)]
pub(crate) struct InProcess {
    service: &'static str,
    handle: Arc<Handle>,
}

impl InProcess {
    /// `handle` gets the header `X-Amz-Target` (`DynamoDB_20120810.GetItem`) and the body.
    pub(crate) fn new<F>(service: &'static str, handle: F) -> Self
    where
        F: Fn(String, Vec<u8>) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    {
        Self { service, handle: Arc::new(handle) }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("service", &self.service).finish_non_exhaustive()
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let answer = (self.handle)(target, body);
        HttpConnectorFuture::new(async move {
            let Some((status, body)) = answer.await else {
                return Err(ConnectorError::io("the connection was closed before an answer came".into()));
            };
            let status = status.try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            Ok(response)
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
