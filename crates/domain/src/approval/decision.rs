//! One decision of one person: who, when, from where, and what they saw (X7).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::LinkId;

/// The way by which a decision came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "channel", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Via {
    /// A request with an API token.
    Api {
        /// The address of the client, when the connection told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// A single-use link.
    Link {
        /// The link.
        link: LinkId,
        /// Who made it.
        made_by: String,
        /// The address of the client, when the connection told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
}

impl Via {
    /// In a few words: `api, 10.0.0.7`, `link made by bob`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (what, address) = match self {
            Self::Api { address } => ("api".to_owned(), address),
            Self::Link { made_by, address, .. } => (format!("link made by {made_by}"), address),
        };
        match address {
            Some(address) => format!("{what}, {address}"),
            None => what,
        }
    }
}

/// One decision of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The name of the token used, or of the person whose link was used.
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
    /// Not before this time (A18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<Timestamp>,
    /// How it came; absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The hash of what they say they saw: that of [`Shown`](super::Shown); absent when they did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saw: Option<String>,
}
