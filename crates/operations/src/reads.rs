//! Reads that only use cases need, put together from the store's.

use pilothouse_domain::approval::{Approval, Subject};
use pilothouse_domain::attempt::{Attempt, AttemptRef};
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_domain::ids::ReleaseId;
use pilothouse_store::Versioned;

use crate::{Context, OperationError};

impl Context {
    /// The approvals of one attempt.
    pub(crate) async fn approvals_of(
        &self,
        at: &AttemptRef,
    ) -> Result<Vec<Versioned<Approval>>, OperationError> {
        let all = self.store.approvals(&at.release).await?;
        Ok(all.into_iter().filter(|a| a.record.at == *at).collect())
    }

    /// The approval before the attempt's deployment.
    pub(crate) async fn approval_before(
        &self,
        at: &AttemptRef,
    ) -> Result<Option<Versioned<Approval>>, OperationError> {
        let approvals = self.approvals_of(at).await?;
        Ok(approvals.into_iter().find(|a| a.record.subject == Subject::BeforeDeployment))
    }

    /// The callbacks of stages that wait for other stages.
    pub(crate) async fn upstream_callbacks(
        &self,
        at: &AttemptRef,
    ) -> Result<Vec<Versioned<Callback>>, OperationError> {
        let all = self.store.callbacks(at).await?;
        Ok(all.into_iter().filter(|c| matches!(c.record.awaited, Awaited::Upstream { .. })).collect())
    }

    /// The callbacks of stages that wait for an answer.
    pub(crate) async fn answer_callbacks(
        &self,
        at: &AttemptRef,
    ) -> Result<Vec<Versioned<Callback>>, OperationError> {
        let all = self.store.callbacks(at).await?;
        Ok(all.into_iter().filter(|c| matches!(c.record.awaited, Awaited::Answer { .. })).collect())
    }

    /// The number of the latest attempt in an environment of a release; 0 when there is none.
    pub(crate) async fn last_attempt_number(
        &self,
        release: &ReleaseId,
        environment: &str,
    ) -> Result<u32, OperationError> {
        let attempts = self.store.attempts(release).await?;
        let here = attempts.iter().filter(|a| a.record.at.environment == environment);
        Ok(here.map(|a| a.record.at.number).max().unwrap_or(0))
    }

    /// The newest attempt of any release that changed an environment of the application, rollbacks aside.
    pub(crate) async fn newest_deployment(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Option<Attempt>, OperationError> {
        let mut cursor = None;
        loop {
            let page =
                self.store.attempts_of_environment(application, environment, 25, cursor.as_ref()).await?;
            cursor = page.next.clone();
            let found = page.records().into_iter().find(|a| a.started_at.is_some() && !a.is_rollback());
            if found.is_some() || cursor.is_none() {
                return Ok(found);
            }
        }
    }
}
