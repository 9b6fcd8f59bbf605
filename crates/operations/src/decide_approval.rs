//! Deciding an approval: before a deployment, or inside a stage (A15-A17, A24, T35).

use pilothouse_domain::approval::{Approval, ApprovalStatus, Decision, Subject};
use pilothouse_domain::attempt::{Attempt, AttemptEvent};
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::timeline::Happening;
use pilothouse_domain::token::Principal;
use pilothouse_store::{Transaction, Versioned};

use crate::advance::settle::ended;
use crate::wake::answer;
use crate::{Context, OperationError};

/// One decision.
#[derive(Debug, Clone)]
pub struct DecideApproval {
    /// The release.
    pub release: ReleaseId,
    /// The approval.
    pub approval: ApprovalId,
    /// Yes or no.
    pub approve: bool,
    /// What the decider says.
    pub comment: Option<String>,
    /// The answer chosen, where answers are offered.
    pub input: Option<String>,
}

/// Records the decision, and moves the deployment on when it is complete.
///
/// # Errors
/// [`OperationError::DecisionRefused`] when it has ended or the caller is no approver; [`OperationError::Refused`]
/// when the deployment has moved on.
pub async fn decide_approval(
    context: &Context,
    who: &Principal,
    ask: &DecideApproval,
) -> Result<Approval, OperationError> {
    for _ in 0..20 {
        let approval = context.store.approval(&ask.release, &ask.approval).await?.ok_or_else(|| {
            OperationError::NotFound {
                what: format!("approval `{}` of release `{}`", ask.approval, ask.release),
                hint: "see `pilothouse release show`".to_owned(),
            }
        })?;
        context.active_release(&ask.release).await?;
        let decision = Decision {
            by: who.name.clone(),
            at: context.now(),
            approve: ask.approve,
            comment: ask.comment.clone(),
            input: ask.input.clone(),
        };
        let next = approval.record.decide(who, decision)?;
        if write(context, who, ask, &approval, &next).await? {
            wake(context, &next).await?;
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting("the approval changes too fast to be decided; try again".to_owned()))
}

async fn write(
    context: &Context,
    who: &Principal,
    ask: &DecideApproval,
    approval: &Versioned<Approval>,
    next: &Approval,
) -> Result<bool, OperationError> {
    let decided = Happening::ApprovalDecided {
        approve: ask.approve,
        comment: ask.comment.clone(),
        standing: next.status_summary(),
    };
    let event = match &next.subject {
        Subject::BeforeDeployment | Subject::AfterDeployment => context.event(&next.at, &who.name, decided),
        Subject::Stage { stage, .. } => context.stage_event(&next.at, stage, &who.name, decided),
    };
    let attempt = context.attempt(&next.at).await?;
    let mut tx = Transaction::new().replace(approval, next).event(event);
    tx = match moved(context, &attempt.record, next, &who.name)? {
        Some(moved) if moved.state.is_terminal() => {
            tx.replace(&attempt, &moved).event(ended(context, &moved))
        }
        Some(moved) => tx.replace(&attempt, &moved),
        None => tx.check(&attempt),
    };
    match context.store.commit(tx).await {
        Ok(_) => Ok(true),
        Err(e) if e.is_conflict() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// The attempt after a decision before deployment that is complete. A stage's own steps carry out theirs, and the
/// decision after deployment is carried out by the attempt's execution: it may lead to a rollback.
fn moved(
    context: &Context,
    attempt: &Attempt,
    approval: &Approval,
    by: &str,
) -> Result<Option<Attempt>, OperationError> {
    if approval.subject != Subject::BeforeDeployment {
        return Ok(None);
    }
    let event = match &approval.status {
        ApprovalStatus::Approved { .. } => AttemptEvent::Approved,
        ApprovalStatus::Rejected { by } => AttemptEvent::Rejected { by: by.clone() },
        _ => return Ok(None),
    };
    Ok(Some(attempt.apply(event, by, context.now())?))
}

async fn wake(context: &Context, approval: &Approval) -> Result<(), OperationError> {
    if approval.status == ApprovalStatus::Pending {
        return Ok(());
    }
    let awaited = match &approval.subject {
        Subject::BeforeDeployment | Subject::AfterDeployment => Awaited::Approval {},
        Subject::Stage { stage, .. } => Awaited::Answer { stage: stage.clone() },
    };
    answer(context, &approval.at, &awaited).await
}
