//! What is to be looked at, now and later.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

use crate::store::Key;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Work {
    Object(Key),
    /// The object with this uid is gone: its dependents follow.
    OwnerGone(String),
    /// The image rules have changed.
    Rules,
}

/// A queue without duplicates, and one alarm at most for each piece of work.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    queue: VecDeque<Work>,
    queued: BTreeSet<Work>,
    alarms: HashMap<Work, (Instant, u64)>,
    by_time: BTreeMap<(Instant, u64), Work>,
    count: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, work: Work) {
        if self.queued.insert(work.clone()) {
            self.queue.push_back(work);
        }
    }

    pub(super) fn next(&mut self) -> Option<Work> {
        let work = self.queue.pop_front()?;
        self.queued.remove(&work);
        Some(work)
    }

    /// Sets, moves or (with `None`) drops the alarm of `work`.
    pub(super) fn again(&mut self, work: Work, at: Option<Instant>) {
        if let Some(old) = self.alarms.remove(&work) {
            self.by_time.remove(&old);
        }
        if let Some(at) = at {
            self.count += 1;
            self.by_time.insert((at, self.count), work.clone());
            self.alarms.insert(work, (at, self.count));
        }
    }

    /// Queues the work whose alarm is due.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.by_time.first_entry()
            && entry.key().0 <= now
        {
            let work = entry.remove();
            self.alarms.remove(&work);
            self.add(work);
        }
    }

    /// When the next alarm is due.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn work_is_queued_once_and_alarms_are_moved() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.add(Work::Rules);
        agenda.add(Work::Rules);
        assert_eq!(agenda.next(), Some(Work::Rules));
        assert_eq!(agenda.next(), None);
        agenda.again(Work::Rules, Some(now + Duration::from_secs(5)));
        agenda.again(Work::Rules, Some(now + Duration::from_secs(9)));
        agenda.wake(now + Duration::from_secs(6));
        assert_eq!(agenda.next(), None);
        agenda.wake(now + Duration::from_secs(9));
        assert_eq!(agenda.next(), Some(Work::Rules));
        assert_eq!(agenda.alarm(), None);
    }
}
