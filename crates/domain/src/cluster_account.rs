//! Cluster accounts: how a cluster is reached (T9), and what it said when it was last asked (T10).

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;

/// A cluster account's record. Kubeconfigs and tokens are secrets: only where they are kept is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAccount {
    /// The name that environments and stages use.
    pub name: String,
    /// How it is reached.
    pub credentials: ClusterCredentials,
    /// The namespaces that its permissions are asked for; the whole cluster when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// What it said when it was last asked.
    #[serde(default)]
    pub verification: Verification,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    #[serde(default)]
    pub created_by: String,
}

/// How a cluster is reached (T9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClusterCredentials {
    /// By a kubeconfig, in one of its contexts.
    Kubeconfig {
        /// Where the kubeconfig is kept.
        source: SecretRef,
        /// The context to use; the current one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
    },
    /// By the token of a service account.
    ServiceAccount {
        /// The address of the API server: `https://10.0.0.1:6443`.
        server: String,
        /// The PEM of the authorities that sign its certificate, no secret; those that everybody trusts when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca: Option<String>,
        /// Where the token is kept.
        token: SecretRef,
    },
    /// An EKS cluster, by the AWS identity of this installation.
    Eks {
        /// The cluster's name in EKS, which the token is made for.
        cluster: String,
        /// Its region: `eu-central-1`.
        region: String,
        /// The address of its API server.
        server: String,
        /// The PEM of the authority that signs its certificate, no secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca: Option<String>,
    },
    /// A cluster that lives in the process of `pilothouse up`: the simulated one.
    InProcess {},
}

impl ClusterCredentials {
    /// The kind's name as it is stored and shown.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Kubeconfig { .. } => "kubeconfig",
            Self::ServiceAccount { .. } => "serviceAccount",
            Self::Eks { .. } => "eks",
            Self::InProcess {} => "inProcess",
        }
    }

    /// The secret that is resolved to connect, if there is one.
    #[must_use]
    pub const fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Kubeconfig { source, .. } => Some(source),
            Self::ServiceAccount { token, .. } => Some(token),
            Self::Eks { .. } | Self::InProcess {} => None,
        }
    }
}

impl fmt::Display for ClusterCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubeconfig { source, context: None } => write!(f, "kubeconfig {source}"),
            Self::Kubeconfig { source, context: Some(context) } => {
                write!(f, "kubeconfig {source}, context {context}")
            }
            Self::ServiceAccount { server, token, .. } => write!(f, "{server}, token {token}"),
            Self::Eks { cluster, region, .. } => write!(f, "EKS {cluster} in {region}"),
            Self::InProcess {} => write!(f, "in this process (simulated)"),
        }
    }
}

/// What a cluster said when it was last asked (T10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Verification {
    /// It was not asked yet.
    #[default]
    Unverified,
    /// It answers, and what every deployment needs is allowed.
    Verified {
        /// When.
        at: Timestamp,
        /// Its version: `v1.36.1`.
        version: String,
        /// The permissions that it lacks nevertheless, and that some stages need.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<Lacking>,
    },
    /// It does not answer, does not accept the credentials, or does not allow what every deployment needs.
    Failed {
        /// When.
        at: Timestamp,
        /// Why, in one sentence.
        reason: String,
        /// Its version, where it told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The permissions that it lacks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<Lacking>,
    },
}

/// A permission that an account lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lacking {
    /// The namespace; absent: the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The resource with its group: `deployments.apps`, `pods/log`.
    pub resource: String,
    /// The verbs that are not allowed.
    pub verbs: Vec<String>,
    /// Whether no deployment works without it.
    pub required: bool,
    /// What does not work without it.
    pub used_for: String,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.namespace.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
        write!(f, "{} {}{place}: needed for {}", self.verbs.join(", "), self.resource, self.used_for)
    }
}

impl Verification {
    /// What became of asking a cluster of that version: it fails by what every deployment needs, not by what only some
    /// stages do.
    #[must_use]
    pub fn of(version: String, missing: Vec<Lacking>, at: Timestamp) -> Self {
        let required = missing.iter().filter(|lacking| lacking.required).count();
        match missing.iter().find(|lacking| lacking.required) {
            None => Self::Verified { at, version, missing },
            Some(first) => {
                let more = if required > 1 { format!(" (and {} more)", required - 1) } else { String::new() };
                let reason = format!("it is not allowed to {first}{more}");
                Self::Failed { at, reason, version: Some(version), missing }
            }
        }
    }

    /// The permissions that are missing.
    #[must_use]
    pub fn missing(&self) -> &[Lacking] {
        match self {
            Self::Unverified => &[],
            Self::Verified { missing, .. } | Self::Failed { missing, .. } => missing,
        }
    }

    /// In a word or a sentence: `Verified`, `Failed: …`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Unverified => "not verified yet".to_owned(),
            Self::Verified { missing, .. } if missing.is_empty() => "Verified".to_owned(),
            Self::Verified { missing, .. } if missing.len() == 1 => {
                "Verified, 1 permission missing".to_owned()
            }
            Self::Verified { missing, .. } => format!("Verified, {} permissions missing", missing.len()),
            Self::Failed { reason, .. } => format!("Failed: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(resource: &str, required: bool) -> Lacking {
        Lacking {
            namespace: Some("dev".to_owned()),
            resource: resource.to_owned(),
            verbs: vec!["get".to_owned(), "list".to_owned()],
            required,
            used_for: "watching rollouts".to_owned(),
        }
    }

    #[test]
    fn only_what_every_deployment_needs_makes_a_verification_fail() {
        let of =
            |missing: Vec<Lacking>| Verification::of("v1.36.0".to_owned(), missing, Timestamp::UNIX_EPOCH);
        assert_eq!(of(vec![]).summary(), "Verified");
        assert_eq!(of(vec![lacking("jobs.batch", false)]).summary(), "Verified, 1 permission missing");
        let two = vec![lacking("jobs.batch", false), lacking("cronjobs.batch", false)];
        assert_eq!(of(two).summary(), "Verified, 2 permissions missing");
        let failed = of(vec![lacking("jobs.batch", false), lacking("pods", true), lacking("events", true)]);
        assert_eq!(
            failed.summary(),
            "Failed: it is not allowed to get, list pods in dev: needed for watching rollouts (and 1 more)"
        );
        assert_eq!(failed.missing().len(), 3);
    }

    #[test]
    fn credentials_are_told_without_what_they_hold() {
        let told = |value: serde_json::Value| {
            serde_json::from_value::<ClusterCredentials>(value).unwrap().to_string()
        };
        assert_eq!(
            told(serde_json::json!({ "kind": "kubeconfig", "source": "env:KUBE", "context": "prod" })),
            "kubeconfig env:KUBE, context prod"
        );
        assert_eq!(
            told(serde_json::json!({ "kind": "serviceAccount", "server": "https://k", "token": "file:/t" })),
            "https://k, token file:/t"
        );
    }
}
