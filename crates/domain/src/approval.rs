//! Approvals: who must say yes, who did, and what that comes to.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRef;
use crate::ids::ApprovalId;
use crate::pipeline::Approver;
use crate::token::{Principal, Role};

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

/// What an approval is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "subject", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Subject {
    /// The deployment may start (A15).
    BeforeDeployment,
    /// What was deployed may stay (A25).
    AfterDeployment,
    /// A stage waits for a judgment (A24, T35).
    Stage {
        /// The stage's name.
        stage: String,
        /// The answers to choose from; empty when approve or reject is all.
        inputs: Vec<String>,
    },
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
    },
    /// One said no.
    Rejected {
        /// Who.
        by: String,
    },
    /// Nobody decided in time.
    Expired,
    /// The deployment ended before.
    Canceled {
        /// Who cancelled the deployment.
        by: String,
    },
}

/// One decision of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The name of the token used.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Yes or no.
    pub approve: bool,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The answer they chose (T35).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
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
    /// Who may decide.
    pub approvers: Vec<Approver>,
    /// How many must say yes.
    pub required: u32,
    /// What to look at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub status: ApprovalStatus,
    /// Who decided what.
    pub decisions: Vec<Decision>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it expires (invariant 5).
    pub deadline: Timestamp,
}

/// Why a decision was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionRefused {
    /// It had ended before.
    #[error("cannot decide: the approval is already {status}")]
    Ended {
        /// How it stands.
        status: String,
    },
    /// The person is not among the approvers.
    #[error("`{by}` may not decide this approval: it asks for {wanted}")]
    NotAnApprover {
        /// Who tried.
        by: String,
        /// Who may.
        wanted: String,
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
}

impl Approval {
    /// The approval after `who` decided.
    ///
    /// # Errors
    /// [`DecisionRefused`] when it has ended, when `who` is no approver or decided before, or chose an unknown answer.
    pub fn decide(&self, who: &Principal, decision: Decision) -> Result<Self, DecisionRefused> {
        if self.status != ApprovalStatus::Pending {
            return Err(DecisionRefused::Ended { status: self.status_summary() });
        }
        if !self.approvers.iter().any(|a| a.accepts(who)) {
            let wanted = self.approvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(DecisionRefused::NotAnApprover { by: who.name.clone(), wanted });
        }
        if self.decisions.iter().any(|d| d.by == decision.by) && decision.approve {
            let given = self.given();
            return Err(DecisionRefused::Repeated { by: decision.by, given, required: self.required });
        }
        self.check_input(&decision)?;
        let mut next = self.clone();
        let by = decision.by.clone();
        let approve = decision.approve;
        next.decisions.push(decision);
        if !approve {
            next.status = ApprovalStatus::Rejected { by };
        } else if next.given() >= next.required {
            next.status = ApprovalStatus::Approved { by };
        }
        Ok(next)
    }

    fn check_input(&self, decision: &Decision) -> Result<(), DecisionRefused> {
        let Subject::Stage { inputs, .. } = &self.subject else { return Ok(()) };
        let fits = match &decision.input {
            None => inputs.is_empty() || !decision.approve,
            Some(input) => inputs.contains(input),
        };
        if fits { Ok(()) } else { Err(DecisionRefused::UnknownInput { offered: inputs.join(", ") }) }
    }

    /// Whether it waits for decisions.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status == ApprovalStatus::Pending
    }

    /// The approval after its deadline passed; unchanged if it had ended.
    #[must_use]
    pub fn expire(&self) -> Self {
        self.end(ApprovalStatus::Expired)
    }

    /// The approval after the deployment was cancelled by `by`; unchanged if it had ended.
    #[must_use]
    pub fn cancel(&self, by: &str) -> Self {
        self.end(ApprovalStatus::Canceled { by: by.to_owned() })
    }

    fn end(&self, status: ApprovalStatus) -> Self {
        if self.status == ApprovalStatus::Pending { Self { status, ..self.clone() } } else { self.clone() }
    }

    /// How many said yes.
    #[must_use]
    pub fn given(&self) -> u32 {
        u32::try_from(self.decisions.iter().filter(|d| d.approve).count()).unwrap_or(u32::MAX)
    }

    /// How it stands, for people.
    #[must_use]
    pub fn status_summary(&self) -> String {
        match &self.status {
            ApprovalStatus::Pending => format!("pending ({} of {} given)", self.given(), self.required),
            ApprovalStatus::Approved { by } => format!("approved by {by}"),
            ApprovalStatus::Rejected { by } => format!("rejected by {by}"),
            ApprovalStatus::Expired => "expired".to_owned(),
            ApprovalStatus::Canceled { by } => format!("canceled by {by}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReleaseId;

    fn approval(required: u32) -> Approval {
        Approval {
            id: ApprovalId::new(ulid::Ulid::from_parts(1, 1)),
            at: AttemptRef {
                release: ReleaseId::new(ulid::Ulid::from_parts(1, 2)),
                environment: "prod".to_owned(),
                number: 1,
            },
            application: "shop".to_owned(),
            subject: Subject::BeforeDeployment,
            approvers: vec![Approver::Role("approver".to_owned())],
            required,
            instructions: None,
            status: ApprovalStatus::Pending,
            decisions: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            deadline: Timestamp::UNIX_EPOCH,
        }
    }

    fn by(name: &str, role: Role) -> Principal {
        Principal { name: name.to_owned(), role }
    }

    fn decision(name: &str, approve: bool) -> Decision {
        Decision { by: name.to_owned(), at: Timestamp::UNIX_EPOCH, approve, comment: None, input: None }
    }

    #[test]
    fn a_quorum_counts_people_not_clicks() {
        let one = approval(2).decide(&by("ann", Role::Approver), decision("ann", true)).unwrap();
        assert_eq!(one.status, ApprovalStatus::Pending);
        let again = one.decide(&by("ann", Role::Approver), decision("ann", true));
        assert!(matches!(again, Err(DecisionRefused::Repeated { given: 1, required: 2, .. })));
        let two = one.decide(&by("bob", Role::Admin), decision("bob", true)).unwrap();
        assert_eq!(two.status, ApprovalStatus::Approved { by: "bob".to_owned() });
    }

    #[test]
    fn one_no_is_enough_and_final() {
        let no = approval(2).decide(&by("ann", Role::Approver), decision("ann", false)).unwrap();
        assert_eq!(no.status, ApprovalStatus::Rejected { by: "ann".to_owned() });
        let late = no.decide(&by("bob", Role::Approver), decision("bob", true)).unwrap_err();
        assert_eq!(late.to_string(), "cannot decide: the approval is already rejected by ann");
    }

    #[test]
    fn who_is_no_approver_is_told_who_is() {
        let refused = approval(1).decide(&by("dev", Role::Operator), decision("dev", true)).unwrap_err();
        assert_eq!(refused.to_string(), "`dev` may not decide this approval: it asks for role approver");
    }
}
