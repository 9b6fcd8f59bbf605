//! One HTTP call to the API server: built, sent, repeated when that may help, and its failure named.
//!
//! `kube`'s own calls drop the response headers, and with them the `Retry-After` of a server that sheds load in plain
//! text; so the calls, and the opening of watches, are sent through `kube::Client::send`, which leaves TLS, credentials and addresses to kube.

use std::fmt::Write as _;
use std::sync::Arc;

use futures::Stream;
use http::Method;
use kube::client::Body;
use kube::core::WatchEvent;
use serde_json::Value;

use crate::account::TokenSource;
use crate::error::ClusterError;
use crate::refusal;
use crate::rehearsal::Rehearsal;
use crate::retry::RetryPolicy;
use crate::watch_lines;

/// A request to the API server, without the server's address.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    content_type: Option<&'static str>,
    accept: &'static str,
    body: Option<Arc<Value>>,
    sensitive: bool,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            content_type: None,
            accept: "application/json, */*",
            body: None,
            sensitive: false,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Server-side apply.
    pub(crate) fn apply(path: impl Into<String>, body: Value) -> Self {
        let mut call = Self::new(Method::PATCH, path).body(body);
        call.content_type = Some("application/apply-patch+yaml");
        call
    }

    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path).body(body)
    }

    /// A JSON merge patch.
    pub(crate) fn merge(path: impl Into<String>, body: Value) -> Self {
        let mut call = Self::new(Method::PATCH, path).body(body);
        call.content_type = Some("application/merge-patch+json");
        call
    }

    pub(crate) fn delete(path: impl Into<String>, options: Value) -> Self {
        Self::new(Method::DELETE, path).body(options)
    }

    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub(crate) fn query_if(self, condition: bool, key: &'static str, value: &str) -> Self {
        if condition { self.query(key, value) } else { self }
    }

    /// Keeps what the server says about a Secret out of errors: it may quote a value.
    pub(crate) fn sensitive(mut self, sensitive: bool) -> Self {
        self.sensitive = sensitive;
        self
    }

    /// Asks for an answer in another shape than the usual one.
    pub(crate) fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    fn body(mut self, body: Value) -> Self {
        self.content_type = Some("application/json");
        self.body = Some(Arc::new(body));
        self
    }

    /// Whether it asks for a change that is not a dry run already.
    fn changes(&self) -> bool {
        let dry = self.query.iter().any(|(key, _)| *key == "dryRun")
            || self.body.as_ref().is_some_and(|body| body["dryRun"].is_array());
        self.method != Method::GET && !dry
    }

    /// The same as a dry run. The server reads the options of a delete from its body, if there is one.
    fn dry_run(mut self) -> Self {
        match &self.body {
            Some(body) if self.method == Method::DELETE => {
                let mut options = Value::clone(body);
                options["dryRun"] = serde_json::json!(["All"]);
                self.body = Some(Arc::new(options));
                self
            }
            _ => self.query("dryRun", "All"),
        }
    }

    fn request(&self, operation: &str) -> Result<http::Request<Vec<u8>>, ClusterError> {
        let mut uri = self.path.clone();
        for (index, (key, value)) in self.query.iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(key);
            uri.push('=');
            uri.push_str(&encode(value));
        }
        let mut builder = http::Request::builder().method(self.method.clone()).uri(uri);
        builder = builder.header(http::header::ACCEPT, self.accept);
        if let Some(content_type) = self.content_type {
            builder = builder.header(http::header::CONTENT_TYPE, content_type);
        }
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default();
        builder.body(body).map_err(|error| ClusterError::Invalid {
            operation: operation.to_owned(),
            message: format!("the request cannot be built: {error}"),
        })
    }
}

/// The way to one API server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport {
    client: kube::Client,
    pub(crate) retry: RetryPolicy,
    /// Where writes are kept instead of being carried out.
    pub(crate) rehearsal: Option<Rehearsal>,
    tokens: Option<Arc<dyn TokenSource>>,
}

impl Transport {
    pub(crate) fn new(client: kube::Client, retry: RetryPolicy) -> Self {
        Self { client, retry, rehearsal: None, tokens: None }
    }

    /// The same with a token in each request.
    pub(crate) fn with_tokens(self, tokens: Arc<dyn TokenSource>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// The call as a request, with its token where this way has one.
    async fn request(&self, operation: &str, call: &Call) -> Result<http::Request<Vec<u8>>, ClusterError> {
        let mut request = call.request(operation)?;
        let Some(tokens) = &self.tokens else { return Ok(request) };
        let refused =
            |message: String| ClusterError::Unauthenticated { operation: operation.to_owned(), message };
        let token = tokens.token().await.map_err(|why| refused(format!("there is no token: {why}")))?;
        let mut value = http::HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| refused("the token has characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(http::header::AUTHORIZATION, value);
        Ok(request)
    }

    /// Sends the call, repeating it as the retry policy says, and returns the JSON of the answer.
    pub(crate) async fn call(&self, operation: &str, call: &Call) -> Result<Value, ClusterError> {
        match &self.rehearsal {
            Some(rehearsal) if call.changes() => self.rehearse(rehearsal, operation, call).await,
            _ => self.retry.run(operation, || self.send(operation, call)).await,
        }
    }

    async fn rehearse(
        &self,
        rehearsal: &Rehearsal,
        operation: &str,
        call: &Call,
    ) -> Result<Value, ClusterError> {
        let dry = call.clone().dry_run();
        let read = Call::get(call.path.clone()).sensitive(call.sensitive);
        let before = match call.method {
            // The path is that of the collection, and there is no object yet.
            Method::POST => None,
            _ => match self.retry.run(operation, || self.send(operation, &read)).await {
                Ok(before) => Some(before),
                Err(ClusterError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            },
        };
        let answer = self.retry.run(operation, || self.send(operation, &dry)).await?;
        let after = (call.method != Method::DELETE).then(|| answer.clone());
        rehearsal.note(before, after);
        Ok(answer)
    }

    /// As [`Transport::call`], with "does not exist" as `None`.
    pub(crate) async fn call_opt(&self, operation: &str, call: &Call) -> Result<Option<Value>, ClusterError> {
        match self.call(operation, call).await {
            Ok(value) => Ok(Some(value)),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Transport::call`], for an answer that is plain text.
    pub(crate) async fn call_text(&self, operation: &str, call: &Call) -> Result<String, ClusterError> {
        let bytes = self.retry.run(operation, || self.receive(operation, call)).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn send(&self, operation: &str, call: &Call) -> Result<Value, ClusterError> {
        let bytes = self.receive(operation, call).await?;
        serde_json::from_slice(&bytes).map_err(|error| ClusterError::Protocol {
            operation: operation.to_owned(),
            message: error.to_string(),
        })
    }

    /// The body of an answer that is 2xx.
    async fn receive(&self, operation: &str, call: &Call) -> Result<Vec<u8>, ClusterError> {
        let request = self.request(operation, call).await?.map(Body::from);
        let response =
            self.client.send(request).await.map_err(|error| refusal::from_kube(operation, error))?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect_bytes().await.map_err(|error| refusal::from_kube(operation, error))?;
        if !parts.status.is_success() {
            return Err(refusal::from_answer(
                operation,
                parts.status,
                &parts.headers,
                &bytes,
                call.sensitive,
            ));
        }
        Ok(bytes.to_vec())
    }

    /// Opens a watch. The stream ends when the server closes it. Opening is not repeated: the caller resumes anyway.
    pub(crate) async fn watch(
        &self,
        operation: &str,
        call: &Call,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, ClusterError>> + use<>, ClusterError> {
        let mut request = self.request(operation, call).await?.map(Body::from);
        // The server may compress each event for itself, and clients read the first of them only (tower-http#737).
        let plain = http::HeaderValue::from_static("identity");
        request.headers_mut().insert(http::header::ACCEPT_ENCODING, plain);
        let opening = async {
            let response =
                self.client.send(request).await.map_err(|error| refusal::from_kube(operation, error))?;
            let (parts, body) = response.into_parts();
            if parts.status.is_success() {
                return Ok(body);
            }
            let bytes = body.collect_bytes().await.map_err(|error| refusal::from_kube(operation, error))?;
            Err(refusal::from_answer(operation, parts.status, &parts.headers, &bytes, call.sensitive))
        };
        let opened = tokio::time::timeout(self.retry.request_timeout, opening).await;
        let body = opened.map_err(|_| ClusterError::Timeout {
            operation: operation.to_owned(),
            after: self.retry.request_timeout,
        })??;
        Ok(watch_lines::events(operation.to_owned(), body))
    }
}

/// Percent-encodes a path segment or a query value. Everything but unreserved characters, so that a name from a
/// manifest can never reach another path.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    // A segment of dots alone would still be a step up the path.
    if text == "." || text == ".." { encoded.replace('.', "%2E") } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_path_segment() {
        assert_eq!(encode("web-1.a_b~c"), "web-1.a_b~c");
        assert_eq!(encode("../secrets?x=1#y"), "..%2Fsecrets%3Fx%3D1%23y");
        assert_eq!(encode(".."), "%2E%2E");
        assert_eq!(encode("app=web,tier in (a,b)"), "app%3Dweb%2Ctier%20in%20%28a%2Cb%29");
    }
}
