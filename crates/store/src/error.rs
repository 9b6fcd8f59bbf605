//! What can go wrong between a use case and the table.

use crate::Key;

/// The cause below a [`StoreError`], as the SDK or serde gave it.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A read or a commit that did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The record at `key` is not what the writer believed: it changed, appeared or vanished since it was read.
    #[error("commit refused: {key} was changed meanwhile; load it again and decide anew")]
    Conflict {
        /// The first of the transaction's records whose condition did not hold.
        key: Key,
    },
    /// Others kept writing to the same items for longer than the retries last.
    #[error("commit gave up after {tries} tries: others kept writing to {what}; try again later")]
    Contended {
        /// What was contended for.
        what: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The table refused for its throughput, for longer than the retries last.
    #[error("{operation} was throttled by the table; try again later")]
    Throttled {
        /// The table operation, for example `commit`.
        operation: &'static str,
        /// What the table said.
        #[source]
        source: Cause,
    },
    /// The table did not answer, or answered with an internal error. The write may or may not have happened.
    #[error("{operation} got no answer from the table; try again")]
    Unavailable {
        /// The table operation.
        operation: &'static str,
        /// What the client saw.
        #[source]
        source: Cause,
    },
    /// The table refused the request itself: no such table, no permission, or a request that is not valid.
    #[error("{operation} was refused by the table: check its name, its keys and the permissions")]
    Refused {
        /// The table operation.
        operation: &'static str,
        /// What the table said.
        #[source]
        source: Cause,
    },
    /// An item above DynamoDB's 400 KB, or a transaction above 4 MB (its first key is named).
    #[error("{key} is too large to store: {bytes} bytes")]
    TooLarge {
        /// Whose item.
        key: Key,
        /// Its size as DynamoDB counts it.
        bytes: usize,
    },
    /// More operations than one transaction takes (100), or two of them on one item.
    #[error("the transaction cannot be written: {reason}; split it")]
    Unwritable {
        /// What is wrong with it.
        reason: String,
    },
    /// A record that cannot be turned into an item.
    #[error("{kind} cannot be encoded as an item")]
    Encode {
        /// The record's kind.
        kind: &'static str,
        /// What serde said.
        #[source]
        source: Cause,
    },
    /// An item that is not the record it should be.
    #[error("{key} cannot be read as {kind}: the item is damaged or of another kind")]
    Corrupt {
        /// Whose item.
        key: Key,
        /// What it was read as.
        kind: &'static str,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// An item that a newer Pilothouse wrote.
    #[error("{key} has schema {found}, this build reads up to {known}: upgrade Pilothouse")]
    NewerSchema {
        /// Whose item.
        key: Key,
        /// The item's schema.
        found: u32,
        /// The newest one that this build knows.
        known: u32,
    },
    /// A page cursor that this query did not give out.
    #[error("the cursor does not belong to this list: begin again without one")]
    InvalidCursor,
}

impl StoreError {
    /// Whether the same call may succeed later. A [`StoreError::Conflict`] is not: decide again from fresh records.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Throttled { .. } | Self::Unavailable { .. })
    }

    /// Whether a record was changed by somebody else since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// The stable name of the error (`docs/errors.md`).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "StoreConflict",
            Self::Contended { .. } => "StoreContended",
            Self::Throttled { .. } => "StoreThrottled",
            Self::Unavailable { .. } => "StoreUnavailable",
            Self::Refused { .. } => "StoreRefused",
            Self::TooLarge { .. } => "StoreRecordTooLarge",
            Self::Unwritable { .. } => "StoreTransactionUnwritable",
            Self::Encode { .. } => "StoreEncode",
            Self::Corrupt { .. } => "StoreCorrupt",
            Self::NewerSchema { .. } => "StoreNewerSchema",
            Self::InvalidCursor => "StoreInvalidCursor",
        }
    }
}
