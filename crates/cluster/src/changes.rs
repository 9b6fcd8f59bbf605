//! A collection as it is and as it changes: a list, then a watch that is resumed whenever it breaks.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::core::WatchEvent;
use serde_json::Value;

use crate::cluster::list_all;
use crate::error::ClusterError;
use crate::refusal;
use crate::transport::{Call, Transport};

/// What became known of a collection.
#[derive(Debug)]
pub(crate) enum Change {
    /// All there is; what is not in it is gone.
    All(Vec<Value>),
    /// An object was created or changed.
    Set(Value),
    /// An object was deleted.
    Gone(Value),
    /// Nothing is known for the moment. Unless the error is one that lasts, reading goes on.
    Trouble(ClusterError),
}

/// Which collection, and which part of it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) operation: String,
    pub(crate) path: String,
    /// Label and field selectors.
    pub(crate) query: Vec<(&'static str, String)>,
}

/// The API server ends a watch after this many seconds, so that a line that died silently is noticed at last.
const WATCH_SECONDS: &str = "240";

type Events = Pin<Box<dyn Stream<Item = Result<WatchEvent<Value>, ClusterError>> + Send>>;

enum Phase {
    /// Read everything.
    List,
    /// Go on from that version.
    Open { version: String },
    /// A watch runs; `heard` when it has told anything.
    Hear { version: String, events: Events, heard: bool },
    /// An error that lasts was told.
    Over,
}

struct Reader {
    transport: Transport,
    source: Source,
    phase: Phase,
    /// Troubles in a row.
    troubles: u32,
    /// How long the server asked to wait after the last one.
    asked: Option<Duration>,
}

/// The changes of a collection, from now on, until it is dropped or an error lasts.
pub(crate) fn changes(transport: Transport, source: Source) -> Pin<Box<dyn Stream<Item = Change> + Send>> {
    let reader = Reader { transport, source, phase: Phase::List, troubles: 0, asked: None };
    Box::pin(stream::unfold(reader, |mut reader| async move {
        let change = reader.next().await?;
        Some((change, reader))
    }))
}

impl Reader {
    async fn next(&mut self) -> Option<Change> {
        loop {
            let step = match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return None,
                Phase::List => self.read_all().await,
                Phase::Open { version } => self.open(version).await,
                Phase::Hear { version, events, heard } => self.hear(version, events, heard).await,
            };
            if let Some(change) = step {
                return Some(change);
            }
        }
    }

    async fn read_all(&mut self) -> Option<Change> {
        self.wait_after_trouble().await;
        let Source { operation, path, query } = &self.source;
        match list_all(&self.transport, operation, path, query).await {
            Ok(listed) => {
                self.phase = Phase::Open { version: listed.resource_version };
                Some(Change::All(listed.items))
            }
            Err(error) => self.trouble(error, Phase::List),
        }
    }

    async fn open(&mut self, version: String) -> Option<Change> {
        self.wait_after_trouble().await;
        let start = Call::get(&self.source.path)
            .query("watch", "true")
            .query("allowWatchBookmarks", "true")
            .query("timeoutSeconds", WATCH_SECONDS)
            .query("resourceVersion", version.clone());
        let call = self.source.query.iter().fold(start, |call, (key, value)| call.query(key, value.clone()));
        match self.transport.watch(&self.source.operation, &call).await {
            Ok(events) => {
                self.phase = Phase::Hear { version, events: Box::pin(events), heard: false };
                None
            }
            Err(ClusterError::Expired { .. }) => {
                self.phase = Phase::List;
                None
            }
            Err(error) => self.trouble(error, Phase::Open { version }),
        }
    }

    async fn hear(&mut self, version: String, mut events: Events, heard: bool) -> Option<Change> {
        let (change, object) = match events.next().await {
            // The server closed it, as it does from time to time. One that told nothing is waited for a little.
            None => {
                self.troubles = if heard { 0 } else { self.troubles + 1 };
                self.phase = Phase::Open { version };
                return None;
            }
            Some(Err(error)) => return self.trouble(error, Phase::Open { version }),
            Some(Ok(WatchEvent::Error(status))) => {
                let error = refusal::from_status(&self.source.operation, &status, None, false);
                let expired = matches!(error, ClusterError::Expired { .. });
                return self.trouble(error, if expired { Phase::List } else { Phase::Open { version } });
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                self.troubles = 0;
                self.phase = Phase::Hear { version: bookmark.metadata.resource_version, events, heard: true };
                return None;
            }
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                (Change::Set as fn(Value) -> Change, object)
            }
            Some(Ok(WatchEvent::Deleted(object))) => (Change::Gone as fn(Value) -> Change, object),
        };
        self.troubles = 0;
        let version = object["metadata"]["resourceVersion"].as_str().map_or(version, str::to_owned);
        self.phase = Phase::Hear { version, events, heard: true };
        Some(change(object))
    }

    /// Tells of the error; goes on with `then` if that may help.
    fn trouble(&mut self, error: ClusterError, then: Phase) -> Option<Change> {
        self.troubles += 1;
        self.asked = error.retry_after();
        if let ClusterError::Expired { .. } = error {
            self.phase = Phase::List;
            return None;
        }
        if error.is_retryable() {
            self.phase = then;
        }
        Some(Change::Trouble(error))
    }

    async fn wait_after_trouble(&mut self) {
        if self.troubles > 0 {
            let wait = self.transport.retry.wait(&self.source.operation, self.troubles, self.asked.take());
            tokio::time::sleep(wait.max(Duration::from_millis(50))).await;
        }
    }
}
