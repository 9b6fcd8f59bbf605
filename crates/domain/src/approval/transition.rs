//! The transition table of an approval: one pure function from a record and an event to the next record or a refusal.
//!
//! | from | event | to |
//! |---|---|---|
//! | Pending | Decide no, by who is asked | Rejected, final |
//! | Pending | Decide yes, by who is asked; not yet enough | Pending |
//! | Pending | Decide yes, by who is asked; enough | Approved, final (A16, A18 with a deferral) |
//! | Pending | Expire at or after the deadline | Expired as the pipeline chose, final |
//! | Pending | Cancel | Canceled, final |
//! | Pending | Reassign, by an approver or an admin | Pending; decisions stay |
//! | any, final | anything | refused |

use jiff::Timestamp;

use super::{Approval, ApprovalStatus, Decision, Subject, names_of};
use crate::duration::FARTHEST;
use crate::pipeline::{Approver, Order};
use crate::token::{Principal, Role};

/// What can happen to an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalEvent {
    /// Somebody decides. Boxed: it is by far the largest.
    Decide(Box<Decision>, Principal),
    /// Its time is over.
    Expire {
        /// When that was found.
        now: Timestamp,
    },
    /// The deployment ends without it.
    Cancel {
        /// Who cancelled the deployment.
        by: String,
        /// When.
        now: Timestamp,
    },
    /// Others are asked from now on.
    Reassign {
        /// Who wants it.
        who: Principal,
        /// Those who are asked; in sequence they follow on those who said yes.
        approvers: Vec<Approver>,
        /// When.
        now: Timestamp,
    },
}

/// Why an approval does not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionRefused {
    /// It had ended before.
    #[error("cannot decide: the approval is already {status}")]
    Ended {
        /// How it stands.
        status: String,
    },
    /// Its deadline has passed, whether or not that was written down yet.
    #[error("cannot decide: the approval expired at {deadline:.0}")]
    Overdue {
        /// When it expired.
        deadline: Timestamp,
    },
    /// Its deadline has not come.
    #[error("cannot expire: the approval waits until {deadline:.0}")]
    NotDue {
        /// When it expires.
        deadline: Timestamp,
    },
    /// The person is not among the approvers.
    #[error("`{by}` may not decide this approval: it asks for {wanted}")]
    NotAnApprover {
        /// Who tried.
        by: String,
        /// Who may.
        wanted: String,
    },
    /// The person started what is to be approved.
    #[error(
        "`{by}` may not decide this approval: it is not for the one who started the release or the deployment"
    )]
    OwnRelease {
        /// Who tried.
        by: String,
    },
    /// The person started what is to be approved, and asked for a link for somebody else.
    #[error(
        "`{by}` may not make links for this approval, having started the release or the deployment; `{person}` or \
         another admin can"
    )]
    OwnReleaseLink {
        /// Who tried.
        by: String,
        /// For whom.
        person: String,
    },
    /// Somebody else is asked before.
    #[error("it is not the turn of `{by}`: {asked} is asked first")]
    NotTheirTurn {
        /// Who tried.
        by: String,
        /// Whose turn it is.
        asked: String,
    },
    /// The same person decided before.
    #[error("`{by}` has already approved: {given} of {required} approvals are given")]
    Repeated {
        /// Who tried.
        by: String,
        /// How many there are.
        given: u32,
        /// How many are needed.
        required: u32,
    },
    /// The answer is none of those offered.
    #[error("choose one of: {offered}")]
    UnknownInput {
        /// The answers.
        offered: String,
    },
    /// Those who approved before chose another answer.
    #[error("those who approved before chose `{chosen}`: choose the same, or reject")]
    AnswerDiffers {
        /// Their answer.
        chosen: String,
    },
    /// It cannot be put off, or not until then.
    #[error("cannot defer: {reason}")]
    Deferral {
        /// Why.
        reason: &'static str,
    },
    /// What the person saw is not what is to be decided (X6).
    #[error("what you saw is not what is to be decided (its hash is now {now}): look at it again")]
    PlanChanged {
        /// The hash of what is shown now.
        now: String,
    },
    /// In sequence a turn can be given to others, and not be dropped.
    #[error("{left} are still to say yes in turn, and {given} would be; name as many, or ask an admin")]
    FewerSteps {
        /// How many were named.
        given: usize,
        /// How many turns are left.
        left: u32,
    },
    /// With those approvers it could never be approved.
    #[error("{reason}: nobody could complete the approval")]
    Unreachable {
        /// Why.
        reason: String,
    },
}

impl DecisionRefused {
    /// Its stable code; `docs/errors.md` says what to do.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnApprover { .. } => "not_an_approver",
            Self::OwnRelease { .. } | Self::OwnReleaseLink { .. } => "own_release",
            Self::NotTheirTurn { .. } => "not_your_turn",
            Self::UnknownInput { .. } => "unknown_input",
            Self::AnswerDiffers { .. } => "answer_differs",
            Self::Deferral { .. } => "invalid_deferral",
            Self::PlanChanged { .. } => "plan_changed",
            Self::Unreachable { .. } => "unreachable_quorum",
            Self::FewerSteps { .. } => "fewer_steps",
            _ => "approval_ended",
        }
    }
}

impl Approval {
    /// The approval after `event`.
    ///
    /// # Errors
    /// [`DecisionRefused`] when the table at the top of this file has no such row.
    pub fn apply(&self, event: ApprovalEvent) -> Result<Self, DecisionRefused> {
        if !self.is_pending() {
            return Err(DecisionRefused::Ended { status: self.status_summary() });
        }
        match event {
            ApprovalEvent::Decide(decision, who) => self.decided(*decision, &who),
            ApprovalEvent::Expire { now } if now < self.deadline => {
                Err(DecisionRefused::NotDue { deadline: self.deadline })
            }
            ApprovalEvent::Expire { now } => {
                let status = ApprovalStatus::Expired { expired_as: self.on_expiry };
                Ok(Self { status, ended_at: Some(now), ..self.clone() })
            }
            ApprovalEvent::Cancel { by, now } => {
                Ok(Self { status: ApprovalStatus::Canceled { by }, ended_at: Some(now), ..self.clone() })
            }
            ApprovalEvent::Reassign { who, approvers, now } => self.reassigned(&who, approvers, now),
        }
    }

    /// The approval after `who` decided.
    ///
    /// # Errors
    /// [`DecisionRefused`].
    pub fn decide(&self, who: &Principal, decision: Decision) -> Result<Self, DecisionRefused> {
        self.apply(ApprovalEvent::Decide(Box::new(decision), who.clone()))
    }

    /// The approval after its deadline passed; unchanged if it had ended.
    #[must_use]
    pub fn expire(&self) -> Self {
        self.apply(ApprovalEvent::Expire { now: self.deadline }).unwrap_or_else(|_| self.clone())
    }

    /// The approval after the deployment was cancelled by `by`; unchanged if it had ended.
    #[must_use]
    pub fn cancel(&self, by: &str, now: Timestamp) -> Self {
        self.apply(ApprovalEvent::Cancel { by: by.to_owned(), now }).unwrap_or_else(|_| self.clone())
    }

    fn decided(&self, decision: Decision, who: &Principal) -> Result<Self, DecisionRefused> {
        self.check_in_time(decision.at)?;
        self.check_person(&decision, who)?;
        self.check_sight(&decision)?;
        self.check_input(&decision)?;
        self.check_deferral(&decision)?;
        let (by, at, approve) = (decision.by.clone(), decision.at, decision.approve);
        let mut next = self.clone();
        next.decisions.push(decision);
        if !approve {
            next.status = ApprovalStatus::Rejected { by };
        } else if next.given() >= next.required {
            next.status = ApprovalStatus::Approved { by, defer_until: next.deferral(at) };
        }
        next.ended_at = (!next.is_pending()).then_some(at);
        Ok(next)
    }

    fn check_in_time(&self, now: Timestamp) -> Result<(), DecisionRefused> {
        if now >= self.deadline { Err(DecisionRefused::Overdue { deadline: self.deadline }) } else { Ok(()) }
    }

    fn check_person(&self, decision: &Decision, who: &Principal) -> Result<(), DecisionRefused> {
        let by = || who.name.clone();
        if self.excludes(&who.name) {
            return Err(DecisionRefused::OwnRelease { by: by() });
        }
        if !self.approvers.iter().any(|a| a.accepts(who)) {
            return Err(DecisionRefused::NotAnApprover { by: by(), wanted: names_of(&self.approvers) });
        }
        if decision.approve && self.said_yes(&who.name) {
            return Err(DecisionRefused::Repeated { by: by(), given: self.given(), required: self.required });
        }
        if self.order == Order::InSequence && !self.is_turn_of(who) {
            return Err(DecisionRefused::NotTheirTurn { by: by(), asked: names_of(self.asked()) });
        }
        Ok(())
    }

    fn said_yes(&self, name: &str) -> bool {
        self.decisions.iter().any(|d| d.approve && d.by == name)
    }

    /// In sequence: who is named for a later turn keeps it, as nobody could take it in their place.
    fn is_turn_of(&self, who: &Principal) -> bool {
        let [asked] = self.asked() else { return false };
        let named = Approver::User(who.name.clone());
        let later = usize::try_from(self.given()).unwrap_or(usize::MAX).saturating_add(1);
        let named_later = self.approvers.iter().skip(later).any(|a| *a == named);
        asked.accepts(who) && (*asked == named || !named_later)
    }

    fn check_sight(&self, decision: &Decision) -> Result<(), DecisionRefused> {
        match (&decision.saw, &self.shown_hash) {
            (Some(saw), Some(shown)) if saw != shown => {
                Err(DecisionRefused::PlanChanged { now: shown.clone() })
            }
            _ => Ok(()),
        }
    }

    fn check_input(&self, decision: &Decision) -> Result<(), DecisionRefused> {
        let fits = match &decision.input {
            None => self.inputs.is_empty() || !decision.approve,
            Some(input) => self.inputs.contains(input),
        };
        if !fits && self.inputs.is_empty() {
            return Err(DecisionRefused::UnknownInput { offered: "no answer; it asks for none".to_owned() });
        }
        if !fits {
            return Err(DecisionRefused::UnknownInput { offered: self.inputs.join(", ") });
        }
        match self.input() {
            Some(chosen) if decision.approve && decision.input.as_deref() != Some(chosen) => {
                Err(DecisionRefused::AnswerDiffers { chosen: chosen.to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn check_deferral(&self, decision: &Decision) -> Result<(), DecisionRefused> {
        let Some(until) = decision.defer_until else { return Ok(()) };
        let reason = if self.subject != Subject::BeforeDeployment {
            "only an approval before deployment can be for a later time"
        } else if !decision.approve {
            "a rejection has no time to start"
        } else if until <= decision.at {
            "the time must lie in the future"
        } else if until > FARTHEST.after(decision.at) {
            "the time must lie within 364 days"
        } else {
            return Ok(());
        };
        Err(DecisionRefused::Deferral { reason })
    }

    fn reassigned(
        &self,
        who: &Principal,
        approvers: Vec<Approver>,
        now: Timestamp,
    ) -> Result<Self, DecisionRefused> {
        self.check_in_time(now)?;
        if who.role != Role::Admin {
            if !self.approvers.iter().any(|a| a.accepts(who)) {
                let wanted = format!("{}, and an admin may reassign it", names_of(&self.approvers));
                return Err(DecisionRefused::NotAnApprover { by: who.name.clone(), wanted });
            }
            if self.excludes(&who.name) {
                return Err(DecisionRefused::OwnRelease { by: who.name.clone() });
            }
        }
        self.check_reachable(&approvers)?;
        let steps = self.given().saturating_add(u32::try_from(approvers.len()).unwrap_or(u32::MAX));
        if self.order == Order::InSequence && steps < self.required && who.role != Role::Admin {
            let left = self.required.saturating_sub(self.given());
            return Err(DecisionRefused::FewerSteps { given: approvers.len(), left });
        }
        let mut next = self.clone();
        match self.order {
            Order::Any => next.approvers = approvers,
            Order::InSequence => {
                next.approvers.truncate(usize::try_from(self.given()).unwrap_or(usize::MAX));
                next.approvers.extend(approvers);
                next.required = u32::try_from(next.approvers.len()).unwrap_or(u32::MAX);
            }
        }
        Ok(next)
    }

    /// Whether those asked from now on can complete it.
    fn check_reachable(&self, approvers: &[Approver]) -> Result<(), DecisionRefused> {
        let unreachable = |reason: String| Err(DecisionRefused::Unreachable { reason });
        let mut able: Vec<&str> = Vec::new();
        for approver in approvers {
            let Approver::User(name) = approver else { continue };
            let useless = self.said_yes(name) || self.excludes(name) || able.contains(&name.as_str());
            if useless && self.order == Order::InSequence {
                return unreachable(format!("`{name}` cannot take a turn"));
            }
            if !useless {
                able.push(name);
            }
        }
        let open = approvers.iter().any(|a| matches!(a, Approver::Role(_)));
        let possible = self.given().saturating_add(u32::try_from(able.len()).unwrap_or(u32::MAX));
        if approvers.is_empty() || (self.order == Order::Any && !open && possible < self.required) {
            return unreachable(format!("{possible} of {} approvals are possible", self.required));
        }
        Ok(())
    }
}
