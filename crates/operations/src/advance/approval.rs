//! Approvals before and after deployment, as the attempt's execution sees them (A15-A18, A25, A33).

use pilothouse_domain::approval::{Approval, ApprovalStatus, Subject};
use pilothouse_domain::attempt::{Attempt, AttemptEvent, Hurdle};
use pilothouse_domain::ids::ApprovalId;
use pilothouse_domain::pipeline::ApprovalPolicy;
use pilothouse_domain::timeline::Happening;
use pilothouse_store::{Transaction, Versioned};

use super::Next;
use super::next::{commit_or_reload, seconds_until};
use super::pass::pass;
use super::settle::finish;
use crate::load::SYSTEM;
use crate::{Context, OperationError};

/// Opens an approval, and says so.
pub(crate) fn ask(
    context: &Context,
    attempt: &Attempt,
    subject: Subject,
    policy: ApprovalPolicy,
    tx: Transaction,
) -> Transaction {
    let now = context.now();
    let approval = Approval {
        id: ApprovalId::new(context.ids.ulid()),
        at: attempt.at.clone(),
        application: attempt.application.clone(),
        subject,
        approvers: policy.approvers,
        required: policy.required,
        instructions: policy.instructions,
        status: ApprovalStatus::Pending,
        decisions: Vec::new(),
        created_at: now,
        deadline: policy.timeout.after(now),
    };
    let asked = Happening::ApprovalRequested {
        approvers: approval.approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        deadline: approval.deadline,
    };
    tx.create(&approval).event(context.event(&attempt.at, SYSTEM, asked))
}

/// Where the approval that the attempt waits for stands: waits, or moves the attempt on (`None`: look again).
pub(super) async fn pending(
    context: &Context,
    attempt: &Versioned<Attempt>,
) -> Result<Option<Next>, OperationError> {
    let approval = context.approval_awaited(&attempt.record).await?.ok_or_else(|| {
        OperationError::Inconsistent(format!("attempt {} is pending without an approval", attempt.record.id))
    })?;
    let event = match &approval.record.status {
        ApprovalStatus::Pending if approval.record.deadline <= context.now() => {
            super::expire::expire_approval(context, attempt, &approval).await?;
            return Ok(None);
        }
        ApprovalStatus::Pending => {
            let timeout_seconds = seconds_until(context, approval.record.deadline);
            return Ok(Some(Next::Approval { timeout_seconds }));
        }
        ApprovalStatus::Approved { .. } => AttemptEvent::Approved,
        ApprovalStatus::Rejected { by } => AttemptEvent::Rejected { by: by.clone() },
        ApprovalStatus::Expired => AttemptEvent::Rejected { by: "nobody: it expired".to_owned() },
        ApprovalStatus::Canceled { by } => AttemptEvent::Rejected { by: by.clone() },
    };
    finish(context, attempt, event).await?;
    Ok(None)
}

/// Moves on from A16: to the time that it was deferred to (A18), or to what comes next.
pub(super) async fn approved(context: &Context, attempt: &Versioned<Attempt>) -> Result<(), OperationError> {
    let tx = pass(context, attempt, &attempt.record, Hurdle::Approval, Transaction::new()).await?;
    commit_or_reload(context, tx).await
}
