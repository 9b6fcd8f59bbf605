//! What a cluster is and serves, as charts ask for it: its version, its APIs and their kinds (T51).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::transport::Call;

/// All groups with their kinds in one answer; an API server before 1.27 answers with the groups alone.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// What a cluster is and serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `v1.36.1`
    pub version: String,
    /// The kinds of each group and version: `apps/v1` has `Deployment`, and others. None where the server does not tell them.
    pub apis: BTreeMap<String, Vec<String>>,
}

impl Cluster {
    /// Asks the cluster for its version and its APIs, in three requests.
    ///
    /// # Errors
    /// [`ClusterError`] when it cannot be asked.
    pub async fn capabilities(&self) -> Result<Capabilities, ClusterError> {
        let version = self.ping().await?.git_version;
        let mut apis = BTreeMap::new();
        for path in ["/api", "/apis"] {
            let call = Call::get(path).accept(AGGREGATED);
            apis.extend(served(&self.transport.call("ask for the APIs", &call).await?));
        }
        Ok(Capabilities { version, apis })
    }
}

/// The groups and versions of an answer, in either of its shapes, with their kinds.
fn served(answer: &Value) -> BTreeMap<String, Vec<String>> {
    let items = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut apis = BTreeMap::new();
    for group in items(answer, "items") {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        for version in items(&group, "versions") {
            let Some(number) = version["version"].as_str() else { continue };
            let full = if name.is_empty() { number.to_owned() } else { format!("{name}/{number}") };
            let kind = |resource: &Value| resource["responseKind"]["kind"].as_str().map(str::to_owned);
            let mut kinds: Vec<String> = items(&version, "resources").iter().filter_map(kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            apis.insert(full, kinds);
        }
    }
    for group in items(answer, "groups") {
        let versions = items(&group, "versions");
        let full = versions.iter().filter_map(|version| version["groupVersion"].as_str());
        apis.extend(full.map(|full| (full.to_owned(), Vec::new())));
    }
    let plain = items(answer, "versions");
    apis.extend(plain.iter().filter_map(Value::as_str).map(|version| (version.to_owned(), Vec::new())));
    apis
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_older_server_tells_its_groups_without_their_kinds() {
        let groups = json!({"kind": "APIGroupList", "groups": [
            {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}]});
        assert_eq!(served(&groups), BTreeMap::from([("apps/v1".to_owned(), Vec::new())]));
        let core = json!({"kind": "APIVersions", "versions": ["v1"]});
        assert_eq!(served(&core), BTreeMap::from([("v1".to_owned(), Vec::new())]));
    }
}
