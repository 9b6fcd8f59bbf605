//! Which path serves which kind, asked of the cluster once for each group and version.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::RwLock;

use crate::error::ClusterError;
use crate::object::ObjectRef;
use crate::transport::{Call, Transport, encode};

/// How a kind is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    api_version: String,
    plural: String,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
}

impl Served {
    /// The path of all objects of the kind in a namespace, or of all in the cluster.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => {
                format!("{root}/{}/namespaces/{}/{}", self.api_version, encode(namespace), self.plural)
            }
            None => format!("{root}/{}/{}", self.api_version, self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn path(&self, object: &ObjectRef) -> String {
        format!("{}/{}", self.collection(object.namespace.as_deref()), encode(&object.name))
    }
}

type Kinds = HashMap<String, Served>;

/// What has been learnt so far, shared by the clones of a cluster.
#[derive(Clone, Default)]
pub(crate) struct Discovery {
    known: Arc<RwLock<HashMap<String, Kinds>>>,
}

impl Discovery {
    /// How the kind is served. An unknown kind of a known group is asked for once more: it may have been installed since.
    pub(crate) async fn served(
        &self,
        transport: &Transport,
        operation: &str,
        api_version: &str,
        kind: &str,
    ) -> Result<Served, ClusterError> {
        if let Some(served) = self.known.read().await.get(api_version).and_then(|kinds| kinds.get(kind)) {
            return Ok(served.clone());
        }
        let kinds = fetch(transport, api_version).await?;
        let served = kinds.get(kind).cloned();
        self.known.write().await.insert(api_version.to_owned(), kinds);
        served.ok_or_else(|| ClusterError::UnknownKind {
            operation: operation.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

async fn fetch(transport: &Transport, api_version: &str) -> Result<Kinds, ClusterError> {
    let path = match api_version.split_once('/') {
        Some((group, version)) => format!("/apis/{}/{}", encode(group), encode(version)),
        None => format!("/api/{}", encode(api_version)),
    };
    let operation = format!("discover {api_version}");
    let Some(list) = transport.call_opt(&operation, &Call::get(path)).await? else {
        return Ok(Kinds::new());
    };
    let resources = list["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(resources
        .iter()
        .filter_map(|resource| {
            let plural = resource["name"].as_str()?;
            let kind = resource["kind"].as_str()?;
            // `deployments/scale` and its like are parts of a resource, with kinds of their own.
            (!plural.contains('/')).then(|| {
                let namespaced = resource["namespaced"].as_bool().unwrap_or(false);
                let served =
                    Served { api_version: api_version.to_owned(), plural: plural.to_owned(), namespaced };
                (kind.to_owned(), served)
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        let deployments =
            Served { api_version: "apps/v1".into(), plural: "deployments".into(), namespaced: true };
        let web = ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
        assert_eq!(deployments.path(&web), "/apis/apps/v1/namespaces/dev/deployments/web");
        assert_eq!(deployments.collection(None), "/apis/apps/v1/deployments");
        let namespaces = Served { api_version: "v1".into(), plural: "namespaces".into(), namespaced: false };
        // A namespace given by mistake to what lives in none is passed over.
        assert_eq!(
            namespaces.path(&ObjectRef::namespaced("v1", "Namespace", "x", "dev")),
            "/api/v1/namespaces/dev"
        );
    }
}
