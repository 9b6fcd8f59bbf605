//! An HTTP API of a process under test: ours, or the simulated cluster's.

use std::sync::Once;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// How long one answer may take: less than what waits for it, so that a call that hangs is made again.
const ONE_ANSWER: Duration = Duration::from_secs(30);

/// An answer that is no success. It can be taken out of the error by `downcast_ref`.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answered {}: {}", self.status, self.body)
    }
}

impl std::error::Error for Refused {}

/// Where it is, and the token that goes with each request.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    pub(crate) fn new(base: String, token: &str) -> anyhow::Result<Self> {
        static PROVIDER: Once = Once::new();
        // The client wants to know how it would do TLS, although nothing here does.
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = Client::builder().timeout(ONE_ANSWER).build().context("cannot make an HTTP client")?;
        Ok(Self { client, base, token: token.to_owned() })
    }

    /// The same under another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(path, self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(path, self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(path, self.request(Method::PUT, path).json(body)).await
    }

    /// Sends a text that is no JSON, or is more than that.
    pub(crate) async fn send_text(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        text: &str,
    ) -> anyhow::Result<Value> {
        let request = self.request(method, path).header("content-type", media_type).body(text.to_owned());
        self.send(path, request).await
    }

    /// All items of a list of ours, over its pages.
    pub(crate) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=100{cursor}")).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    async fn send(&self, path: &str, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await.with_context(|| format!("no answer to {path}"))?;
        let status = response.status();
        let body = response.text().await.with_context(|| format!("half an answer to {path}"))?;
        if !status.is_success() {
            return Err(Refused { status, body }).with_context(|| path.to_owned());
        }
        serde_json::from_str(&body).with_context(|| format!("the answer to {path} is no JSON: {body}"))
    }
}

/// An attempt of a release as it is shown; null when there is none of that number.
pub(crate) fn attempt(release: &Value, environment: &str, number: u64) -> Value {
    let attempts = named(release, environment)["attempts"].as_array();
    attempts.into_iter().flatten().find(|a| a["number"] == number).cloned().unwrap_or_default()
}

/// The status of an environment of a release as it is shown.
pub(crate) fn environment_status<'a>(release: &'a Value, environment: &str) -> &'a str {
    named(release, environment)["status"].as_str().unwrap_or_default()
}

fn named<'a>(release: &'a Value, environment: &str) -> &'a Value {
    let environments = release["environments"].as_array();
    environments.into_iter().flatten().find(|e| e["name"] == environment).unwrap_or(&Value::Null)
}
