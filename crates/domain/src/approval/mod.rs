//! Approvals: who must say yes, who did, and what that comes to (A15-A18, A25, A33, T35, X7).

mod decision;
mod link;
mod shown;
mod transition;

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use decision::{Decision, Via};
pub use link::{ApprovalLink, LinkAction, LinkRefused, LinkUse};
pub use shown::{Shown, ShownPlan, ShownStage};
pub use transition::{ApprovalEvent, DecisionRefused};

use crate::attempt::AttemptRef;
use crate::ids::ApprovalId;
use crate::pipeline::{Approver, OnExpiry, Order};
use crate::token::{Principal, Role};

/// Who is recorded where an approval ended because nobody decided in time.
pub const NOBODY: &str = "nobody: it expired";

impl Approver {
    /// Whether `who` is one of these. An admin stands in for any role, not for a person.
    #[must_use]
    pub fn accepts(&self, who: &Principal) -> bool {
        match self {
            Self::Role(role) => who.role == Role::Admin || who.role.to_string() == *role,
            Self::User(name) => who.name == *name,
        }
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "role {role}"),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}

/// Approvers as people read them: `role approver, user bob`.
#[must_use]
pub fn names_of(approvers: &[Approver]) -> String {
    approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What an approval is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "subject", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Subject {
    /// The deployment may start (A15).
    BeforeDeployment,
    /// The deployment may count as succeeded (A25).
    AfterDeployment,
    /// A stage waits for a judgment (A24, T35).
    Stage {
        /// The stage's name.
        stage: String,
    },
}

impl Subject {
    /// The stage that asks, if one does.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        match self {
            Self::Stage { stage } => Some(stage),
            Self::BeforeDeployment | Self::AfterDeployment => None,
        }
    }
}

/// Where an approval stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ApprovalStatus {
    /// Waits for decisions until its deadline.
    Pending,
    /// Enough approvers said yes.
    Approved {
        /// The one whose yes completed it.
        by: String,
        /// When the deployment is to start; the latest that an approver named, absent when that has passed (A18).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        defer_until: Option<Timestamp>,
    },
    /// One said no.
    Rejected {
        /// Who.
        by: String,
    },
    /// Nobody decided in time.
    Expired {
        /// What that counts as, as the pipeline chose.
        #[serde(default)]
        expired_as: OnExpiry,
    },
    /// The deployment ended before.
    Canceled {
        /// Who cancelled the deployment.
        by: String,
    },
}

/// What an approval that has ended means for the deployment that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Approved {
        /// Whose yes completed it, or [`NOBODY`].
        by: String,
        /// Not before this time (A18).
        defer_until: Option<Timestamp>,
    },
    /// It may not go on.
    Rejected {
        /// Who said no, or [`NOBODY`].
        by: String,
    },
    /// It ends as canceled.
    Canceled {
        /// Who cancelled it, or [`NOBODY`].
        by: String,
    },
}

/// An approval's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The attempt that waits for it.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The application, for people.
    pub application: String,
    /// What is asked.
    #[serde(flatten)]
    pub subject: Subject,
    /// The answers to choose from; empty when approve or reject is all.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Who may decide; in sequence, whose turn it is after one another.
    pub approvers: Vec<Approver>,
    /// How many different people must say yes.
    pub required: u32,
    /// Whether the approvers are asked all at once or in turn.
    #[serde(default)]
    pub order: Order,
    /// Whether those who started the release or the attempt may decide.
    #[serde(default = "yes")]
    pub self_approval: bool,
    /// Who started the release, and who the attempt, by hand. Empty for what a hook or a schedule started.
    #[serde(default)]
    pub started_by: Vec<String>,
    /// What to look at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What the approvers are shown; absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Box<Shown>>,
    /// The SHA-256 of what they are shown: what a decision may be bound to (X6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_hash: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub status: ApprovalStatus,
    /// Who decided what, in order.
    pub decisions: Vec<Decision>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it expires (invariant 5).
    pub deadline: Timestamp,
    /// What it comes to then.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// When it was decided or expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

const fn yes() -> bool {
    true
}

impl Approval {
    /// A pending approval that asks nobody yet and for one yes: what an opener fills in.
    #[must_use]
    pub fn asking(
        id: ApprovalId,
        at: AttemptRef,
        subject: Subject,
        created_at: Timestamp,
        deadline: Timestamp,
    ) -> Self {
        Self {
            id,
            at,
            application: String::new(),
            subject,
            inputs: Vec::new(),
            approvers: Vec::new(),
            required: 1,
            order: Order::Any,
            self_approval: true,
            started_by: Vec::new(),
            instructions: None,
            shown: None,
            shown_hash: None,
            status: ApprovalStatus::Pending,
            decisions: Vec::new(),
            created_at,
            deadline,
            on_expiry: OnExpiry::Reject,
            ended_at: None,
        }
    }

    /// Whether it waits for decisions.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status == ApprovalStatus::Pending
    }

    /// How many people said yes.
    #[must_use]
    pub fn given(&self) -> u32 {
        let mut people: Vec<&str> =
            self.decisions.iter().filter(|d| d.approve).map(|d| d.by.as_str()).collect();
        people.sort_unstable();
        people.dedup();
        u32::try_from(people.len()).unwrap_or(u32::MAX)
    }

    /// Who is asked now: all approvers, or in sequence the one whose turn it is.
    #[must_use]
    pub fn asked(&self) -> &[Approver] {
        match self.order {
            Order::Any => &self.approvers,
            Order::InSequence => {
                let turn = usize::try_from(self.given()).unwrap_or(usize::MAX);
                self.approvers.get(turn).map_or(&[], std::slice::from_ref)
            }
        }
    }

    /// Whether `who` started what is asked about and therefore may not decide it.
    #[must_use]
    pub fn excludes(&self, who: &str) -> bool {
        !self.self_approval && self.started_by.iter().any(|name| name == who)
    }

    /// Whether it is open and asks `who` now.
    #[must_use]
    pub fn asks(&self, who: &Principal) -> bool {
        self.is_pending() && !self.excludes(&who.name) && self.asked().iter().any(|a| a.accepts(who))
    }

    /// The answer that was chosen, once somebody said yes with one (T35).
    #[must_use]
    pub fn input(&self) -> Option<&str> {
        self.decisions.iter().rev().filter(|d| d.approve).find_map(|d| d.input.as_deref())
    }

    /// The latest time that an approver wants it deferred to, if that lies after `now` (A18).
    #[must_use]
    pub fn deferral(&self, now: Timestamp) -> Option<Timestamp> {
        let wanted = self.decisions.iter().filter(|d| d.approve).filter_map(|d| d.defer_until);
        wanted.max().filter(|until| *until > now)
    }

    /// What it means for the deployment; `None` while it is pending.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        Some(match &self.status {
            ApprovalStatus::Pending => return None,
            ApprovalStatus::Approved { by, defer_until } => {
                Verdict::Approved { by: by.clone(), defer_until: *defer_until }
            }
            ApprovalStatus::Rejected { by } => Verdict::Rejected { by: by.clone() },
            ApprovalStatus::Canceled { by } => Verdict::Canceled { by: by.clone() },
            ApprovalStatus::Expired { expired_as } => {
                let by = NOBODY.to_owned();
                match expired_as {
                    OnExpiry::Reject => Verdict::Rejected { by },
                    OnExpiry::Cancel => Verdict::Canceled { by },
                    OnExpiry::Approve => {
                        let ended = self.ended_at.unwrap_or(self.deadline);
                        Verdict::Approved { by, defer_until: self.deferral(ended) }
                    }
                }
            }
        })
    }

    /// How it stands, for people.
    #[must_use]
    pub fn status_summary(&self) -> String {
        match &self.status {
            ApprovalStatus::Pending => format!("pending ({} of {} given)", self.given(), self.required),
            ApprovalStatus::Approved { by, defer_until: None } => format!("approved by {by}"),
            ApprovalStatus::Approved { by, defer_until: Some(until) } => {
                format!("approved by {by}, deferred until {until:.0}")
            }
            ApprovalStatus::Rejected { by } => format!("rejected by {by}"),
            ApprovalStatus::Expired { expired_as: OnExpiry::Reject } => "expired".to_owned(),
            ApprovalStatus::Expired { expired_as: OnExpiry::Approve } => {
                "expired, which counts as approved".to_owned()
            }
            ApprovalStatus::Expired { expired_as: OnExpiry::Cancel } => {
                "expired, which cancels the deployment".to_owned()
            }
            ApprovalStatus::Canceled { by } => format!("canceled by {by}"),
        }
    }
}

#[cfg(test)]
mod tests;
