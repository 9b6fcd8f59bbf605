//! The lane of an environment: who holds it, who waits.

use pilothouse_domain::ids::AttemptId;
use pilothouse_domain::lane::{Lease, Waiting};

use crate::records::lane;
use crate::{Store, StoreError, Versioned};

impl Store {
    /// The lease of an environment; `None` if nobody ever held it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn lease(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Option<Versioned<Lease>>, StoreError> {
        self.get(&lane::lease_key(application, environment)).await
    }

    /// Those who wait for an environment, in the order in which their attempts were created.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn waiting(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Vec<Versioned<Waiting>>, StoreError> {
        self.partition_under(&lane::partition(application, environment), lane::WAITING).await?.all()
    }

    /// Who is first in line for an environment.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn first_waiting(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Option<Versioned<Waiting>>, StoreError> {
        let pk = lane::partition(application, environment);
        let page = self.query_prefix(&pk, lane::WAITING, false, 1, None).await?;
        Ok(page.items.into_iter().next())
    }

    /// An attempt's place in line, if it waits.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn place_in_line(
        &self,
        application: &str,
        environment: &str,
        attempt: &AttemptId,
    ) -> Result<Option<Versioned<Waiting>>, StoreError> {
        self.get(&lane::waiting_key(application, environment, attempt)).await
    }
}
