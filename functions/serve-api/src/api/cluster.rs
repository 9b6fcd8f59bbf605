//! Cluster accounts.

use jiff::Timestamp;
use pilothouse_domain::cluster_account::ClusterAccount;
pub use pilothouse_domain::cluster_account::{ClusterCredentials, Lacking, Verification};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster account to be added or changed. Secrets are given as references; their values are never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCluster {
    /// How the cluster is reached.
    pub credentials: ClusterCredentials,
    /// The namespaces that its permissions are asked for; the whole cluster when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

/// A cluster account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Its name, as environments and stages use it.
    pub name: String,
    /// How it is reached: references to secrets, never their values.
    pub credentials: ClusterCredentials,
    /// The namespaces that its permissions are asked for; the whole cluster when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// What it said when it was last asked.
    pub verification: Verification,
    /// When it was added.
    pub created_at: Timestamp,
    /// Who added it.
    pub created_by: String,
}

impl From<ClusterAccount> for ClusterView {
    fn from(account: ClusterAccount) -> Self {
        Self {
            name: account.name,
            credentials: account.credentials,
            namespaces: account.namespaces,
            verification: account.verification,
            created_at: account.created_at,
            created_by: account.created_by,
        }
    }
}

/// Which cluster accounts to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListClusters {
    /// Only those whose name holds this text.
    pub search: Option<String>,
    /// At most so many; 50 when absent, 100 at most. A search may give fewer, and yet have a next part.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
}
