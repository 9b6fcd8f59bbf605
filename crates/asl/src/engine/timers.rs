//! Wakes executions at their deadlines: one ordered set and one task for the whole engine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::{Inner, lock};
use crate::run::Event;
use crate::token::Serial;

/// How many executions are woken before other tasks get their turn.
const BATCH: usize = 64;

#[derive(Default)]
pub(super) struct Timers {
    /// By time: the executions that are to be woken, at most one entry for each.
    queue: Mutex<BTreeSet<(i64, Serial)>>,
    changed: Arc<Notify>,
}

impl Timers {
    /// Sets an execution's timer from `before` to `after`.
    pub(super) fn set(&self, serial: Serial, before: Option<i64>, after: Option<i64>) {
        let mut queue = lock(&self.queue);
        if let Some(at) = before {
            queue.remove(&(at, serial));
        }
        if let Some(at) = after {
            queue.insert((at, serial));
            if queue.first() == Some(&(at, serial)) {
                self.changed.notify_one();
            }
        }
    }

    pub(super) fn clear(&self) {
        lock(&self.queue).clear();
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    fn next(&self) -> Option<i64> {
        lock(&self.queue).first().map(|(at, _)| *at)
    }

    fn pop_due(&self, now_ms: i64) -> Option<Serial> {
        let mut queue = lock(&self.queue);
        match queue.first() {
            Some((at, _)) if *at <= now_ms => queue.pop_first().map(|(_, serial)| serial),
            _ => None,
        }
    }
}

/// Starts the task that wakes; it ends with the engine.
pub(super) fn spawn(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let changed = Arc::clone(&inner.timers.changed);
    let origin = inner.origin;
    inner.runtime.spawn(async move {
        loop {
            let Some(next) = wake_due(&weak).await else { return };
            match next {
                None => changed.notified().await,
                Some(at) => {
                    let after = Duration::from_millis(u64::try_from(at).unwrap_or(0));
                    tokio::select! {
                        () = sleep_until(origin + after) => {}
                        () = changed.notified() => {}
                    }
                }
            }
        }
    });
}

/// Wakes all that is due; answers the next deadline, or `None` when the engine is gone.
async fn wake_due(weak: &Weak<Inner>) -> Option<Option<i64>> {
    loop {
        let inner = weak.upgrade()?;
        if inner.is_closed() {
            return None;
        }
        let mut woken = 0;
        while woken < BATCH
            && let Some(serial) = inner.timers.pop_due(inner.now().mono_ms)
        {
            woken += 1;
            let cell = lock(&inner.executions).by_serial(serial);
            if let Some(cell) = cell {
                inner.deliver(cell, Event::Tick);
            }
        }
        if woken < BATCH {
            return Some(inner.timers.next());
        }
        drop(inner);
        tokio::task::yield_now().await;
    }
}
