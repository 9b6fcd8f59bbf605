//! Deciding an approval: before or after a deployment, or inside a stage (A15-A18, A24, A25, A33, T35).

use jiff::Timestamp;
use pilothouse_domain::approval::{Approval, ApprovalLink, Decision, LinkAction, Subject, Via};
use pilothouse_domain::attempt::Attempt;
use pilothouse_domain::callback::Awaited;
use pilothouse_domain::ids::{ApprovalId, LinkId, ReleaseId};
use pilothouse_domain::timeline::{EventDraft, Happening};
use pilothouse_domain::token::Principal;
use pilothouse_store::{Transaction, Versioned};

use super::{attempt_event, check_comment};
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
    /// When the deployment is to start, if not at once (A18).
    pub defer_until: Option<Timestamp>,
    /// The hash of what the decider saw: another one than that of what is asked is refused (X6).
    pub saw: Option<String>,
    /// How the decision came.
    pub via: Via,
}

/// Records the decision, and moves the deployment on when it is complete.
///
/// # Errors
/// [`OperationError::DecisionRefused`] when it has ended or the caller is not asked; [`OperationError::Refused`]
/// when the deployment has moved on.
pub async fn decide_approval(
    context: &Context,
    who: &Principal,
    ask: &DecideApproval,
) -> Result<Approval, OperationError> {
    decide(context, who, ask, None).await
}

/// The same; a link that decides is used up in the transaction that writes the decision.
pub(super) async fn decide(
    context: &Context,
    who: &Principal,
    ask: &DecideApproval,
    link: Option<&LinkId>,
) -> Result<Approval, OperationError> {
    check_comment(ask.comment.as_deref())?;
    for _ in 0..20 {
        let link = match link {
            Some(id) => Some(used(context, id, ask).await?),
            None => None,
        };
        let approval = context.approval(&ask.release, &ask.approval).await?;
        context.active_release(&ask.release).await?;
        let decision = Decision {
            by: who.name.clone(),
            at: context.now(),
            approve: ask.approve,
            comment: ask.comment.clone(),
            input: ask.input.clone(),
            defer_until: ask.defer_until,
            via: Some(ask.via.clone()),
            saw: ask.saw.clone(),
        };
        let next = approval.record.decide(who, decision)?;
        let mut tx = Transaction::new();
        if let Some((link, used)) = &link {
            tx = tx.replace(link, used);
        }
        match write(context, who, &approval, &next, tx).await {
            Ok(true) => {
                wake(context, &next).await?;
                return Ok(next);
            }
            Ok(false) => {}
            // Somebody decided in between, and the deployment has moved on with that: they are who is to be named.
            Err(OperationError::Refused(_)) if has_changed(context, &approval).await? => {}
            Err(error) => return Err(error),
        }
    }
    Err(OperationError::Conflicting("the approval changes too fast to be decided; try again".to_owned()))
}

/// The link as it stands, and as it stands once it has decided.
async fn used(
    context: &Context,
    id: &LinkId,
    ask: &DecideApproval,
) -> Result<(Versioned<ApprovalLink>, ApprovalLink), OperationError> {
    let unknown = || OperationError::from(pilothouse_domain::approval::LinkRefused::Unknown);
    let link = context.store.approval_link(id).await?.ok_or_else(unknown)?;
    let action = if ask.approve { LinkAction::Approve } else { LinkAction::Reject };
    let used = link.record.use_for(action, context.now())?;
    Ok((link, used))
}

async fn has_changed(context: &Context, seen: &Versioned<Approval>) -> Result<bool, OperationError> {
    let now = context.approval(&seen.record.at.release, &seen.record.id).await?;
    Ok(now.record != seen.record)
}

async fn write(
    context: &Context,
    who: &Principal,
    approval: &Versioned<Approval>,
    next: &Approval,
    tx: Transaction,
) -> Result<bool, OperationError> {
    let attempt = context.attempt(&next.at).await?;
    let mut tx = tx.replace(approval, next).events(told(context, who, next));
    tx = match moved(context, &attempt.record, next, &who.name)? {
        Some(moved) if moved.state.is_terminal() => {
            tx.replace(&attempt, &moved).event(ended(context, &moved))
        }
        Some(moved) => tx.replace(&attempt, &moved),
        None => tx.check(&attempt),
    };
    context.commit(tx).await
}

/// The event of the decision that was given last.
fn told(context: &Context, who: &Principal, approval: &Approval) -> Option<EventDraft> {
    let given = approval.decisions.last()?.clone();
    let decided = Happening::ApprovalDecided {
        approve: given.approve,
        comment: given.comment,
        input: given.input,
        defer_until: given.defer_until,
        via: given.via,
        saw: given.saw,
        standing: approval.status_summary(),
    };
    Some(match approval.subject.stage() {
        Some(stage) => context.stage_event(&approval.at, stage, &who.name, decided),
        None => context.event(&approval.at, &who.name, decided),
    })
}

/// The attempt after a decision before deployment that is complete. A stage's own steps carry out theirs, and the
/// decision after deployment is carried out by the attempt's execution: it may lead to a rollback.
fn moved(
    context: &Context,
    attempt: &Attempt,
    approval: &Approval,
    by: &str,
) -> Result<Option<Attempt>, OperationError> {
    match approval.verdict() {
        Some(verdict) if approval.subject == Subject::BeforeDeployment => {
            Ok(Some(attempt.apply(attempt_event(verdict), by, context.now())?))
        }
        _ => Ok(None),
    }
}

async fn wake(context: &Context, approval: &Approval) -> Result<(), OperationError> {
    if approval.is_pending() {
        return Ok(());
    }
    let awaited = match &approval.subject {
        Subject::BeforeDeployment | Subject::AfterDeployment => Awaited::Approval {},
        Subject::Stage { stage } => Awaited::Answer { stage: stage.clone() },
    };
    answer(context, &approval.at, &awaited).await
}
