//! What a pod names must be there when it is created: its service account and its priority class.

use serde_json::{Value, json};

use crate::{
    json,
    kinds::Kind,
    status::{ApiError, ApiResult},
    store::Tx,
};

/// The priority classes that every cluster has.
const SYSTEM: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

impl Tx<'_> {
    /// Refuses a pod whose service account or priority class does not exist, and gives it the priority of its class.
    pub(super) fn admit_pod(&self, kind: &Kind, ns: &str, pod: &mut Value) -> ApiResult<()> {
        let account = json::text(pod, "/spec/serviceAccountName");
        if self.get("serviceaccounts", ns, account).is_none() {
            let why = format!(
                "error looking up service account {ns}/{account}: serviceaccount {account:?} not found"
            );
            return Err(ApiError::forbidden(kind, json::name(pod), &why));
        }
        let wanted = json::text(pod, "/spec/priorityClassName").to_owned();
        if let Some((_, value)) = SYSTEM.iter().find(|(name, _)| *name == wanted) {
            json::set(pod, "/spec/priority", *value);
            return Ok(());
        }
        let classes = self.list("priorityclasses.scheduling.k8s.io", "");
        let class = match wanted.as_str() {
            "" => classes.iter().find(|class| class["globalDefault"] == true),
            name => match classes.iter().find(|class| json::name(class) == name) {
                None => {
                    let why = format!("no PriorityClass with name {name} was found");
                    return Err(ApiError::forbidden(kind, json::name(pod), &why));
                }
                found => found,
            },
        };
        if let Some(class) = class {
            json::set(pod, "/spec/priorityClassName", json::name(class));
            json::set(pod, "/spec/priority", class["value"].clone());
            let policy = class.get("preemptionPolicy").cloned();
            json::set(pod, "/spec/preemptionPolicy", policy.unwrap_or_else(|| json!("PreemptLowerPriority")));
        }
        Ok(())
    }
}
