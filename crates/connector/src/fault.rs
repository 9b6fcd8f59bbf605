//! Misbehaviour on purpose, for tests and the simulation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What goes wrong with one request to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused for throughput, and not carried out.
    Throttled,
    /// It is refused with an internal error, and not carried out.
    Failed,
    /// It is lost on the way, and not carried out.
    Lost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is carried out after this time.
    Late(Duration),
}

/// Decides for each request what goes wrong with it: given the operation (`PutItem`), `None` lets it pass.
#[derive(Clone)]
pub struct Faults(Arc<Decide>);

type Decide = dyn Fn(&str) -> Option<Fault> + Send + Sync;

impl Faults {
    /// Faults as `decide` says, called once for each request in the order of their arrival.
    #[must_use]
    pub fn new(decide: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(crate) fn decide(&self, operation: &str) -> Option<Fault> {
        (self.0)(operation)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}
