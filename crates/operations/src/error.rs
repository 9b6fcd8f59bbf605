//! Why a use case did not do what it was asked.

use pilothouse_cluster::ClusterError;
use pilothouse_domain::approval::{DecisionRefused, LinkRefused};
use pilothouse_domain::attempt::{ControlRefused, Refused};
use pilothouse_domain::problem::Problems;
use pilothouse_domain::release::ReleaseRefused;
use pilothouse_store::StoreError;

use crate::executions::EngineError;
use crate::secrets::SecretUnavailable;

/// Why a use case did not do what it was asked. Each has a stable code; `docs/errors.md` says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The present state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The release's status does not allow it (A2-A4).
    #[error(transparent)]
    ReleaseRefused(#[from] ReleaseRefused),
    /// The approval's state or its approvers do not allow it.
    #[error(transparent)]
    DecisionRefused(#[from] DecisionRefused),
    /// A single-use link decides nothing.
    #[error(transparent)]
    LinkRefused(#[from] LinkRefused),
    /// Something else stands in the way, and says what.
    #[error("{0}")]
    Conflicting(String),
    /// The deployment's control does not allow it (N12-N15).
    #[error(transparent)]
    ControlRefused(#[from] ControlRefused),
    /// The records changed under each of many tries; the definition tries again later.
    #[error("{0} changes too fast to be decided on; try again")]
    Contended(String),
    /// What was asked for does not exist.
    #[error("{what} does not exist; {hint}")]
    NotFound {
        /// What.
        what: String,
        /// What to do.
        hint: String,
    },
    /// What was given is wrong.
    #[error("{0}")]
    Invalid(Problems),
    /// The execution that asks has been replaced by a newer one.
    #[error("a newer execution of this deployment has taken over")]
    Superseded,
    /// The environment is in other hands: nothing may be changed (invariant 6).
    #[error("the deployment no longer holds its environment (fence {ours:?}); nothing was changed")]
    Fenced {
        /// The number that it held.
        ours: Option<u64>,
    },
    /// A record is not what it must be.
    #[error("records are inconsistent: {0}")]
    Inconsistent(String),
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretUnavailable),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Step Functions.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system has no randomness to give.
    #[error("the system has no randomness to give")]
    Random(#[source] getrandom::Error),
}

impl OperationError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(e) => e.is_retryable() || e.is_conflict(),
            Self::Cluster(e) => e.is_retryable(),
            Self::Engine(e) => e.is_retryable(),
            Self::Contended(_) => true,
            _ => false,
        }
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::ControlRefused(_) => "illegal_transition",
            Self::Contended(_) => "contended",
            Self::ReleaseRefused(_) => "release_status",
            Self::DecisionRefused(refused) => refused.code(),
            Self::LinkRefused(refused) => refused.code(),
            Self::Conflicting(_) => "conflict",
            Self::NotFound { .. } => "not_found",
            Self::Invalid(_) => "invalid",
            Self::Superseded => "superseded",
            Self::Fenced { .. } => "fenced",
            Self::Inconsistent(_) => "inconsistent_records",
            Self::Secret(_) => "secret_unavailable",
            Self::Store(e) => e.code(),
            Self::Cluster(e) => e.code(),
            Self::Engine(_) => "step_functions",
            Self::Random(_) => "no_randomness",
        }
    }
}
