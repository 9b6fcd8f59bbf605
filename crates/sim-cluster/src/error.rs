//! What can go wrong with the simulation itself (not with a request: that is a `Status`).

/// Why a simulated cluster could not be built or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The file could not be opened, read or created.
    #[error("open the cluster file {path}: is it writable, and no other file than a cluster's?")]
    Open {
        /// The file.
        path: String,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A row of the file is not a Kubernetes object.
    #[error("read an object of the cluster file {path}: the file is damaged, remove it to start afresh")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with the row.
        #[source]
        source: serde_json::Error,
    },
    /// A namespace asked for in the builder cannot exist.
    #[error("create namespace {name:?}: {message}")]
    Namespace {
        /// The name asked for.
        name: String,
        /// The API server's message.
        message: String,
    },
    /// The listener cannot be used.
    #[error("serve the cluster: the listener has no local address")]
    Listen(#[source] std::io::Error),
}
