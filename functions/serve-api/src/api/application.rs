//! What an application has in its clusters (T6, T7), and the links of its instances (T14).

pub use pilothouse_domain::instance_links::InstanceLinks;
pub use pilothouse_domain::inventory::{ApplicationCluster, InstanceView, LoadBalancerView, ServerGroupView};
pub use pilothouse_operations::{ApplicationInstances, ApplicationView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which instances to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListInstances {
    /// Only those of this cluster: `shop-prod`.
    pub cluster: Option<String>,
}
