//! Who held an environment before somebody else, page by page.

use std::collections::BTreeSet;

use pilothouse_domain::attempt::Attempt;
use pilothouse_store::Cursor;

use crate::{Context, OperationError};

/// How many are looked at before what was not found by then counts as not there.
const MOST_LOOKED_AT: usize = 500;

/// The attempts that held an environment before a given fence.
///
/// They are listed by when they were created, but one that waited for its time comes late: who held the environment later is
/// a matter of fences. As every holder has its own, one knows when all of them after a given one have been seen.
pub(crate) struct Holders<'a> {
    application: &'a str,
    environment: &'a str,
    before: u64,
    seen: BTreeSet<u64>,
    looked_at: usize,
    cursor: Option<Cursor>,
    over: bool,
}

impl<'a> Holders<'a> {
    /// Those before the fence `before`.
    pub(crate) fn new(application: &'a str, environment: &'a str, before: u64) -> Self {
        let seen = BTreeSet::new();
        Self { application, environment, before, seen, looked_at: 0, cursor: None, over: false }
    }

    /// Those before `attempt`, which may still wait for its turn: then all.
    pub(crate) fn before(attempt: &'a Attempt) -> Self {
        Self::new(&attempt.application, &attempt.at.environment, attempt.fence.unwrap_or(u64::MAX))
    }

    /// Those between two attempts of an environment.
    pub(crate) fn between(first: &Attempt, last: &'a Attempt) -> Self {
        let none = first.fence.is_some_and(|first| last.fence.is_some_and(|last| last <= first + 1));
        Self { over: none, ..Self::before(last) }
    }

    /// The next of them, the last created first; `None` when there are no more.
    pub(crate) async fn next_page(
        &mut self,
        context: &Context,
    ) -> Result<Option<Vec<Attempt>>, OperationError> {
        if self.over {
            return Ok(None);
        }
        let (application, environment) = (self.application, self.environment);
        let page =
            context.store.attempts_of_environment(application, environment, 25, self.cursor.as_ref()).await?;
        self.cursor.clone_from(&page.next);
        let listed = page.records();
        self.looked_at += listed.len();
        self.over = self.cursor.is_none() || self.looked_at >= MOST_LOOKED_AT;
        let held: Vec<Attempt> =
            listed.into_iter().filter(|a| a.fence.is_some_and(|fence| fence < self.before)).collect();
        self.seen.extend(held.iter().filter_map(|a| a.fence));
        Ok(Some(held))
    }

    /// Whether every holder after that of `fence` has been seen.
    pub(crate) fn saw_all_after(&self, fence: Option<u64>) -> bool {
        let after = fence.unwrap_or(0).saturating_add(1);
        let wanted = self.before.saturating_sub(after);
        wanted == 0 || self.seen.range(after..self.before).count() as u64 == wanted
    }
}
