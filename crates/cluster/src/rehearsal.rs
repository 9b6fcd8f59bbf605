//! What an action would change, asked of the server itself: every write is sent as a dry run, and what it came to is kept (X6).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::object::{self, ObjectRef};

/// One write that was rehearsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// Which object.
    pub object: ObjectRef,
    /// The object as it is, without what the server writes itself; `None` when there is none.
    pub before: Option<Value>,
    /// The object as the server would leave it; `None` when it would be deleted.
    pub after: Option<Value>,
}

/// What was rehearsed so far; shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    writes: Arc<Mutex<Vec<Rehearsed>>>,
}

impl Rehearsal {
    /// The writes so far, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<Rehearsed> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a write that could not be asked of the server, because what it needs is created only by a write before it.
    pub fn assume(&self, after: &Value) {
        self.note(None, Some(after.clone()));
    }

    pub(crate) fn note(&self, before: Option<Value>, after: Option<Value>) {
        let Some(object) = after.as_ref().or(before.as_ref()).and_then(ObjectRef::of) else { return };
        // A question to the server is no object.
        if object.kind.ends_with("Review") {
            return;
        }
        let rehearsed =
            Rehearsed { object, before: before.map(object::clean), after: after.map(object::clean) };
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).push(rehearsed);
    }
}

impl Cluster {
    /// The same cluster, in which every write is only rehearsed: sent with `dryRun=All`, and kept in `rehearsal`. Reading is as
    /// ever, and does not see what was rehearsed.
    #[must_use]
    pub fn rehearsing(&self, rehearsal: &Rehearsal) -> Self {
        let mut cluster = self.clone();
        cluster.transport.rehearsal = Some(rehearsal.clone());
        cluster
    }

    /// Whether writes are dry runs only: what comes next sees nothing of them, and no controller is told.
    pub(crate) fn only_asks(&self, dry_run: bool) -> bool {
        dry_run || self.transport.rehearsal.is_some()
    }
}
