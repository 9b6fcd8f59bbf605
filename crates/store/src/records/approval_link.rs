//! Single-use approval links: `LINK#lnk_…`, `META`. No secret is in them.

use jiff::{SignedDuration, Timestamp};
use pilothouse_domain::approval::ApprovalLink;
use pilothouse_domain::ids::LinkId;

use crate::{Key, Record};

/// How long a link's record outlives the link: who comes late is told that it was used or has expired.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Where the record of a link stands.
#[must_use]
pub fn key(id: &LinkId) -> Key {
    Key::meta(format!("LINK#{id}"))
}

impl Record for ApprovalLink {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "approvalLink";

    fn key(&self) -> Key {
        key(&self.id)
    }

    fn expires(&self) -> Option<Timestamp> {
        self.expires_at.checked_add(KEPT).ok()
    }
}
