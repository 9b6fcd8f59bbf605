//! Lanes: the partition of an environment's is `LANE#a#env`, of a cluster's slots `SLOTS#c`, of the installation's limit
//! `LIMIT`, of those whom a freeze holds `FREEZE`. In it `LEASE`, then `WAITING#!dep_…` for those who go first and
//! `WAITING#dep_…` for the others, each in the order of arrival (X2).

use pilothouse_domain::lane::{LaneName, Lease, Waiting};
use serde_json::{Map, Value, json};

use crate::{Key, Record};

/// What the sort keys of those who wait begin with.
pub(crate) const WAITING: &str = "WAITING#";
/// What the sort keys of those who wait, and do not go first, begin with.
pub(crate) const IN_TURN: &str = "WAITING#dep_";

/// The partition of a lane.
pub(crate) fn partition(lane: &LaneName) -> String {
    match lane {
        LaneName::Environment { application, environment } => format!("LANE#{application}#{environment}"),
        LaneName::Installation {} => "LIMIT".to_owned(),
        LaneName::Cluster { name } => format!("SLOTS#{name}"),
        LaneName::Freeze {} => "FREEZE".to_owned(),
    }
}

/// Where the lease of a lane stands.
#[must_use]
pub fn lease_key(lane: &LaneName) -> Key {
    Key::new(partition(lane), "LEASE")
}

impl Record for Lease {
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "lease";

    fn key(&self) -> Key {
        lease_key(&self.lane)
    }

    /// A lease of schema 1 was an environment's, and had one holder, with the lease's own fence and time.
    fn upgrade(_schema: u32, mut fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let holder = fields.remove("holder").filter(|holder| !holder.is_null());
        let since = fields.get("since").cloned().ok_or("`since` is missing")?;
        let fence = fields.get("fence").cloned().ok_or("`fence` is missing")?;
        let holders: Vec<Value> = holder
            .map(|attempt| json!({ "attempt": attempt, "fence": fence, "since": since }))
            .into_iter()
            .collect();
        fields.insert("holders".to_owned(), Value::Array(holders));
        fields.insert("lane".to_owned(), json!("environment"));
        Ok(fields)
    }
}

impl Record for Waiting {
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "waiting";

    fn key(&self) -> Key {
        let first = if self.urgent { "!" } else { "" };
        Key::new(partition(&self.lane), format!("{WAITING}{first}{}", self.id))
    }

    /// Who waits by schema 1 waits for an environment that takes one at a time.
    fn upgrade(_schema: u32, mut fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        fields.insert("lane".to_owned(), json!("environment"));
        fields.insert("atOnce".to_owned(), json!(1));
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Record>(old: Value) -> T {
        let Value::Object(fields) = old else { panic!("no object") };
        serde_json::from_value(Value::Object(T::upgrade(1, fields).unwrap())).unwrap()
    }

    #[test]
    fn a_lease_of_one_holder_reads_as_one_that_may_have_several() {
        let attempt =
            json!({ "release": "rel_00000000010000000000000000", "environment": "prod", "number": 2 });
        let old = |holder: Value| {
            json!({ "application": "shop", "environment": "prod", "holder": holder, "fence": 7,
                "since": "2026-11-21T09:00:00Z" })
        };
        let held: Lease = read(old(attempt));
        assert_eq!(held.lane, LaneName::environment("shop", "prod"));
        assert_eq!(held.key(), Key::new("LANE#shop#prod", "LEASE"));
        let holder = &held.holders[0];
        assert_eq!((holder.attempt.number, holder.fence, held.fence, held.holders.len()), (2, 7, 7, 1));
        let mut vacant = old(Value::Null);
        assert!(read::<Lease>(vacant.clone()).holders.is_empty());
        vacant.as_object_mut().unwrap().remove("holder");
        assert!(read::<Lease>(vacant).holders.is_empty());
    }

    #[test]
    fn who_waited_by_the_old_shape_keeps_the_place() {
        let old = json!({
            "application": "shop", "environment": "prod", "id": "dep_00000000010000000000000000",
            "attempt": { "release": "rel_00000000010000000000000000", "environment": "prod", "number": 1 },
            "since": "2026-11-21T09:00:00Z",
        });
        let waiting: Waiting = read(old);
        assert_eq!((waiting.at_once, waiting.urgent, waiting.versioned), (Some(1), false, true));
        assert_eq!(waiting.key(), Key::new("LANE#shop#prod", "WAITING#dep_00000000010000000000000000"));
        let urgent = Waiting { urgent: true, ..waiting.clone() };
        assert!(urgent.key().sk < waiting.key().sk, "a rollback goes first");
    }
}
