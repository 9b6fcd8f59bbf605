//! The callback token of a step that waits: whoever ends the wait answers it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRef;

/// What a step waits for. Its text is part of the record's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Awaited {
    /// The environment's lane.
    Lane {},
    /// The approval before or after deployment.
    Approval {},
    /// A time to start at (A14, A18).
    Time {},
    /// The next sample of the gates (A34, A36).
    Gates {},
    /// The end of a freeze (X14).
    Freeze {},
    /// A person who resumes it (N13).
    Resume {},
    /// The stages before this one.
    Upstream {
        /// The stage that waits.
        stage: String,
    },
    /// A judgment or the end of a wait, inside a stage.
    Answer {
        /// The stage that waits.
        stage: String,
    },
}

impl Awaited {
    /// The text in the record's key: what is waited for first, so that a prefix finds all waits of a kind.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Lane {} => "lane".to_owned(),
            Self::Approval {} => "approval".to_owned(),
            Self::Time {} => "time".to_owned(),
            Self::Gates {} => "gates".to_owned(),
            Self::Freeze {} => "freeze".to_owned(),
            Self::Resume {} => "resume".to_owned(),
            Self::Upstream { stage } => format!("upstream#{stage}"),
            Self::Answer { stage } => format!("answer#{stage}"),
        }
    }
}

/// A waiting step's record. One per attempt and wait: a restarted execution replaces the token of the lost one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    /// The attempt.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// What it waits for.
    #[serde(flatten)]
    pub awaited: Awaited,
    /// The token that ends the wait.
    pub token: String,
    /// When it was stored.
    pub created_at: Timestamp,
}
