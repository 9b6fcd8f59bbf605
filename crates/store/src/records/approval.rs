//! Approvals: `RELEASE#id`, `APPROVAL#apr_…`; found by their id alone, and listed by approver while they are pending.

use pilothouse_domain::approval::Approval;
use pilothouse_domain::ids::{ApprovalId, ReleaseId};
use pilothouse_domain::pipeline::Approver;

use serde_json::{Map, Value};

use super::release_partition;
use crate::{IndexKey, Key, Record};

/// What the sort keys of approvals begin with.
pub(crate) const PREFIX: &str = "APPROVAL#";
/// The open list of pending approvals.
pub(crate) const OPEN: &str = "APPROVALS";
/// What precedes the id in that list when more than one role or person may decide.
pub(crate) const SEVERAL: &str = "several#";

/// Where an approval of a release stands.
#[must_use]
pub fn key(release: &ReleaseId, id: &ApprovalId) -> Key {
    Key::new(release_partition(release), format!("{PREFIX}{id}"))
}

impl Record for Approval {
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "approval";

    fn key(&self) -> Key {
        key(&self.at.release, &self.id)
    }

    /// Schema 2 added who may not decide and in which order. Nothing in a record of schema 1 changes its meaning; but a
    /// code that knows only schema 1 would let decide whom such an approval does not ask, so it must not read one.
    fn upgrade(_schema: u32, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        Ok(fields)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(by_id(&self.id), "META"))
    }

    fn open(&self) -> Option<IndexKey> {
        // In sequence it is in the list of the one whose turn it is.
        let list = match self.asked() {
            [one] => of_approver(one),
            _ => SEVERAL.to_owned(),
        };
        self.is_pending().then(|| IndexKey::new(OPEN, format!("{list}{}", self.id)))
    }
}

/// What precedes the id of an approval that only `approver` may decide.
pub(crate) fn of_approver(approver: &Approver) -> String {
    match approver {
        Approver::Role(role) => format!("role:{role}#"),
        Approver::User(name) => format!("user:{name}#"),
    }
}

/// The group that holds one approval, to find it by its id alone.
pub(crate) fn by_id(id: &ApprovalId) -> String {
    format!("APPROVAL#{id}")
}
