//! What is held in an environment.

use pilothouse_domain::hold::Hold;
use pilothouse_domain::ids::ReleaseId;

use crate::records::hold;
use crate::{Store, StoreError, Versioned};

impl Store {
    /// The holds of an environment, by the age of the releases that were taken back.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn holds(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Vec<Versioned<Hold>>, StoreError> {
        self.partition_under(&hold::partition(application, environment), ReleaseId::PREFIX).await?.all()
    }

    /// The hold that the rollback of `release` put on an environment.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn hold(
        &self,
        application: &str,
        environment: &str,
        release: &ReleaseId,
    ) -> Result<Option<Versioned<Hold>>, StoreError> {
        self.get(&hold::key(application, environment, release)).await
    }
}
