//! Cluster accounts: how a cluster is reached (T9).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// A cluster account's record. The kubeconfig itself is a secret: only where it is kept is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAccount {
    /// The name that environments use.
    pub name: String,
    /// Where the kubeconfig is kept.
    pub kubeconfig: SecretRef,
    /// The context to use; the current one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}
