//! Asking others: an approval that waits for people who will not come (X7).

use pilothouse_domain::approval::{Approval, ApprovalEvent, names_of};
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::pipeline::{Approver, MOST_APPROVERS};
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::timeline::Happening;
use pilothouse_domain::token::Principal;
use pilothouse_store::Transaction;

use crate::stages::manual_judgment::approver_problem;
use crate::{Context, OperationError};

/// Asks `approvers` from now on, in the place of those who are asked; what was decided stays. In sequence they follow
/// on those who said yes.
///
/// # Errors
/// [`OperationError::DecisionRefused`] when it has ended, when `who` is neither an admin nor one of the present
/// approvers, or when the new ones could not complete it; [`OperationError::Invalid`] when they are none.
pub async fn reassign_approval(
    context: &Context,
    who: &Principal,
    release: &ReleaseId,
    id: &ApprovalId,
    approvers: &[Approver],
) -> Result<Approval, OperationError> {
    check(approvers)?;
    check_people(context, approvers).await?;
    for _ in 0..20 {
        let approval = context.approval(release, id).await?;
        context.active_release(release).await?;
        let event =
            ApprovalEvent::Reassign { who: who.clone(), approvers: approvers.to_vec(), now: context.now() };
        let next = approval.record.apply(event)?;
        let told = Happening::ApprovalReassigned {
            from: names_of(&approval.record.approvers),
            to: names_of(&next.approvers),
        };
        let told = match next.subject.stage() {
            Some(stage) => context.stage_event(&next.at, stage, &who.name, told),
            None => context.event(&next.at, &who.name, told),
        };
        if context.commit(Transaction::new().replace(&approval, &next).event(told)).await? {
            return Ok(next);
        }
    }
    Err(OperationError::Conflicting("the approval changes too fast to be reassigned; try again".to_owned()))
}

/// Whoever is asked by name has an API token: nobody else could ever answer.
async fn check_people(context: &Context, approvers: &[Approver]) -> Result<(), OperationError> {
    let mut problems = Vec::new();
    for (index, approver) in approvers.iter().enumerate() {
        let Approver::User(user) = approver else { continue };
        if context.member(user).await?.is_none() {
            let hint = format!("make one with `pilothouse token create {user} --role approver`");
            let problem = Problem::new(format!("approvers[{index}]"), format!("`{user}` has no API token"));
            problems.push(problem.with_hint(hint));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(OperationError::Invalid(Problems(problems))) }
}

fn check(approvers: &[Approver]) -> Result<(), OperationError> {
    let mut problems: Vec<Problem> =
        approvers.iter().enumerate().filter_map(|(index, who)| approver_problem(index, who)).collect();
    if approvers.is_empty() || approvers.len() > MOST_APPROVERS {
        let message = format!("name between 1 and {MOST_APPROVERS} approvers");
        problems.push(Problem::new("approvers", message));
    }
    if problems.is_empty() { Ok(()) } else { Err(OperationError::Invalid(Problems(problems))) }
}
