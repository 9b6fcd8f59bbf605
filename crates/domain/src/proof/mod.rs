//! The record of a release as one document, and the proof that it is whole (X10).
//!
//! The timeline is a chain: each event carries its number and the hash of the one before, so an event that was changed,
//! dropped, added or moved breaks it at a place that can be named. A tail that was cut off leaves a chain that is whole in
//! itself; it is found because the ends that stand in the records (of attempts, stages and approvals) have no event any
//! more, and, without any doubt, by a number and hash that were noted elsewhere ([`Head`]), as every notification
//! carries them. Whoever can write the table can also make up a whole new chain with records that agree: only such a note shows that.

mod agreement;
mod asked;
mod chain;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use agreement::Discrepancy;
pub use chain::{Break, BreakKind, first_break};

use crate::approval::Approval;
use crate::attempt::Attempt;
use crate::gate::GateRun;
use crate::ids::ReleaseId;
use crate::release::Release;
use crate::stage::StageRun;
use crate::timeline::Event;

/// The version of the document. A change that an older reader could not verify raises it.
pub const FORMAT: u32 = 1;

/// Everything that is recorded of a release, in one document. Secrets stand in it as references only (invariant 7);
/// snapshots, which hold objects of the cluster, and all samples of a gate but the last are not part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReleaseExport")]
pub struct Export {
    /// The version of this format: 1.
    pub format: u32,
    /// When it was made.
    pub exported_at: Timestamp,
    /// The release with its pipeline revision, artifacts, parameters and cause.
    #[schemars(with = "Value")]
    pub release: Release,
    /// Its deployment attempts, by environment and number.
    #[schemars(with = "Vec<Value>")]
    pub attempts: Vec<Attempt>,
    /// Their stage runs.
    #[schemars(with = "Vec<Value>")]
    pub stage_runs: Vec<StageRun>,
    /// The decisions that were asked for.
    #[schemars(with = "Vec<Value>")]
    pub approvals: Vec<Approval>,
    /// The gates that were evaluated, each with its last sample; absent in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Value>>")]
    pub gates: Option<Vec<GateRun>>,
    /// The whole timeline, each event with its hash and that of the one before.
    pub events: Vec<Event>,
    /// The last event.
    pub head: Option<Head>,
}

/// Where a timeline ends: enough to notice later that its tail was cut off or its content replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The number of the last event, which is how many there are.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// The end of this timeline.
    #[must_use]
    pub fn of(events: &[Event]) -> Option<Self> {
        events.last().map(|event| Self { seq: event.seq, hash: event.hash.clone() })
    }
}

/// A text that notes no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no noted event: write its number and hash, `12:9f86d0…`, as a notification or `release verify` gave them"
)]
pub struct InvalidHead(String);

impl std::str::FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let invalid = || InvalidHead(text.chars().take(100).collect());
        let (seq, hash) = text.split_once(':').ok_or_else(invalid)?;
        let is_hash = hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
        match seq.parse() {
            Ok(seq) if seq > 0 && is_hash => Ok(Self { seq, hash: hash.to_ascii_lowercase() }),
            _ => Err(invalid()),
        }
    }
}

/// What verifying a record came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The release, if the document names one.
    pub release: Option<ReleaseId>,
    /// How many events there are.
    pub events: u64,
    /// The last one: to be noted elsewhere.
    pub head: Option<Head>,
    /// Whether nothing was found.
    pub whole: bool,
    /// The number of the first event that does not continue the chain.
    pub first_break: Option<u64>,
    /// Everything that was found, the first break of the chain first.
    pub findings: Vec<String>,
}

/// A document that cannot be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It has another version.
    #[error("the document has format {found}, and this version verifies format {FORMAT}; use a newer one")]
    Format {
        /// What it says.
        found: Value,
    },
    /// It is no export.
    #[error("this is no export of a release: {0}")]
    Shape(String),
}

/// Verifies an exported document. `noted` is an event whose number and hash were noted elsewhere.
///
/// The chain is checked on the JSON as it is, so an event that was changed to something this version cannot read is still
/// named.
///
/// # Errors
/// [`Unreadable`] when it is no export, or of another format.
pub fn verify(document: &Value, noted: Option<&Head>) -> Result<Proof, Unreadable> {
    match document.get("format") {
        Some(format) if *format == FORMAT => {}
        Some(format) => return Err(Unreadable::Format { found: format.clone() }),
        None => return Err(Unreadable::Shape("the key `format` is missing".to_owned())),
    }
    let raw = document.get("events").and_then(Value::as_array);
    let raw = raw.ok_or_else(|| Unreadable::Shape("the list `events` is missing".to_owned()))?;
    let broken = first_break(raw);
    let mut findings: Vec<String> = broken.iter().map(ToString::to_string).collect();
    findings.extend(noted.and_then(|noted| missed(raw, noted)));
    let export = Export::deserialize(document);
    match &export {
        Ok(export) => findings.extend(agreement::discrepancies(export).iter().map(ToString::to_string)),
        // A broken chain has its reason; a whole one must not pass without its records.
        Err(error) => findings.push(format!("the records cannot be compared with the events: {error}")),
    }
    Ok(Proof {
        release: document["release"]["id"].as_str().and_then(|id| id.parse().ok()),
        events: raw.len() as u64,
        head: raw.last().and_then(|last| Head::deserialize(last).ok()),
        whole: findings.is_empty(),
        first_break: broken.map(|broken| broken.seq),
        findings,
    })
}

/// What is wrong with the event that was noted elsewhere.
fn missed(raw: &[Value], noted: &Head) -> Option<String> {
    let Some(event) = raw.iter().find(|event| event["seq"] == noted.seq) else {
        return Some(format!("event {} was noted, and is not there: the tail was cut off", noted.seq));
    };
    (event["hash"] != *noted.hash)
        .then(|| format!("event {} is not the one that was noted: its hash is another", noted.seq))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
