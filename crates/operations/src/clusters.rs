//! The clusters that environments name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_cluster::{Cluster, KubeconfigOrigin};
use pilothouse_domain::cluster_account::ClusterAccount;
use pilothouse_domain::secret::SecretRef;
use pilothouse_store::Store;

use crate::error::OperationError;
use crate::secrets::Secrets;

/// Finds the client of a cluster account (T9): one that was registered, or one made from the account's record.
#[derive(Clone)]
pub struct Clusters {
    store: Store,
    secrets: Secrets,
    known: Arc<Mutex<BTreeMap<String, Cluster>>>,
}

impl Clusters {
    /// Makes clients from the records in `store`.
    #[must_use]
    pub fn new(store: Store, secrets: Secrets) -> Self {
        Self { store, secrets, known: Arc::default() }
    }

    /// Registers a client under `name`: an in-process cluster has no kubeconfig.
    pub fn register(&self, name: &str, cluster: Cluster) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), cluster);
    }

    /// The client of the account `name`.
    ///
    /// # Errors
    /// No such account, its secret cannot be read, or its kubeconfig makes no client.
    pub async fn get(&self, name: &str) -> Result<Cluster, OperationError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(cluster) = known {
            return Ok(cluster);
        }
        let account = self.store.cluster_account(name).await?.ok_or_else(|| OperationError::NotFound {
            what: format!("cluster account `{name}`"),
            hint: "register it, or correct `cluster:` of the environment".to_owned(),
        })?;
        let cluster = self.connect(&account.record).await?;
        self.register(name, cluster.clone());
        Ok(cluster)
    }

    async fn connect(&self, account: &ClusterAccount) -> Result<Cluster, OperationError> {
        let kubeconfig = self.secrets.resolve(&account.kubeconfig).await?;
        // A file or variable of this machine belongs to whoever runs it; anything else came from outside.
        let origin = match account.kubeconfig {
            SecretRef::File { .. } | SecretRef::Env { .. } => KubeconfigOrigin::Local,
            SecretRef::Aws { .. } => KubeconfigOrigin::Stored,
        };
        Ok(Cluster::from_kubeconfig(kubeconfig.expose(), account.context.as_deref(), origin).await?)
    }
}
