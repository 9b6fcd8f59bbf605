//! What was in an environment before an attempt changed it.

use pilothouse_domain::attempt::Attempt;

use crate::holders::Holders;
use crate::{Context, OperationError};

/// What was in an environment before an attempt changed it.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The deployment whose changes stood there, however it ended.
    pub(crate) stood: Option<Attempt>,
    /// The last deployment of another release that had succeeded there and stood.
    pub(crate) succeeded: Option<Attempt>,
}

impl Before {
    /// Before `attempt`. Who held the environment earlier is a matter of fences.
    pub(super) async fn of(context: &Context, attempt: &Attempt) -> Result<Self, OperationError> {
        let mut found = Self::default();
        let mut holders = Holders::before(attempt);
        while let Some(page) = holders.next_page(context).await? {
            for candidate in page {
                found.consider(context, attempt, candidate).await?;
            }
            let both = found.stood.as_ref().zip(found.succeeded.as_ref());
            if both.is_some_and(|(stood, well)| holders.saw_all_after(stood.fence.min(well.fence))) {
                break;
            }
        }
        Ok(found)
    }

    async fn consider(
        &mut self,
        context: &Context,
        attempt: &Attempt,
        candidate: Attempt,
    ) -> Result<(), OperationError> {
        if candidate.is_rollback() || candidate.started_at.is_none() {
            return Ok(());
        }
        let later = |found: &Option<Attempt>| found.as_ref().is_none_or(|f| f.fence < candidate.fence);
        let succeeded = candidate.state.is_success() && candidate.at.release != attempt.at.release;
        let (may_stand, may_succeed) = (later(&self.stood), succeeded && later(&self.succeeded));
        if !(may_stand || may_succeed) || context.was_taken_back(&candidate).await? {
            return Ok(());
        }
        if may_succeed {
            self.succeeded = Some(candidate.clone());
        }
        if may_stand && (candidate.state.is_success() || context.left_changes(&candidate).await?) {
            self.stood = Some(candidate);
        }
        Ok(())
    }
}
