//! Numbers and chains the events of a commit after the last one of each release.

use std::collections::BTreeMap;

use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::timeline::{Event, EventDraft};

use crate::records::release_partition;
use crate::records::timeline::PREFIX;
use crate::transaction::Operation;
use crate::{Key, Store, StoreError};

impl Store {
    /// The drafts as they would stand in their timelines now, if `operations` are written with them. Nothing is
    /// remembered between calls, so two commits at once may both take one place; the condition on the event's item lets
    /// only one have it.
    pub(crate) async fn chain(
        &self,
        drafts: &[EventDraft],
        operations: &[Operation],
    ) -> Result<Vec<Event>, StoreError> {
        let mut last: BTreeMap<ReleaseId, Option<(u64, String)>> = BTreeMap::new();
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            if !last.contains_key(&draft.release) {
                // A release that is about to be created has no events: nothing to read.
                let created =
                    operations.iter().any(|o| o.creates(&Key::meta(release_partition(&draft.release))));
                let found = if created { None } else { self.last_event(&draft.release).await? };
                last.insert(draft.release.clone(), found.map(|event| (event.seq, event.hash)));
            }
            let before = last.get(&draft.release).and_then(Option::as_ref);
            let event = Event::chain(draft.clone(), before.map(|(seq, hash)| (*seq, hash.as_str())));
            last.insert(draft.release.clone(), Some((event.seq, event.hash.clone())));
            events.push(event);
        }
        Ok(events)
    }

    /// The newest event of a release, strongly consistent.
    pub(crate) async fn last_event(&self, release: &ReleaseId) -> Result<Option<Event>, StoreError> {
        let newest = self.query_prefix::<Event>(&release_partition(release), PREFIX, true, 1, None).await?;
        Ok(newest.items.into_iter().next().map(|event| event.record))
    }
}
