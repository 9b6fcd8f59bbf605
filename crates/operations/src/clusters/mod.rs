//! The clusters that environments and stages name.

mod eks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use futures::future::BoxFuture;
use pilothouse_cluster::{Cluster, ClusterError, KubeconfigOrigin, ServerAddress, TokenSource};
use pilothouse_domain::cluster_account::ClusterCredentials;
use pilothouse_domain::secret::SecretRef;
use pilothouse_store::Store;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::clock::SharedClock;
use crate::error::OperationError;
use crate::secrets::{SecretValue, Secrets};
use eks::EksTokens;

/// How many accounts a refusal names at most.
const MOST_NAMED: u32 = 20;

/// How long a client is used before the record and its secret are looked at again: another process may have changed them.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// Finds the client of a cluster account (T9): one that was registered, or one made from the account's record.
#[derive(Clone)]
pub struct Clusters {
    store: Store,
    secrets: Secrets,
    aws: Option<Aws>,
    own: Arc<OnceLock<ClusterCredentials>>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

/// Whose identity EKS clusters are asked with.
#[derive(Clone)]
struct Aws {
    credentials: SharedCredentialsProvider,
    clock: SharedClock,
}

#[derive(Clone)]
enum Known {
    /// It lives in this process.
    Registered(Cluster),
    /// Made from a record and its secret, of which this is the hash.
    Connected { cluster: Cluster, made_from: [u8; 32], looked: Instant },
}

impl Clusters {
    /// Makes clients from the records in `store`.
    #[must_use]
    pub fn new(store: Store, secrets: Secrets) -> Self {
        Self { store, secrets, aws: None, own: Arc::default(), known: Arc::default() }
    }

    /// The same with the AWS identity that EKS clusters are asked with.
    #[must_use]
    pub fn with_aws(self, credentials: SharedCredentialsProvider, clock: SharedClock) -> Self {
        Self { aws: Some(Aws { credentials, clock }), ..self }
    }

    /// Says which credentials the person who started this process gave it then: a kubeconfig of their own may start its
    /// credential plugins, and no other may. Only the first call counts.
    pub fn started_with(&self, credentials: ClusterCredentials) {
        // Told again, it is the same.
        let _ = self.own.set(credentials);
    }

    /// Registers a client under `name`: an in-process cluster has no kubeconfig.
    pub fn register(&self, name: &str, cluster: Cluster) {
        self.keep(name, Known::Registered(cluster));
    }

    /// The client that was registered under `name`, if one was.
    pub(crate) fn registered(&self, name: &str) -> Option<Cluster> {
        match self.known(name) {
            Some(Known::Registered(cluster)) => Some(cluster),
            _ => None,
        }
    }

    /// Makes the next call of [`Clusters::get`] look at the account's record again.
    pub(crate) fn forget(&self, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(known.get(name), Some(Known::Connected { .. })) {
            known.remove(name);
        }
    }

    /// The client of the account `name`.
    ///
    /// # Errors
    /// No such account, its secret cannot be read, or its credentials make no client.
    pub async fn get(&self, name: &str) -> Result<Cluster, OperationError> {
        let known = self.known(name);
        match &known {
            Some(Known::Registered(cluster)) => return Ok(cluster.clone()),
            Some(Known::Connected { cluster, looked, .. }) if looked.elapsed() < FRESH_FOR => {
                return Ok(cluster.clone());
            }
            _ => {}
        }
        let account = self.store.cluster_account(name).await?.ok_or_else(|| OperationError::NotFound {
            what: format!("cluster account `{name}`"),
            hint: "add it with `pilothouse cluster add`, or correct `cluster` in the pipeline".to_owned(),
        })?;
        let credentials = &account.record.credentials;
        let secret = self.secret_of(credentials).await?;
        let made_from = fingerprint(credentials, secret.as_ref());
        let cluster = match known {
            Some(Known::Connected { cluster, made_from: before, .. }) if before == made_from => cluster,
            _ => self.connect(credentials, secret).await?,
        };
        let looked = Instant::now();
        self.keep(name, Known::Connected { cluster: cluster.clone(), made_from, looked });
        Ok(cluster)
    }

    /// A new client by these credentials; nothing is sent yet.
    ///
    /// # Errors
    /// As for [`Clusters::get`].
    pub async fn reach(&self, credentials: &ClusterCredentials) -> Result<Cluster, OperationError> {
        let secret = self.secret_of(credentials).await?;
        self.connect(credentials, secret).await
    }

    /// Refuses a name that no cluster account has; nothing is connected to.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] with the names that there are; the table's.
    pub(crate) async fn check(&self, name: &str) -> Result<(), OperationError> {
        let Some(names) = self.names_unless(name).await? else { return Ok(()) };
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let hint = if names.is_empty() {
            "no cluster is registered".to_owned()
        } else {
            format!("there is {}", names.join(", "))
        };
        let shown: String = name.chars().take(63).collect();
        Err(OperationError::NotFound { what: format!("cluster `{shown}`"), hint })
    }

    /// The names that there are, unless `name` is one of them.
    pub(crate) async fn names_unless(&self, name: &str) -> Result<Option<BTreeSet<String>>, OperationError> {
        let mut names: BTreeSet<String> =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        if self.registered(name).is_some() || self.store.cluster_account(name).await?.is_some() {
            return Ok(None);
        }
        names.remove(name);
        let accounts = self.store.cluster_accounts(MOST_NAMED, None).await?;
        names.extend(accounts.records().into_iter().map(|account| account.name));
        Ok(Some(names))
    }

    fn known(&self, name: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn keep(&self, name: &str, known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), known);
    }

    async fn secret_of(
        &self,
        credentials: &ClusterCredentials,
    ) -> Result<Option<SecretValue>, OperationError> {
        match credentials.secret() {
            Some(reference) => Ok(Some(self.secrets.resolve(reference).await?)),
            None => Ok(None),
        }
    }

    async fn connect(
        &self,
        credentials: &ClusterCredentials,
        secret: Option<SecretValue>,
    ) -> Result<Cluster, OperationError> {
        let value = secret.as_ref().map_or("", SecretValue::expose);
        Ok(match credentials {
            ClusterCredentials::Kubeconfig { source, context } => {
                // A file or variable of this machine belongs to whoever runs it; anything else came from outside. Which of them
                // it is, whoever adds the account says, who need not be the one who runs this process.
                let origin = match source {
                    _ if self.own.get() == Some(credentials) => KubeconfigOrigin::Own,
                    SecretRef::File { .. } | SecretRef::Env { .. } => KubeconfigOrigin::Local,
                    SecretRef::Aws { .. } => KubeconfigOrigin::Stored,
                };
                Cluster::from_kubeconfig(value, context.as_deref(), origin).await?
            }
            ClusterCredentials::ServiceAccount { server, ca, .. } => {
                let tokens = Arc::new(Fixed(value.to_owned()));
                Cluster::at_server(&address(server, ca.as_ref()), tokens).await?
            }
            ClusterCredentials::Eks { cluster, region, server, ca } => {
                let aws = self.aws.as_ref().ok_or_else(|| {
                    refused("this process has no AWS identity to ask an EKS cluster with; use a token or a kubeconfig")
                })?;
                let tokens = EksTokens {
                    cluster: cluster.clone(),
                    region: region.clone(),
                    credentials: aws.credentials.clone(),
                    clock: Arc::clone(&aws.clock),
                    last: tokio::sync::Mutex::default(),
                };
                Cluster::at_server(&address(server, ca.as_ref()), Arc::new(tokens)).await?
            }
            ClusterCredentials::InProcess {} => {
                return Err(refused("it lives in the process of `pilothouse up`, and this is another").into());
            }
        })
    }
}

fn address(server: &str, ca: Option<&String>) -> ServerAddress {
    ServerAddress { url: server.to_owned(), ca: ca.cloned() }
}

fn refused(message: &str) -> ClusterError {
    ClusterError::Account { message: message.to_owned() }
}

/// What a client was made from. Not the value itself: it is kept in memory as long as the client.
fn fingerprint(credentials: &ClusterCredentials, secret: Option<&SecretValue>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(credentials).unwrap_or_default());
    hash.update(secret.map_or("", SecretValue::expose));
    hash.finalize().into()
}

/// A token that stays until its secret changes.
struct Fixed(String);

impl TokenSource for Fixed {
    fn token(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}
