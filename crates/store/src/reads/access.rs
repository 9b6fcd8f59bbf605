//! Who may call, and how clusters are reached.

use pilothouse_domain::cluster_account::ClusterAccount;
use pilothouse_domain::token::ApiToken;

use crate::records::{api_token, cluster_account};
use crate::{Cursor, Page, Store, StoreError, Versioned};

impl Store {
    /// The API token whose secret has the hash `hash`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn api_token(&self, hash: &str) -> Result<Option<Versioned<ApiToken>>, StoreError> {
        self.get(&api_token::key(hash)).await
    }

    /// All API tokens, by name.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn api_tokens(
        &self,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<ApiToken>, StoreError> {
        self.query_group(api_token::ALL, "", false, limit, cursor).await
    }

    /// A cluster account.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn cluster_account(&self, name: &str) -> Result<Option<Versioned<ClusterAccount>>, StoreError> {
        self.get(&cluster_account::key(name)).await
    }

    /// All cluster accounts, by name.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read, or the cursor is of another list.
    pub async fn cluster_accounts(
        &self,
        limit: u32,
        cursor: Option<&Cursor>,
    ) -> Result<Page<ClusterAccount>, StoreError> {
        self.query_group(cluster_account::ALL, "", false, limit, cursor).await
    }
}
