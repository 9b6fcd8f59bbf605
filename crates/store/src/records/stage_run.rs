//! Runs of stages: `RELEASE#id`, `STAGE#name#0003#stage`.

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::stage::StageRun;
use serde_json::{Map, Value};

use super::{attempt_path, release_partition};
use crate::{Key, Record};

/// What the sort keys of an attempt's stage runs begin with.
pub(crate) fn prefix(at: &AttemptRef) -> String {
    format!("STAGE#{}#", attempt_path(at))
}

/// Where the run of `stage` in an attempt stands.
#[must_use]
pub fn key(at: &AttemptRef, stage: &str) -> Key {
    Key::new(release_partition(&at.release), format!("{}{stage}", prefix(at)))
}

impl Record for StageRun {
    /// 2: it may have acted on another cluster than its environment's, and may be a plan of several steps.
    const SCHEMA: u32 = 2;
    const KIND: &'static str = "stage";

    fn key(&self) -> Key {
        key(&self.at, &self.stage)
    }

    fn upgrade(_: u32, fields: Map<String, Value>) -> Result<Map<String, Value>, String> {
        // Before, there was the environment's cluster alone, and no plan: so the defaults say.
        Ok(fields)
    }
}
