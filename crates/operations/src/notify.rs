//! Delivering what the outbox holds (T4, T12, T32): each message to each of those who are told of it.
//!
//! A release never waits for this: its events are written with their messages, and only here is anybody called. A message is
//! claimed by a conditional write before it is sent, so that no two workers send it at once. A worker that dies between
//! the call and its note leaves a claim that runs out: the message is sent again with the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use pilothouse_domain::ids::ReleaseId;
use pilothouse_domain::notification::{Came, Message, Notice, SHARDS, Standing};
use pilothouse_domain::release::Release;
use pilothouse_store::{Record as _, StoreError, Transaction, Versioned};

use crate::{Context, OperationError};

/// How long one receiver may take to answer.
const LONGEST_CALL: Duration = Duration::from_secs(10);
/// How many releases of a part of the outbox are told of at once.
const AT_ONCE: usize = 16;
/// How many messages are read at once.
const PAGE: u32 = 50;
/// For how long one call goes on while there is more: below the time that a function has.
const LONGEST_RUN: Duration = Duration::from_secs(45);

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notified {
    /// How many notices were taken.
    pub delivered: u32,
    /// How many were not, and are tried again.
    pub postponed: u32,
    /// How many messages became dead letters.
    pub dead: u32,
    /// How many messages could not be worked on; the next call tries again.
    pub failed: u32,
    /// When the next try is due, of those that were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

/// Delivers all that is due, until nothing more is or the time is over.
///
/// # Errors
/// [`OperationError`] when the outbox cannot be read.
pub async fn notify(context: &Context) -> Result<Notified, OperationError> {
    let run = Run {
        context,
        releases: Mutex::default(),
        silent: Mutex::default(),
        notified: Mutex::default(),
        ends: tokio::time::Instant::now() + LONGEST_RUN,
    };
    // Each part on its own: what holds one up does not hold up the others.
    let parts = futures::future::join_all((0..SHARDS).map(|shard| run.shard(shard))).await;
    parts.into_iter().collect::<Result<(), _>>()?;
    Ok(run.notified.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Who is told: the release's pipeline, and the notification's name in it.
type Receiver = (String, String, String);

/// One call of [`notify`].
struct Run<'a> {
    context: &'a Context,
    /// The releases that were read: their pipelines do not change.
    releases: Mutex<BTreeMap<ReleaseId, Arc<Release>>>,
    /// Those who did not take a message in this run: no other is tried on them, so that each is waited for once.
    silent: Mutex<BTreeSet<Receiver>>,
    notified: Mutex<Notified>,
    ends: tokio::time::Instant,
}

impl Run<'_> {
    async fn shard(&self, shard: u8) -> Result<(), OperationError> {
        loop {
            let before = self.notes(|n| (n.delivered, n.postponed, n.dead));
            let mut cursor = None;
            loop {
                let now = self.context.now();
                let page = self.context.store.messages_due(shard, now, PAGE, cursor.as_ref()).await?;
                let works = by_release(page.items).into_values().map(|messages| self.messages(messages));
                stream::iter(works).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
                cursor = page.next;
                if cursor.is_none() || tokio::time::Instant::now() >= self.ends {
                    break;
                }
            }
            // What came meanwhile is taken along; what is left is in other hands, or waits for a silent receiver.
            let moved = before != self.notes(|n| (n.delivered, n.postponed, n.dead));
            if !moved || tokio::time::Instant::now() >= self.ends {
                return Ok(());
            }
        }
    }

    /// Those of one release, one after another: told in the order in which it happened, but for what is tried again.
    async fn messages(&self, messages: Vec<Versioned<Message>>) {
        for message in messages {
            let id = message.record.id();
            if let Err(error) = self.work_on(message).await {
                tracing::warn!(operation = "notify", %error, message = %id, "left for the next time");
                self.notes(|n| n.failed += 1);
            }
        }
    }

    async fn work_on(&self, message: Versioned<Message>) -> Result<(), OperationError> {
        let now = self.context.now();
        let Some(claimed) = message.record.claim(now) else { return Ok(()) };
        let release = self.release(&claimed.release).await?;
        let wanted = claimed.recipients(now);
        let silent = |to: &String| self.is_silent(&receiver(&release, to));
        if wanted.iter().all(silent) && !claimed.is_overdue(now) {
            return Ok(());
        }
        let notice = self.notice(&release, &claimed).await?;
        let store = &self.context.store;
        let committed = match store.commit(Transaction::new().replace(&message, &claimed)).await {
            Ok(committed) => committed,
            // Another worker has it.
            Err(error) if error.is_conflict() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let claimed = message.replaced_by(claimed, &committed);
        let tries = wanted.into_iter().map(|to| async {
            let came = self.tell(&release, &to, &notice).await;
            (to, came)
        });
        let tries = futures::future::join_all(tries).await;
        self.note(&claimed, &tries).await
    }

    async fn release(&self, id: &ReleaseId) -> Result<Arc<Release>, OperationError> {
        let known = self.releases.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(release) = known {
            return Ok(release);
        }
        let release = Arc::new(self.context.release(id).await?.record);
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(releases.entry(id.clone()).or_insert(release)))
    }

    async fn notice(&self, release: &Release, message: &Message) -> Result<Notice, OperationError> {
        let event = self.context.store.event(&message.release, message.seq).await?;
        let event = event.ok_or_else(|| {
            OperationError::Inconsistent(format!("event {} has a message and no record", message.id()))
        })?;
        Ok(Notice::new(release, &event, message.topic))
    }

    /// Tells one of those who are to be told, for so long at most as one call may take.
    async fn tell(&self, release: &Release, to: &str, notice: &Notice) -> Came {
        let who = receiver(release, to);
        if self.is_silent(&who) {
            return Came::Postponed;
        }
        let refused = |reason: String, retryable| Came::Refused { error: reason, retryable };
        let Some(spec) = release.spec.notification(to) else {
            return refused(format!("the pipeline has no notification `{to}`"), false);
        };
        let Some(channel) = self.context.channels.get(&spec.channel) else {
            return refused(format!("this version has no channel `{}`; upgrade it", spec.channel), true);
        };
        let call = channel.deliver(self.context, &spec.options, notice);
        match tokio::time::timeout(LONGEST_CALL, call).await {
            Ok(Ok(())) => Came::Taken,
            Ok(Err(undelivered)) => {
                if undelivered.retryable {
                    self.silence(who);
                }
                refused(undelivered.reason, undelivered.retryable)
            }
            Err(_) => {
                self.silence(who);
                refused(format!("it took longer than {} s", LONGEST_CALL.as_secs()), true)
            }
        }
    }

    /// Writes down what came of it. When the claim ran out meanwhile, whoever has the message now does.
    async fn note(
        &self,
        claimed: &Versioned<Message>,
        tries: &[(String, Came)],
    ) -> Result<(), OperationError> {
        let now = self.context.now();
        let jitter = f64::from((self.context.ids.ulid().random() % 1024) as u16) / 1023.0;
        let standing = claimed.record.after(tries, now, jitter);
        let tx = match &standing {
            Standing::Done => Transaction::new().delete_key(claimed.record.key()),
            Standing::Open(next) if next.key() == claimed.record.key() => {
                Transaction::new().replace(claimed, next)
            }
            Standing::Open(next) => Transaction::new().delete(claimed).create(next),
        };
        match self.context.store.commit(tx).await {
            Ok(_) => {}
            Err(StoreError::Conflict { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.count(&claimed.record.id(), tries, &standing, now);
        Ok(())
    }

    fn count(&self, id: &str, tries: &[(String, Came)], standing: &Standing, now: Timestamp) {
        let mut dead = false;
        let mut due = None;
        if let Standing::Open(next) = standing {
            dead = next.dead;
            due = Some(next.due).filter(|due| !next.dead && *due > now);
        }
        for (to, came) in tries {
            if let Came::Refused { error, .. } = came {
                tracing::warn!(operation = "notify", message = id, to, error, dead, "a notice was not taken");
            }
        }
        let count = |wanted: fn(&Came) -> bool| {
            u32::try_from(tries.iter().filter(|(_, came)| wanted(came)).count()).unwrap_or(u32::MAX)
        };
        self.notes(|n| {
            n.delivered += count(|came| *came == Came::Taken);
            n.postponed += if dead { 0 } else { count(|came| matches!(came, Came::Refused { .. })) };
            n.dead += u32::from(dead);
            n.next = [n.next, due].into_iter().flatten().min();
        });
    }

    fn notes<T>(&self, of: impl FnOnce(&mut Notified) -> T) -> T {
        of(&mut self.notified.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn silence(&self, receiver: Receiver) {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert(receiver);
    }

    fn is_silent(&self, receiver: &Receiver) -> bool {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).contains(receiver)
    }
}

fn by_release(messages: Vec<Versioned<Message>>) -> BTreeMap<ReleaseId, Vec<Versioned<Message>>> {
    let mut releases: BTreeMap<ReleaseId, Vec<Versioned<Message>>> = BTreeMap::new();
    for message in messages {
        releases.entry(message.record.release.clone()).or_default().push(message);
    }
    releases.values_mut().for_each(|messages| messages.sort_by_key(|message| message.record.seq));
    releases
}

fn receiver(release: &Release, to: &str) -> Receiver {
    (release.application.clone(), release.pipeline.clone(), to.to_owned())
}
