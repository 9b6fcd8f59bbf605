//! Single-use links that approve or reject from chat or curl (X7). The record holds no secret: the link itself is
//! signed, and whoever has it may decide once, as the person it was made for.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ApprovalId, LinkId, ReleaseId};

/// What a link may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkAction {
    /// Approve.
    Approve,
    /// Reject.
    Reject,
}

impl LinkAction {
    /// Its name in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// How a link was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkUse {
    /// When.
    pub at: Timestamp,
    /// For what.
    pub action: LinkAction,
}

/// A link's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalLink {
    /// Its id.
    pub id: LinkId,
    /// The release.
    pub release: ReleaseId,
    /// The approval that it decides.
    pub approval: ApprovalId,
    /// The person whose decision it gives.
    pub person: String,
    /// What it may do.
    pub actions: Vec<LinkAction>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// How it was used, once it was: written with the decision, so that it is used once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<LinkUse>,
}

/// Why a link decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    /// It is none of ours, or was tampered with.
    #[error("this link is not valid: ask for a new one")]
    Unknown,
    /// It is too late.
    #[error("this link expired at {at:.0}: ask for a new one")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It was used.
    #[error("this link was used at {at:.0} to {action}: a link decides once", action = action.name())]
    Used {
        /// When.
        at: Timestamp,
        /// For what.
        action: LinkAction,
    },
    /// It is for something else.
    #[error("this link is to {may} only")]
    OtherAction {
        /// What it may do.
        may: String,
    },
    /// The person's API token was revoked since.
    #[error("`{person}` has no API token any more, so their links decide nothing")]
    PersonGone {
        /// Who.
        person: String,
    },
}

impl LinkRefused {
    /// Its stable code; `docs/errors.md` says what to do.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "link_unknown",
            Self::Expired { .. } => "link_expired",
            Self::Used { .. } => "link_used",
            Self::OtherAction { .. } | Self::PersonGone { .. } => "link_not_for_this",
        }
    }
}

impl ApprovalLink {
    /// Whether it can be used at `now`.
    ///
    /// # Errors
    /// [`LinkRefused`].
    pub fn check(&self, now: Timestamp) -> Result<(), LinkRefused> {
        if let Some(LinkUse { at, action }) = self.used {
            return Err(LinkRefused::Used { at, action });
        }
        if now >= self.expires_at {
            return Err(LinkRefused::Expired { at: self.expires_at });
        }
        Ok(())
    }

    /// The link after it was used at `now`.
    ///
    /// # Errors
    /// [`LinkRefused`].
    pub fn use_for(&self, action: LinkAction, now: Timestamp) -> Result<Self, LinkRefused> {
        self.check(now)?;
        if !self.actions.contains(&action) {
            let may: Vec<&str> = self.actions.iter().map(|a| a.name()).collect();
            return Err(LinkRefused::OtherAction { may: may.join(" or ") });
        }
        Ok(Self { used: Some(LinkUse { at: now, action }), ..self.clone() })
    }
}
