//! What an application has in its clusters: server groups, load balancers and instances (T6, T7).
//!
//! Two things are called cluster, and both names are common: a *cluster* is all versions of one thing (`shop-prod`); where they
//! run is a cluster *account*, which is called so here throughout.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{Instance, Replicas};

/// Where something of an application runs: an account and a namespace, and the environments that deploy there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The cluster account.
    pub account: String,
    /// The namespace.
    pub namespace: String,
    /// The environments of the application's pipelines that deploy there.
    pub environments: Vec<String>,
}

/// All versions of one thing in one place (T7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationCluster {
    /// `shop-prod-canary`; for a workload that is not named so, the workload's own name.
    pub name: String,
    /// The stack, where the name has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The detail, where the name has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The cluster account.
    pub account: String,
    /// The namespace.
    pub namespace: String,
    /// Its versions, the newest first.
    pub server_groups: Vec<ServerGroupView>,
}

/// One version of a cluster, or a workload that has no versions of its own (T6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerGroupView {
    /// `shop-prod-v012`, or a workload's name.
    pub name: String,
    /// `Deployment`, `StatefulSet`, `DaemonSet` or `ReplicaSet`.
    pub kind: String,
    /// Its number, where the name has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u16>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// How many pods it wants and has.
    pub replicas: Replicas,
    /// The images that its pods run.
    pub images: Vec<String>,
    /// The load balancers that send it traffic; none: it gets none from them.
    pub load_balancers: Vec<String>,
    /// What scales it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// The release that last changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The stage that last changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// A HorizontalPodAutoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// Its name.
    pub name: String,
    /// Never fewer pods.
    pub least: i64,
    /// Never more pods.
    pub most: i64,
    /// How many it wants now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<i64>,
}

/// A Service (T6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerView {
    /// Its name.
    pub name: String,
    /// The cluster account.
    pub account: String,
    /// The namespace.
    pub namespace: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which pods it selects: `app=web`.
    pub selector: Vec<String>,
    /// `http 80 → 8080/TCP`
    pub ports: Vec<String>,
    /// The pods that it sends traffic.
    pub ready: Vec<String>,
    /// Those that it selects and that are not ready.
    pub not_ready: Vec<String>,
    /// The server groups whose pods it selects.
    pub server_groups: Vec<String>,
}

/// What there is of an application in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// By name.
    pub clusters: Vec<ApplicationCluster>,
    /// By name.
    pub load_balancers: Vec<LoadBalancerView>,
    /// What could not be read, or was left out.
    pub notes: Vec<String>,
}

/// A pod, with the server group that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// The cluster.
    pub cluster: String,
    /// The server group.
    pub server_group: String,
    /// The cluster account.
    pub account: String,
    /// The namespace.
    pub namespace: String,
    /// The pod.
    #[serde(flatten)]
    pub instance: Instance,
    /// Links to it, as the application has them (T14).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<InstanceLink>,
}

/// A link to an instance (T14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceLink {
    /// The section that it stands in.
    pub section: String,
    /// What it is called.
    pub name: String,
    /// Where it leads.
    pub url: String,
}
