//! Snapshots: compressed, in parts that each fit an item: `RELEASE#id`, `SNAPSHOT#name#0003#stage#000`.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::snapshot::SnapshotRecord;
use serde::{Deserialize, Serialize};

use super::{attempt_path, release_partition};
use crate::{Key, Partition, Record, StoreError, Transaction};

/// What the sort keys of snapshots begin with.
pub const PREFIX: &str = "SNAPSHOT#";

/// The bytes of one part: with its frame well below DynamoDB's 400 KB.
const PART: usize = 350 * 1024;

/// One part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotPart {
    #[serde(flatten)]
    at: AttemptRef,
    stage: String,
    /// Which part this is, from 0.
    part: usize,
    /// How many parts there are.
    parts: usize,
    /// A slice of the gzip of the snapshot's JSON; kept as a binary attribute.
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// What the sort keys of the parts of one snapshot begin with.
pub(crate) fn prefix(at: &AttemptRef, stage: &str) -> String {
    format!("{PREFIX}{}#{stage}#", attempt_path(at))
}

impl Record for SnapshotPart {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "snapshot";

    fn key(&self) -> Key {
        let sk = format!("{}{:03}", prefix(&self.at, &self.stage), self.part);
        Key::new(release_partition(&self.at.release), sk)
    }

    fn binary(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }

    fn set_binary(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }
}

impl Transaction {
    /// Stores a snapshot, whole. A conflict if the stage has one: the first is the true one, since the stage may have
    /// changed things after it.
    #[must_use]
    pub fn create_snapshot(mut self, snapshot: &SnapshotRecord) -> Self {
        match split(snapshot) {
            Ok(parts) => parts.iter().fold(self, Self::create),
            Err(source) => {
                let refused = StoreError::Encode { kind: SnapshotPart::KIND, source: source.into() };
                self.failed.get_or_insert(refused);
                self
            }
        }
    }
}

fn split(snapshot: &SnapshotRecord) -> Result<Vec<SnapshotPart>, std::io::Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&serde_json::to_vec(&snapshot.content)?)?;
    let bytes = encoder.finish()?;
    let parts = bytes.len().div_ceil(PART);
    let part = |(part, slice): (usize, &[u8])| SnapshotPart {
        at: snapshot.at.clone(),
        stage: snapshot.stage.clone(),
        part,
        parts,
        bytes: slice.to_vec(),
    };
    Ok(bytes.chunks(PART).enumerate().map(part).collect())
}

/// The snapshot of `stage` whose parts are among `stored`; `None` if none is.
pub(crate) fn join(stored: &Partition, stage: &str) -> Result<Option<SnapshotRecord>, StoreError> {
    let mut parts = stored.all::<SnapshotPart>()?;
    // A stage whose name goes on with `#` has the same prefix.
    parts.retain(|part| part.record.stage == stage);
    let Some(first) = parts.first().map(|part| &part.record) else { return Ok(None) };
    let corrupt = |source| StoreError::Corrupt { key: first.key(), kind: SnapshotPart::KIND, source };
    if parts.len() != first.parts {
        return Err(corrupt(format!("{} of its {} parts are there", parts.len(), first.parts).into()));
    }
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.record.bytes.iter().copied()).collect();
    let mut text = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut text).map_err(|error| corrupt(error.into()))?;
    let content = serde_json::from_slice(&text).map_err(|error| corrupt(error.into()))?;
    Ok(Some(SnapshotRecord { at: first.at.clone(), stage: first.stage.clone(), content }))
}
