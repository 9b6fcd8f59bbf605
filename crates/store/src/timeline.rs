//! Numbers and chains the events of a commit after the last one of each release, and makes messages of those that somebody
//! is told of.

use std::collections::BTreeMap;

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::notification::Message;
use pilothouse_domain::pipeline::StageSpec;
use pilothouse_domain::release::Release;
use pilothouse_domain::stage::stages_of;
use pilothouse_domain::timeline::{Event, EventDraft};

use crate::codec::decode;
use crate::records::release_partition;
use crate::records::timeline::PREFIX;
use crate::transaction::{Action, Operation};
use crate::{Key, Store, StoreError};

/// Where a timeline ends.
#[derive(Clone)]
struct Tail {
    /// The last event; `None` before the first.
    last: Option<(u64, String)>,
    /// Whether somebody is told what happens in the release.
    announces: bool,
}

impl Store {
    /// The drafts as they would stand in their timelines now, if `operations` are written with them. Nothing is
    /// remembered between calls, so two commits at once may both take one place; the condition on the event's item lets
    /// only one have it. With `presume`, a release that is about to be created is taken to have no events yet.
    pub(crate) async fn chain(
        &self,
        drafts: &[EventDraft],
        operations: &[Operation],
        presume: bool,
    ) -> Result<Vec<Event>, StoreError> {
        let mut tails: BTreeMap<ReleaseId, Tail> = BTreeMap::new();
        let mut events = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let tail = match tails.remove(&draft.release) {
                Some(tail) => tail,
                None => self.tail(&draft.release, operations, presume).await?,
            };
            let before = tail.last.as_ref().map(|(seq, hash)| (*seq, hash.as_str()));
            let event = Event::chain(draft.clone(), before);
            let event = if tail.announces { event.announcing() } else { event };
            let last = Some((event.seq, event.hash.clone()));
            tails.insert(draft.release.clone(), Tail { last, ..tail });
            events.push(event);
        }
        Ok(events)
    }

    async fn tail(
        &self,
        release: &ReleaseId,
        operations: &[Operation],
        presume: bool,
    ) -> Result<Tail, StoreError> {
        let created = created(release, operations);
        let found = match created {
            Some(_) if presume => None,
            _ => self.last_event(release).await?,
        };
        Ok(match (found, created) {
            (Some(event), _) => Tail { announces: event.announces, last: Some((event.seq, event.hash)) },
            (None, Some(item)) => {
                Tail { last: None, announces: decode::<Release>(item)?.record.spec.announces() }
            }
            (None, None) => Tail { last: None, announces: false },
        })
    }

    /// A message for each of `events` that somebody is told of, to be written with it. The pipeline is read only for
    /// releases of which somebody is told anything, and for events that are told at all.
    pub(crate) async fn messages_of(
        &self,
        events: &[Event],
        operations: &[Operation],
    ) -> Result<Vec<Message>, StoreError> {
        let mut releases: BTreeMap<ReleaseId, Release> = BTreeMap::new();
        let mut messages = Vec::new();
        for event in events.iter().filter(|event| event.announces) {
            let Some(topic) = event.topic() else { continue };
            if !releases.contains_key(&event.release) {
                let release = match created(&event.release, operations) {
                    Some(item) => Some(decode::<Release>(item)?),
                    None => self.release(&event.release).await?,
                };
                let Some(release) = release else { continue };
                releases.insert(event.release.clone(), release.record);
            }
            let Some(release) = releases.get(&event.release) else { continue };
            let stage = self.stage_of(release, event).await?;
            let listeners = release.spec.listeners(event, stage.as_ref());
            if !listeners.is_empty() {
                messages.push(Message::new(event, topic, &listeners));
            }
        }
        Ok(messages)
    }

    /// The stage that an event happened in, as its attempt runs it: a rollback pipeline has stages of its own.
    async fn stage_of(&self, release: &Release, event: &Event) -> Result<Option<StageSpec>, StoreError> {
        let (Some(environment), Some(number), Some(stage)) =
            (&event.environment, event.attempt, &event.stage)
        else {
            return Ok(None);
        };
        let at = AttemptRef { release: event.release.clone(), environment: environment.clone(), number };
        let Some(attempt) = self.attempt(&at).await? else { return Ok(None) };
        Ok(stages_of(release, &attempt.record).into_iter().find(|spec| spec.name == *stage))
    }

    /// The newest event of a release, strongly consistent.
    pub(crate) async fn last_event(&self, release: &ReleaseId) -> Result<Option<Event>, StoreError> {
        let newest = self.query_prefix::<Event>(&release_partition(release), PREFIX, true, 1, None).await?;
        Ok(newest.items.into_iter().next().map(|event| event.record))
    }
}

/// The item of a release that these operations create.
fn created<'a>(release: &ReleaseId, operations: &'a [Operation]) -> Option<&'a crate::Item> {
    let key = Key::meta(release_partition(release));
    operations.iter().filter(|operation| operation.creates(&key)).find_map(|operation| {
        match &operation.action {
            Action::Put(item) => Some(item),
            _ => None,
        }
    })
}
