//! Gates: the run `RELEASE#id`, `GATE#name#0003#before`; its samples in a partition of their own, so that showing a release
//! does not read them: `GATE#id#name#0003#before`, `SAMPLE#000012`.

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::gate::{GateRun, GateSample, GateSide};

use super::{attempt_path, release_partition};
use crate::{Key, Record};

/// What the sort keys of samples begin with.
pub(crate) const SAMPLE: &str = "SAMPLE#";

/// Where the gate on one side of an attempt stands.
#[must_use]
pub fn key(at: &AttemptRef, side: GateSide) -> Key {
    Key::new(release_partition(&at.release), format!("GATE#{}#{side}", attempt_path(at)))
}

/// The partition of a gate's samples.
pub(crate) fn samples(at: &AttemptRef, side: GateSide) -> String {
    format!("GATE#{}#{}#{side}", at.release, attempt_path(at))
}

impl Record for GateRun {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "gate";

    fn key(&self) -> Key {
        key(&self.at, self.side)
    }
}

impl Record for GateSample {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "gateSample";

    fn key(&self) -> Key {
        Key::new(samples(&self.at, self.side), format!("{SAMPLE}{:06}", self.sample))
    }
}
