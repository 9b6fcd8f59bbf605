//! Counts what the table is asked for, in the units that AWS bills.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dynoxide::types::ConsumedCapacity;
use serde::Serialize;

/// Counters that clones share.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    // Units come in halves (an eventually consistent read), so halves are counted.
    read_halves: AtomicU64,
    write_halves: AtomicU64,
}

/// What was consumed up to a moment. Units are DynamoDB's request units, indexes included, as the embedded table
/// computes them by its documented rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Requests that read.
    pub reads: u64,
    /// Requests that write; a transaction counts once.
    pub writes: u64,
    /// Read request units.
    pub read_units: f64,
    /// Write request units.
    pub write_units: f64,
}

impl Usage {
    /// What was consumed between `earlier` and this.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            read_units: self.read_units - earlier.read_units,
            write_units: self.write_units - earlier.write_units,
        }
    }
}

impl Meter {
    /// What was consumed since the meter was made.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 half units are never reached")]
    pub fn usage(&self) -> Usage {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            reads: count(&self.0.reads),
            writes: count(&self.0.writes),
            read_units: count(&self.0.read_halves) as f64 / 2.0,
            write_units: count(&self.0.write_halves) as f64 / 2.0,
        }
    }

    pub(crate) fn read(&self, capacity: &impl Capacity) {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        self.0.read_halves.fetch_add(halves(capacity.units()), Ordering::Relaxed);
    }

    pub(crate) fn write(&self, capacity: &impl Capacity) {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        self.0.write_halves.fetch_add(halves(capacity.units()), Ordering::Relaxed);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "capacities are small and positive"
)]
fn halves(units: f64) -> u64 {
    (units * 2.0).round() as u64
}

/// The capacity in an answer: of one table, or of several.
pub(crate) trait Capacity {
    fn units(&self) -> f64;
}

impl Capacity for Option<ConsumedCapacity> {
    fn units(&self) -> f64 {
        self.as_ref().map_or(0.0, |capacity| capacity.capacity_units)
    }
}

impl Capacity for Option<Vec<ConsumedCapacity>> {
    fn units(&self) -> f64 {
        self.iter().flatten().map(|capacity| capacity.capacity_units).sum()
    }
}
