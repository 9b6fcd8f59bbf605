//! Who calls: API tokens and the roles they carry (T1).

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a caller may do. Each role may also read everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads only.
    Viewer,
    /// Starts, cancels and rolls back releases.
    Operator,
    /// Decides approvals.
    Approver,
    /// Everything: pipelines, hooks and tokens too.
    Admin,
}

/// Something a role may be needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read any record.
    Read,
    /// Start, retry, cancel, roll back; skip a wait.
    Operate,
    /// Decide an approval; who may decide which one is the approval's own business.
    Decide,
    /// Save pipelines, make hooks and tokens.
    Administer,
}

impl Role {
    /// Whether the role carries the permission.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Operate => matches!(self, Self::Operator | Self::Admin),
            Permission::Decide => matches!(self, Self::Approver | Self::Operator | Self::Admin),
            Permission::Administer => self == Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        })
    }
}

/// The caller of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's name: what records show.
    pub name: String,
    /// The token's role.
    pub role: Role,
}

/// An API token's record. The token itself is not in it: only its SHA-256, as the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Hex SHA-256 of the token.
    pub hash: String,
    /// A name for people, unique.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}
