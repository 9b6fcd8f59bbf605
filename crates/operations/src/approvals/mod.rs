//! Approvals: opened, decided, reassigned, expired, and decided by single-use links (A15-A18, A25, A33, T35, X7).

mod decide;
mod link_token;
mod links;
mod open;
mod reassign;

use pilothouse_domain::approval::{Approval, Verdict};
use pilothouse_domain::attempt::AttemptEvent;
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::token::Principal;
use pilothouse_store::Versioned;

pub use decide::{DecideApproval, decide_approval};
pub use link_token::LINK_KEY;
pub(crate) use link_token::{LinkKey, Signed};
pub use links::{LinkDecision, MakeLink, NewLink, PresentedLink, decide_by_link, make_link, open_link};
pub(crate) use open::{approval_after, approval_before, approval_of_stage, started_by};
pub use reassign::reassign_approval;

use crate::{Context, OperationError};

/// The longest comment, in characters.
const LONGEST_COMMENT: usize = 4000;

impl Context {
    /// An approval of a release.
    async fn approval(
        &self,
        release: &ReleaseId,
        id: &ApprovalId,
    ) -> Result<Versioned<Approval>, OperationError> {
        self.store.approval(release, id).await?.ok_or_else(|| OperationError::NotFound {
            what: format!("approval `{id}` of release `{release}`"),
            hint: "see `pilothouse release show`".to_owned(),
        })
    }

    /// The person of that name with the role that they have today: who holds an API token.
    async fn member(&self, name: &str) -> Result<Option<Principal>, OperationError> {
        let tokens = crate::tokens::list_tokens(self).await?;
        let token = tokens.into_iter().find(|t| t.name == name);
        Ok(token.map(|t| Principal { name: t.name, role: t.role }))
    }
}

/// What an approval that has ended does to the attempt that asked for it, before or after its deployment.
pub(crate) fn attempt_event(verdict: Verdict) -> AttemptEvent {
    match verdict {
        Verdict::Approved { .. } => AttemptEvent::Approved,
        Verdict::Rejected { by } => AttemptEvent::Rejected { by },
        Verdict::Canceled { by } => AttemptEvent::CancelRequested { by, reason: None, until: None },
    }
}

/// A comment that fits into a record.
fn check_comment(comment: Option<&str>) -> Result<(), OperationError> {
    if comment.is_some_and(|c| c.chars().count() > LONGEST_COMMENT) {
        let message = format!("a comment has at most {LONGEST_COMMENT} characters");
        return Err(OperationError::Invalid(Problems::from(Problem::new("comment", message))));
    }
    Ok(())
}
