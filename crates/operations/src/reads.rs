//! Reads that only use cases need, put together from the store's.

use pilothouse_domain::approval::{Approval, Subject};
use pilothouse_domain::attempt::{Attempt, AttemptRef, AttemptStatus};
use pilothouse_domain::callback::{Awaited, Callback};
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::lane::LaneName;
use pilothouse_store::Versioned;

use crate::holders::Holders;
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

    /// The approval that the attempt waits for: the latest of its side.
    pub(crate) async fn approval_awaited(
        &self,
        attempt: &Attempt,
    ) -> Result<Option<Versioned<Approval>>, OperationError> {
        let subject = match attempt.state.status() {
            AttemptStatus::NotDeployed => Subject::BeforeDeployment,
            _ => Subject::AfterDeployment,
        };
        let approvals = self.approvals_of(&attempt.at).await?;
        Ok(approvals.into_iter().filter(|a| a.record.subject == subject).max_by_key(|a| a.record.id.clone()))
    }

    /// The approval before the attempt's deployment, however it stands: what expressions can read.
    pub(crate) async fn approval_before(&self, at: &AttemptRef) -> Result<Option<Approval>, OperationError> {
        let approvals = self.approvals_of(at).await?.into_iter().map(|a| a.record);
        Ok(approvals.filter(|a| a.subject == Subject::BeforeDeployment).max_by_key(|a| a.id.clone()))
    }

    /// The callbacks of stages that wait for other stages.
    pub(crate) async fn upstream_callbacks(
        &self,
        at: &AttemptRef,
    ) -> Result<Vec<Versioned<Callback>>, OperationError> {
        let all = self.store.callbacks(at).await?;
        Ok(all.into_iter().filter(|c| matches!(c.record.awaited, Awaited::Upstream { .. })).collect())
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

    /// An attempt that changed the environment after `than` did and was not taken back: `than` cannot be taken back under
    /// it. What matters is who held the environment later, so fences are compared.
    pub(crate) async fn deployed_since(&self, than: &Attempt) -> Result<Option<Attempt>, OperationError> {
        let (application, environment) = (&than.application, &than.at.environment);
        let lane = LaneName::environment(application, environment);
        let Some(lease) = self.store.lease(&lane).await? else { return Ok(None) };
        // Attempts are listed by when they were created, but one that waited for its time comes late. The lease knows how
        // many held the environment since.
        let mut unseen = lease.record.fence.saturating_sub(than.fence.unwrap_or(0));
        let mut cursor = None;
        while unseen > 0 {
            let page =
                self.store.attempts_of_environment(application, environment, 25, cursor.as_ref()).await?;
            cursor = page.next.clone();
            for attempt in page.records() {
                if attempt.fence <= than.fence {
                    continue;
                }
                if self.changed_it(&attempt).await? {
                    return Ok(Some(attempt));
                }
                unseen = unseen.saturating_sub(1);
            }
            if cursor.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// The attempts of other releases that changed the environment between `first` and `last`, two attempts of one release.
    pub(crate) async fn changes_by_others(
        &self,
        first: &Attempt,
        last: &Attempt,
    ) -> Result<Vec<Attempt>, OperationError> {
        let mut found = Vec::new();
        let mut holders = Holders::between(first, last);
        while let Some(page) = holders.next_page(self).await? {
            for attempt in page {
                let other = attempt.fence > first.fence && attempt.at.release != first.at.release;
                if other && self.changed_it(&attempt).await? {
                    found.push(attempt);
                }
            }
            if holders.saw_all_after(first.fence) {
                break;
            }
        }
        Ok(found)
    }

    /// Whether an attempt changed its environment's cluster, and what it changed still stands.
    async fn changed_it(&self, attempt: &Attempt) -> Result<bool, OperationError> {
        if attempt.is_rollback() || attempt.started_at.is_none() || self.was_taken_back(attempt).await? {
            return Ok(false);
        }
        self.left_changes(attempt).await
    }

    /// Whether a rollback took the attempt back and succeeded.
    pub(crate) async fn was_taken_back(&self, attempt: &Attempt) -> Result<bool, OperationError> {
        match &attempt.rolled_back_by {
            Some(rollback) => Ok(self.attempt(rollback).await?.record.state.is_success()),
            None => Ok(false),
        }
    }

    /// Whether a stage of the attempt changed the cluster, or was about to.
    pub(crate) async fn left_changes(&self, attempt: &Attempt) -> Result<bool, OperationError> {
        Ok(self.store.stage_runs(&attempt.at).await?.iter().any(|run| run.record.has_snapshot))
    }

    /// The deployment that an environment is meant to run: the last that succeeded there and was not taken back (V4).
    ///
    /// # Errors
    /// [`OperationError`] when the records cannot be read.
    pub async fn current_deployment(
        &self,
        application: &str,
        environment: &str,
    ) -> Result<Option<Attempt>, OperationError> {
        let lane = LaneName::environment(application, environment);
        let Some(lease) = self.store.lease(&lane).await? else { return Ok(None) };
        let mut found: Option<Attempt> = None;
        let mut holders = Holders::new(application, environment, lease.record.fence.saturating_add(1));
        while let Some(page) = holders.next_page(self).await? {
            for attempt in page {
                let later = found.as_ref().is_none_or(|f| f.fence < attempt.fence);
                let deployed = !attempt.is_rollback() && attempt.state.is_success();
                if deployed && later && !self.was_taken_back(&attempt).await? {
                    found = Some(attempt);
                }
            }
            if found.as_ref().is_some_and(|f| holders.saw_all_after(f.fence)) {
                break;
            }
        }
        Ok(found)
    }
}
