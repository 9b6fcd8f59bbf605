//! The record of what the API server was asked.

use http::Method;
use jiff::Timestamp;

/// What a request is about, as authorization and faults see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path without the query.
    pub(crate) path: String,
    /// `get`, `list`, ...; the lower-case method of a request that is for no resource.
    pub(crate) verb: String,
    /// `deployments.apps`; "" when it is for no resource.
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Asked {
    /// `deployments.apps/scale`.
    pub(crate) fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// A request that the API server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as sent, without `?`; empty if none.
    pub query: String,
    /// The verb as RBAC names it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower
    /// case when the request is for no resource (discovery, `/version`).
    pub verb: String,
    /// The resource with its group, such as `deployments.apps` or `pods`; "" when the request is for none.
    pub resource: String,
    /// `status`, `scale`, `log`, ...; "" for the object itself.
    pub subresource: String,
    /// The namespace; "" for cluster-scoped resources and for all namespaces.
    pub namespace: String,
    /// The object's name; "" for a collection.
    pub name: String,
    /// The `labelSelector` parameter; "" if none.
    pub label_selector: String,
    /// The `fieldSelector` parameter; "" if none.
    pub field_selector: String,
    /// Who asked.
    pub user: String,
    /// When the answer began, by the cluster's clock.
    pub at: Timestamp,
    /// The field manager of a write: the `fieldManager` parameter, else the first part of the user agent.
    pub manager: Option<String>,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// The body as compact JSON, at most 2,000 characters; the values of Secrets are left out.
    pub summary: String,
    /// HTTP status of the answer; 0 when the client got none.
    pub status: u16,
}

impl RequestRecord {
    /// Whether the request asked for a change (a dry run is none, nor is a question about permissions).
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.dry_run && !self.path.starts_with("/apis/authorization.k8s.io/")
    }

    /// Whether the request is a list or watch of a whole collection: nothing narrows it down, neither labels, nor fields, nor a name.
    #[must_use]
    pub fn is_unselective(&self) -> bool {
        matches!(self.verb.as_str(), "list" | "watch")
            && self.name.is_empty()
            && self.label_selector.is_empty()
            && self.field_selector.is_empty()
    }
}

/// Keeps a long simulation's memory bounded.
const MAX_REQUESTS: usize = 100_000;

/// The requests so far, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(Vec<RequestRecord>);

impl Requests {
    pub(crate) fn record(&mut self, record: RequestRecord) {
        if self.0.len() >= MAX_REQUESTS {
            self.0.drain(..MAX_REQUESTS / 2);
        }
        self.0.push(record);
    }

    pub(crate) fn all(&self) -> &[RequestRecord] {
        &self.0
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
