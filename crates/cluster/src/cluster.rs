//! The handle to one cluster.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::TokenSource;
use crate::discovery::{Discovery, Served};
use crate::error::ClusterError;
use crate::object::ObjectRef;
use crate::retry::RetryPolicy;
use crate::seal::SealingKeys;
use crate::transport::{Call, Transport};

/// One Kubernetes cluster, reached from outside. Cheap to clone; the clones share what they learnt about its kinds.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) transport: Transport,
    discovery: Discovery,
    /// What Secrets in snapshots are sealed with.
    pub(crate) keys: Option<Arc<SealingKeys>>,
}

/// What the API server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `1`
    #[serde(default)]
    pub major: String,
    /// `36`, or `36+` on some hosts.
    #[serde(default)]
    pub minor: String,
    /// `v1.36.1`
    #[serde(default)]
    pub git_version: String,
}

impl Cluster {
    /// A cluster behind a client that is already configured (address, credentials, TLS), with the default retries.
    ///
    /// The client's own retries should be off (`Config::default_retry = false`): two policies would multiply.
    #[must_use]
    pub fn new(client: kube::Client) -> Self {
        Self::with_retry(client, RetryPolicy::default())
    }

    /// As [`Cluster::new`], with other retries.
    #[must_use]
    pub fn with_retry(client: kube::Client, retry: RetryPolicy) -> Self {
        Self { transport: Transport::new(client, retry), discovery: Discovery::default(), keys: None }
    }

    /// The same cluster, with the keys that Secrets in snapshots are sealed with. Without keys a snapshot only tells
    /// whether a Secret changed, and none is restored.
    #[must_use]
    pub fn sealing_with(self, keys: Option<SealingKeys>) -> Self {
        Self { keys: keys.map(Arc::new), ..self }
    }

    /// The same with a token in each request.
    #[must_use]
    pub(crate) fn with_tokens(self, tokens: Arc<dyn TokenSource>) -> Self {
        Self { transport: self.transport.with_tokens(tokens), ..self }
    }

    /// Asks the API server for its version: the shortest proof that address and credentials are right.
    ///
    /// # Errors
    /// [`ClusterError`]: unreachable, unauthenticated, denied, or not a Kubernetes API server.
    pub async fn ping(&self) -> Result<Version, ClusterError> {
        let operation = "ask for the version";
        let answer = self.transport.call(operation, &Call::get("/version")).await?;
        serde_json::from_value(answer).map_err(|error| ClusterError::Protocol {
            operation: operation.into(),
            message: error.to_string(),
        })
    }

    /// Reads one object as it is now; `None` when it does not exist.
    ///
    /// # Errors
    /// [`ClusterError`], `UnknownKind` included.
    pub async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ClusterError> {
        let operation = format!("read {object}");
        let served = self.served(&operation, object).await?;
        self.read(&operation, &served, object).await
    }

    pub(crate) async fn read(
        &self,
        operation: &str,
        served: &Served,
        object: &ObjectRef,
    ) -> Result<Option<Value>, ClusterError> {
        let call = Call::get(served.path(object)).sensitive(object.is_secret());
        self.transport.call_opt(operation, &call).await
    }

    pub(crate) async fn served(&self, operation: &str, object: &ObjectRef) -> Result<Served, ClusterError> {
        self.discovery.served(&self.transport, operation, &object.api_version, &object.kind).await
    }

    pub(crate) async fn served_kind(
        &self,
        operation: &str,
        api_version: &str,
        kind: &str,
    ) -> Result<Served, ClusterError> {
        self.discovery.served(&self.transport, operation, api_version, kind).await
    }
}

impl Cluster {
    /// The objects of a collection that match the query, over as many pages as it takes.
    pub(crate) async fn list(
        &self,
        operation: &str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Vec<Value>, ClusterError> {
        Ok(list_all(&self.transport, operation, path, query).await?.items)
    }

    /// The first page of a collection, of at most `most` objects, and whether there are more.
    pub(crate) async fn page(
        &self,
        operation: &str,
        path: &str,
        query: &[(&'static str, String)],
        most: usize,
    ) -> Result<(Vec<Value>, bool), ClusterError> {
        let start = Call::get(path).query("limit", most.to_string());
        let call = query.iter().fold(start, |call, (key, value)| call.query(key, value.clone()));
        let mut page = self.transport.call(operation, &call).await?;
        let more = page["metadata"]["continue"].as_str().is_some_and(|token| !token.is_empty());
        match page["items"].take() {
            Value::Array(items) => Ok((items, more)),
            _ => Ok((Vec::new(), more)),
        }
    }
}

/// A list, and the version from which a watch goes on.
pub(crate) struct Listed {
    pub(crate) items: Vec<Value>,
    pub(crate) resource_version: String,
}

/// Objects on one page of a list.
const PAGE: &str = "500";

pub(crate) async fn list_all(
    transport: &Transport,
    operation: &str,
    path: &str,
    query: &[(&'static str, String)],
) -> Result<Listed, ClusterError> {
    let base = query
        .iter()
        .fold(Call::get(path).query("limit", PAGE), |call, (key, value)| call.query(key, value.clone()));
    let mut call = base.clone();
    let mut items = Vec::new();
    loop {
        let mut page = transport.call(operation, &call).await?;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        let metadata = &page["metadata"];
        match metadata["continue"].as_str().filter(|token| !token.is_empty()) {
            Some(token) => call = base.clone().query("continue", token),
            None => {
                let resource_version = metadata["resourceVersion"].as_str().unwrap_or_default().to_owned();
                return Ok(Listed { items, resource_version });
            }
        }
    }
}
