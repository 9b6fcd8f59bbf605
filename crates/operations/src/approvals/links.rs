//! Single-use links: made for one person and one approval, and used once (X7).

use pilothouse_domain::approval::{
    Approval, ApprovalLink, DecisionRefused, LinkAction, LinkRefused, Via, names_of,
};
use pilothouse_domain::duration::Span;
use pilothouse_domain::ids::{ApprovalId, LinkId, ReleaseId};
use pilothouse_domain::problem::{Problem, Problems};
use pilothouse_domain::timeline::Happening;
use pilothouse_domain::token::{Principal, Role};
use pilothouse_store::Transaction;

use super::decide::{DecideApproval, decide};
use super::link_token::{Claims, LinkKey};
use crate::{Context, OperationError};

/// A link that is wanted.
#[derive(Debug, Clone)]
pub struct MakeLink {
    /// The release.
    pub release: ReleaseId,
    /// The approval.
    pub approval: ApprovalId,
    /// The person whose decision it gives; who has an API token.
    pub person: String,
    /// What it may do.
    pub actions: Vec<LinkAction>,
    /// How long it can be used; never longer than the approval waits.
    pub expires_in: Span,
}

/// A link that was just made. `Debug` does not show it.
#[derive(Clone)]
pub struct NewLink {
    /// Its record.
    pub link: ApprovalLink,
    /// What stands in the address after `/links/`; kept nowhere.
    pub token: String,
}

impl std::fmt::Debug for NewLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLink").field("link", &self.link).finish_non_exhaustive()
    }
}

/// Makes a link. An approver makes one for themself, an admin for any approver: whoever has a link decides with it, so
/// nobody else may come by one.
///
/// # Errors
/// [`OperationError::DecisionRefused`] when the approval has ended, or the person or the maker may not decide it;
/// [`OperationError::Invalid`] when there is no such person; [`OperationError::Conflicting`] when no key is configured.
pub async fn make_link(
    context: &Context,
    who: &Principal,
    ask: &MakeLink,
) -> Result<NewLink, OperationError> {
    let key = LinkKey::read(context).await?;
    let actions = checked_actions(ask)?;
    let approval = context.approval(&ask.release, &ask.approval).await?;
    let stored = &approval.record;
    context.active_release(&ask.release).await?;
    if !stored.is_pending() {
        return Err(DecisionRefused::Ended { status: stored.status_summary() }.into());
    }
    let person = context.member(&ask.person).await?.ok_or_else(|| no_such_person(&ask.person))?;
    check_maker(stored, who, &person)?;
    let now = context.now();
    let expires_at = ask.expires_in.after(now).min(stored.deadline);
    let link = ApprovalLink {
        id: LinkId::new(context.ids.ulid()),
        release: ask.release.clone(),
        approval: ask.approval.clone(),
        person: person.name.clone(),
        actions,
        made_by: who.name.clone(),
        made_at: now,
        expires_at,
        used: None,
    };
    let token = key.sign(&Claims::of(&link, stored))?;
    let made = Happening::ApprovalLinkMade { link: link.id.clone(), person: person.name, until: expires_at };
    let made = match stored.subject.stage() {
        Some(stage) => context.stage_event(&stored.at, stage, &who.name, made),
        None => context.event(&stored.at, &who.name, made),
    };
    // Whether the approval ends in this moment does not matter: the link then decides nothing.
    context.store.commit(Transaction::new().create(&link).event(made)).await?;
    Ok(NewLink { link, token })
}

fn checked_actions(ask: &MakeLink) -> Result<Vec<LinkAction>, OperationError> {
    let mut actions = ask.actions.clone();
    actions.sort_unstable();
    actions.dedup();
    let problem = if actions.is_empty() {
        Problem::new("actions", "a link without an action does nothing")
    } else if ask.expires_in.as_millis() == 0 {
        Problem::new("expiresIn", "a link that expires at once is of no use")
    } else {
        return Ok(actions);
    };
    Err(OperationError::Invalid(Problems::from(problem)))
}

fn no_such_person(name: &str) -> OperationError {
    let shown: String = name.chars().take(63).collect();
    let hint = format!("make one with `pilothouse token create {shown} --role approver`");
    let problem = Problem::new("for", format!("`{shown}` has no API token")).with_hint(hint);
    OperationError::Invalid(Problems::from(problem))
}

fn check_maker(approval: &Approval, who: &Principal, person: &Principal) -> Result<(), DecisionRefused> {
    let refused =
        |by: &Principal, wanted: String| DecisionRefused::NotAnApprover { by: by.name.clone(), wanted };
    let wanted = names_of(&approval.approvers);
    if who.role != Role::Admin && who.name != person.name {
        let wanted = format!("{wanted}, each for themself, or an admin to make links for them");
        return Err(refused(who, wanted));
    }
    if approval.excludes(&person.name) {
        return Err(DecisionRefused::OwnRelease { by: person.name.clone() });
    }
    if approval.excludes(&who.name) {
        return Err(DecisionRefused::OwnReleaseLink { by: who.name.clone(), person: person.name.clone() });
    }
    if !approval.approvers.iter().any(|a| a.accepts(person)) {
        return Err(refused(person, wanted));
    }
    Ok(())
}

/// A link as whoever opens it sees it.
#[derive(Debug, Clone)]
pub struct PresentedLink {
    /// The link.
    pub link: ApprovalLink,
    /// The approval that it decides.
    pub approval: Approval,
}

/// What a link is for, if it can still be used. Decides nothing: programs open links too.
///
/// # Errors
/// [`OperationError::LinkRefused`]; [`OperationError::DecisionRefused`] when the approval has ended.
pub async fn open_link(context: &Context, token: &str) -> Result<PresentedLink, OperationError> {
    let (_, link) = verified(context, token).await?;
    link.check(context.now())?;
    let approval = context.approval(&link.release, &link.approval).await?.record;
    if !approval.is_pending() {
        return Err(DecisionRefused::Ended { status: approval.status_summary() }.into());
    }
    Ok(PresentedLink { link, approval })
}

/// A decision that comes by a link.
#[derive(Debug, Clone)]
pub struct LinkDecision {
    /// Approve or reject.
    pub action: LinkAction,
    /// What the decider says.
    pub comment: Option<String>,
    /// The answer chosen, where answers are offered.
    pub input: Option<String>,
    /// The address of the client, when the connection told it.
    pub address: Option<String>,
}

/// Decides as the person the link was made for, and uses the link up with it. A decision that is refused leaves it.
///
/// # Errors
/// As [`open_link`] and [`super::decide_approval`].
pub async fn decide_by_link(
    context: &Context,
    token: &str,
    ask: LinkDecision,
) -> Result<Approval, OperationError> {
    let (claims, link) = verified(context, token).await?;
    link.check(context.now())?;
    let person = context.member(&link.person).await?;
    let person = person.ok_or(LinkRefused::PersonGone { person: link.person })?;
    let decision = DecideApproval {
        release: link.release,
        approval: link.approval,
        approve: ask.action == LinkAction::Approve,
        comment: ask.comment,
        input: ask.input,
        defer_until: None,
        saw: claims.shown,
        via: Via::Link { link: link.id.clone(), made_by: link.made_by, address: ask.address },
    };
    decide(context, &person, &decision, Some(&link.id)).await
}

/// What a token says and the record of its link. One that is not ours, and one without a record, are told alike.
async fn verified(context: &Context, token: &str) -> Result<(Claims, ApprovalLink), OperationError> {
    let key = LinkKey::read(context).await?;
    let claims: Claims = key.verify(token).ok_or(LinkRefused::Unknown)?;
    let link = context.store.approval_link(&claims.link).await?.ok_or(LinkRefused::Unknown)?.record;
    if claims.fit(&link) { Ok((claims, link)) } else { Err(LinkRefused::Unknown.into()) }
}
