//! What can go wrong when talking to a cluster, and whether trying again may help.

use std::time::Duration;

use thiserror::Error;

/// A cluster refused, could not be reached, or answered nonsense.
///
/// `operation` says what was tried and on what, such as `apply Deployment dev/web`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// No answer: name resolution, connection, TLS, or the line broke. Tried again before this is returned.
    #[error(
        "{operation}: the cluster cannot be reached: {source}; check its address and that this network may connect to it"
    )]
    Unreachable {
        /// What was tried.
        operation: String,
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server asked to slow down (429), again and again.
    #[error("{operation}: the cluster asks to slow down: {message}; try again later")]
    Throttled {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
        /// How long it asked to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// A PodDisruptionBudget does not let a pod go (429 with that cause).
    #[error(
        "{operation}: a disruption budget does not allow it: {message}; wait until more pods are ready, or change the budget"
    )]
    Budget {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
    },
    /// The API server failed (500, 502, 503, 504), again and again.
    #[error("{operation}: the cluster answered {status}: {message}; try again later")]
    Unavailable {
        /// What was tried.
        operation: String,
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// How long it asked to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// No answer within the time allowed.
    #[error("{operation}: no answer within {} s; check the health of the cluster's API server", after.as_secs())]
    Timeout {
        /// What was tried.
        operation: String,
        /// How long it was waited.
        after: Duration,
    },
    /// Another field manager owns a field that would change.
    #[error(
        "{operation}: field {field} is owned by {manager:?}; remove it from the manifest, or let this stage take it over with `force`"
    )]
    Conflict {
        /// What was tried.
        operation: String,
        /// Owner of the field.
        manager: String,
        /// Path of the field, as the server writes it; several are joined by commas.
        field: String,
    },
    /// The object changed between reading and writing; read it again and decide again.
    #[error("{operation}: the object changed meanwhile: {message}; read it again and repeat")]
    Changed {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
    },
    /// Credentials are missing, expired or wrong (401).
    #[error(
        "{operation}: the cluster does not accept the credentials: {message}; renew the cluster account's credentials"
    )]
    Unauthenticated {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
    },
    /// Not allowed: RBAC, quota, or an admission policy (403).
    #[error("{operation}: the cluster denies it: {message}; {}", remedy(message))]
    Denied {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
    },
    /// The object, or its namespace, does not exist.
    #[error("{operation}: not found: {message}; create it first, or correct its name and namespace")]
    NotFound {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
    },
    /// The cluster serves no such kind.
    #[error(
        "{operation}: the cluster knows no kind {kind} in {api_version}; correct `apiVersion` and `kind`, or install its definition"
    )]
    UnknownKind {
        /// What was tried.
        operation: String,
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The object is wrong in itself (400, 413, 415, 422).
    #[error("{operation}: the cluster finds it invalid: {message}; correct the manifest")]
    Invalid {
        /// What was tried.
        operation: String,
        /// What the server said.
        message: String,
    },
    /// A watch or a list that was too old to go on (410); reading starts afresh inside, so callers do not see it from `observe`.
    #[error("{operation}: the position in the cluster's history is too old; read again from the start")]
    Expired {
        /// What was tried.
        operation: String,
    },
    /// A kubeconfig that cannot be used.
    #[error("read kubeconfig: {message}")]
    Kubeconfig {
        /// What is wrong and what to do.
        message: String,
    },
    /// A cluster account whose address, certificate or token cannot be used (T9).
    #[error("connect by the cluster account: {message}")]
    Account {
        /// What is wrong and what to do.
        message: String,
    },
    /// The server's answer is not what the API promises.
    #[error(
        "{operation}: the cluster's answer cannot be understood: {message}; check that the address is a Kubernetes API server"
    )]
    Protocol {
        /// What was tried.
        operation: String,
        /// What was wrong with it.
        message: String,
    },
}

/// What to do about a denial: the server answers very different ones with 403.
fn remedy(message: &str) -> &'static str {
    let says = |words: &str| message.contains(words);
    if says("is being terminated") {
        "wait until the namespace is gone, or deploy to another"
    } else if says("exceeded quota") {
        "raise the namespace's quota, or ask for less"
    } else if says("denied the request") || says("denied request") {
        "change the object so that the policy allows it"
    } else if says(" cannot ") {
        "grant that permission to the cluster account"
    } else {
        "grant the permission, or change the object so that the policy allows it"
    }
}

impl ClusterError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Throttled { .. }
                | Self::Unavailable { .. }
                | Self::Timeout { .. }
                | Self::Changed { .. }
                | Self::Expired { .. }
        )
    }

    /// The stable name of the error, for records, logs and state machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "ClusterUnreachable",
            Self::Throttled { .. } => "ClusterThrottled",
            Self::Budget { .. } => "ClusterBudget",
            Self::Unavailable { .. } => "ClusterUnavailable",
            Self::Timeout { .. } => "ClusterTimeout",
            Self::Conflict { .. } => "ClusterConflict",
            Self::Changed { .. } => "ClusterObjectChanged",
            Self::Unauthenticated { .. } => "ClusterUnauthenticated",
            Self::Denied { .. } => "ClusterDenied",
            Self::NotFound { .. } => "ClusterNotFound",
            Self::UnknownKind { .. } => "ClusterUnknownKind",
            Self::Invalid { .. } => "ClusterInvalid",
            Self::Expired { .. } => "ClusterExpired",
            Self::Kubeconfig { .. } => "ClusterKubeconfig",
            Self::Account { .. } => "ClusterAccount",
            Self::Protocol { .. } => "ClusterProtocol",
        }
    }

    /// How long the server asked to wait before the next try.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
