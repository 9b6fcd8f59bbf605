//! Watches: a stream of JSON lines, from the log of changes.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{sync::watch as channel, time::Instant};

use super::{
    Address, Api, Entrance, Reply,
    call::{Call, Form},
    read, table,
};
use crate::{
    cluster::Shared,
    json,
    kinds::Kind,
    selector::{Fields, Labels},
    status::{ApiError, ApiResult},
    store::{Change, ChangeKind},
};

/// How often a quiet watch that takes bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(60);

struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    ns: String,
    name: String,
    labels: Labels,
    fields: Fields,
    form: Form,
    include: String,
    position: u64,
    bookmarks: bool,
    changes: channel::Receiver<u64>,
    down: channel::Receiver<bool>,
    closing: Option<channel::Receiver<bool>>,
    /// Changes when every open watch is to end.
    dropped: channel::Receiver<u64>,
    /// When it ends without a word.
    cut: Option<Instant>,
    deadline: Option<Instant>,
    /// What is to be sent before the changes.
    first: Vec<u8>,
    ended: bool,
}

pub(super) fn answer(api: &Api, call: &Call, address: &Address, cut: Option<Duration>) -> ApiResult<Reply> {
    let from = call.param("resourceVersion");
    let initial = call.flag("sendInitialEvents") || matches!(from, "" | "0");
    let version = match from {
        "" => 0,
        given => given.parse().map_err(|_| {
            ApiError::bad_request(format!("resourceVersion: Invalid value: {given:?}: strconv.ParseUint: parsing {given:?}: invalid syntax"))
        })?,
    };
    let mut watch = Watch {
        shared: Arc::clone(&api.shared),
        kind: address.kind,
        ns: address.ns.clone(),
        name: address.name.clone(),
        labels: call.labels()?,
        fields: call.fields(address.kind)?,
        form: call.form(),
        include: call.param("includeObject").to_owned(),
        position: version,
        bookmarks: call.flag("allowWatchBookmarks"),
        changes: api.shared.core.subscribe(),
        down: api.shared.down.subscribe(),
        closing: match &api.entrance {
            Entrance::Listener(closing) => Some(closing.clone()),
            Entrance::Trusted(_) => None,
        },
        dropped: api.shared.dropped.subscribe(),
        cut: cut.map(|after| Instant::now() + after),
        deadline: call.number("timeoutSeconds").map(|s| Instant::now() + Duration::from_secs(s)),
        first: Vec::new(),
        ended: false,
    };
    if initial {
        watch.send_initial(call.flag("sendInitialEvents"));
    }
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), watch))
    });
    Ok(Reply::Stream(Body::from_stream(stream)))
}

impl Watch {
    /// What exists now, as ADDED events, with a bookmark behind when the client asked for it.
    fn send_initial(&mut self, mark_end: bool) {
        let (all, version) =
            self.shared.core.transact(|tx| (tx.list(&self.kind.resource, &self.ns), tx.version()));
        let mut lines: Vec<u8> =
            all.iter().filter(|o| self.selects(o)).flat_map(|o| self.line("ADDED", o)).collect();
        self.position = version;
        if mark_end {
            lines.extend(self.bookmark(true));
        }
        self.first = lines;
    }

    fn selects(&self, object: &Value) -> bool {
        (self.name.is_empty() || json::name(object) == self.name)
            && self.labels.select(object)
            && self.fields.select(object)
    }

    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        loop {
            if self.ended || *self.down.borrow() || self.is_closing() {
                return None;
            }
            self.changes.borrow_and_update();
            let lines = self.pending();
            if !lines.is_empty() {
                return Some(lines);
            }
            let Self { changes, down, closing, dropped, cut, deadline, bookmarks, .. } = self;
            let at = |moment: Option<Instant>| async move {
                match moment {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let (timeout, end) = (at(*deadline), at(*cut));
            let minute = at(bookmarks.then(|| Instant::now() + BOOKMARKS));
            let closed = async {
                match closing {
                    Some(closing) => drop(closing.wait_for(|c| *c).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = closed => return None,
                _ = dropped.changed() => return None,
                () = end => return None,
                changed = changes.changed() => changed.ok()?,
                down = down.changed() => down.ok()?,
                () = minute => return Some(self.bookmark(false)),
                () = timeout => {
                    self.ended = true;
                    return self.bookmarks.then(|| self.bookmark(false));
                }
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.as_ref().is_some_and(|c| *c.borrow())
    }

    /// The lines of the changes since the last call.
    fn pending(&mut self) -> Vec<u8> {
        let (changes, version) =
            self.shared.core.transact(|tx| (tx.changes_since(self.position), tx.version()));
        let mut lines = Vec::new();
        match changes {
            Ok(changes) => {
                for change in changes.iter().filter(|c| self.concerns(c)) {
                    lines.extend(self.event(change));
                }
                self.position = self.position.max(version);
            }
            Err(too_old) => {
                let message = format!("too old resource version: {} ({})", self.position, too_old.oldest);
                let status = ApiError::expired(message).to_status();
                lines.extend(encoded(&json!({ "type": "ERROR", "object": status })));
                self.ended = true;
            }
        }
        lines
    }

    fn concerns(&self, change: &Change) -> bool {
        change.resource == self.kind.resource
            && (self.ns.is_empty() || json::namespace(&change.object) == self.ns)
    }

    /// What a change looks like through the selectors.
    fn event(&self, change: &Change) -> Vec<u8> {
        let before = change.previous.as_ref().is_some_and(|p| self.selects(p));
        let after = change.kind != ChangeKind::Deleted && self.selects(&change.object);
        match (before, after) {
            (false, true) => self.line("ADDED", &change.object),
            (true, true) => self.line("MODIFIED", &change.object),
            (true, false) => self.line("DELETED", &change.object),
            (false, false) => Vec::new(),
        }
    }

    fn line(&self, kind: &str, object: &Arc<Value>) -> Vec<u8> {
        let shown = match self.form {
            Form::Object => read::as_served(self.kind, object),
            Form::Metadata => read::partial(object),
            Form::Table => {
                let options = table::Options { now: self.shared.core.now(), include: self.include.clone() };
                let version = json::text(object, "/metadata/resourceVersion");
                table::of(
                    self.kind,
                    std::slice::from_ref(object),
                    &options,
                    &json!({ "resourceVersion": version }),
                )
            }
        };
        encoded(&json!({ "type": kind, "object": shown }))
    }

    fn bookmark(&self, initial_end: bool) -> Vec<u8> {
        let mut metadata = json!({ "resourceVersion": self.position.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, version) = match self.form {
            Form::Object => (self.kind.kind, self.kind.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Table => ("Table", "meta.k8s.io/v1".to_owned()),
        };
        let mut object = json!({ "kind": kind, "apiVersion": version, "metadata": metadata });
        if self.form == Form::Table {
            object["columnDefinitions"] = json!([]);
            object["rows"] = json!([]);
        } else if self.kind.kind == "Pod" {
            // The typed clients insist on the fields that their types require.
            object["spec"] = json!({ "containers": null });
        }
        encoded(&json!({ "type": "BOOKMARK", "object": object }))
    }
}

fn encoded(event: &Value) -> Vec<u8> {
    let mut line = event.to_string().into_bytes();
    line.push(b'\n');
    line
}
