//! What ran for a stage when it ended: compressed, `RELEASE#id`, `SNAPSHOT#EVIDENCE#name#0003#stage`.
//!
//! It stands among the snapshots, which whoever reads a release leaves out: names of environments are in lower case, so that
//! no snapshot has such a key.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::evidence::StageEvidence;
use serde::{Deserialize, Serialize};

use super::{attempt_path, release_partition, snapshot};
use crate::{Key, Record, Store, StoreError, Transaction};

/// The item: its bytes are the gzip of the evidence's JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceItem {
    #[serde(flatten)]
    at: AttemptRef,
    stage: String,
    #[serde(skip)]
    bytes: Vec<u8>,
}

fn key(at: &AttemptRef, stage: &str) -> Key {
    let sk = format!("{}EVIDENCE#{}#{stage}", snapshot::PREFIX, attempt_path(at));
    Key::new(release_partition(&at.release), sk)
}

impl Record for EvidenceItem {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "evidence";

    fn key(&self) -> Key {
        key(&self.at, &self.stage)
    }

    fn binary(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }

    fn set_binary(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }
}

impl Transaction {
    /// Keeps what ran for a stage, in the place of what was kept before: a step that is repeated saw it later.
    #[must_use]
    pub fn put_evidence(mut self, evidence: &StageEvidence) -> Self {
        match packed(evidence) {
            Ok(bytes) => {
                let (at, stage) = (evidence.at.clone(), evidence.stage.clone());
                self.put(&EvidenceItem { at, stage, bytes })
            }
            Err(source) => {
                let refused = StoreError::Encode { kind: EvidenceItem::KIND, source: source.into() };
                self.failed.get_or_insert(refused);
                self
            }
        }
    }
}

fn packed(evidence: &StageEvidence) -> Result<Vec<u8>, std::io::Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&serde_json::to_vec(evidence)?)?;
    encoder.finish()
}

impl Store {
    /// What ran for a stage when it ended; `None` when nothing was kept.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn stage_evidence(
        &self,
        at: &AttemptRef,
        stage: &str,
    ) -> Result<Option<StageEvidence>, StoreError> {
        let Some(item) = self.get::<EvidenceItem>(&key(at, stage)).await? else { return Ok(None) };
        let corrupt =
            |source| StoreError::Corrupt { key: item.record.key(), kind: EvidenceItem::KIND, source };
        let mut text = Vec::new();
        let mut decoder = GzDecoder::new(item.record.bytes.as_slice());
        decoder.read_to_end(&mut text).map_err(|error| corrupt(error.into()))?;
        serde_json::from_slice(&text).map(Some).map_err(|error| corrupt(error.into()))
    }
}
