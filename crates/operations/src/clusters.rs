//! The clusters that environments name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_cluster::{Cluster, KubeconfigOrigin};
use pilothouse_domain::cluster_account::ClusterAccount;
use pilothouse_domain::secret::SecretRef;
use pilothouse_store::Store;

use crate::error::OperationError;
use crate::secrets::Secrets;

/// How many accounts a refusal names at most.
const MOST_NAMED: u32 = 20;

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

    /// Refuses a name that no cluster account has; nothing is connected to.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] with the names that there are; the table's.
    pub(crate) async fn check(&self, name: &str) -> Result<(), OperationError> {
        let mut names: BTreeSet<String> =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        if names.contains(name) || self.store.cluster_account(name).await?.is_some() {
            return Ok(());
        }
        let accounts = self.store.cluster_accounts(MOST_NAMED, None).await?;
        names.extend(accounts.records().into_iter().map(|account| account.name));
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let hint = if names.is_empty() {
            "no cluster is registered".to_owned()
        } else {
            format!("there is {}", names.join(", "))
        };
        let shown: String = name.chars().take(63).collect();
        Err(OperationError::NotFound { what: format!("cluster `{shown}`"), hint })
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
