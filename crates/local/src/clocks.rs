//! One clock, as each part wants to be told it.

use std::sync::Arc;

use jiff::Timestamp;
use pilothouse_operations::clock::SharedClock;

/// The system's clock behind another crate's trait.
#[derive(Clone)]
pub(crate) struct Told(pub(crate) SharedClock);

impl pilothouse_asl::Clock for Told {
    fn now_ms(&self) -> i64 {
        self.0.now().as_millisecond()
    }
}

impl pilothouse_sim_cluster::Clock for Told {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// The clock of a table in memory.
pub(crate) fn for_table(clock: &SharedClock) -> pilothouse_connector::dynamodb::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now())
}
