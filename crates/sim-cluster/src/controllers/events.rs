//! Core events, with repeated ones counted.

use serde_json::{Value, json};

use crate::{
    json, kinds, rng,
    store::Tx,
    write::{CONTROLLER, Options},
};

/// What happened to an object.
#[derive(Debug, Clone)]
pub(super) struct Event {
    warning: bool,
    reason: &'static str,
    message: String,
    component: &'static str,
    /// `spec.containers{web}` when it is about a container.
    field_path: Option<String>,
}

impl Event {
    pub(super) fn normal(reason: &'static str, message: impl Into<String>, component: &'static str) -> Self {
        Self { warning: false, reason, message: message.into(), component, field_path: None }
    }

    pub(super) fn warning(reason: &'static str, message: impl Into<String>, component: &'static str) -> Self {
        Self { warning: true, ..Self::normal(reason, message, component) }
    }

    pub(super) fn at(mut self, field_path: impl Into<String>) -> Self {
        self.field_path = Some(field_path.into());
        self
    }
}

/// After how many new events the old ones are looked for.
const SWEEP: u32 = 512;

/// Records that `event` happened to `object`, once more if it did before.
pub(super) fn record(tx: &mut Tx<'_>, object: &Value, event: Event) {
    let ns = match json::namespace(object) {
        "" => "default",
        ns => ns,
    };
    let identity = format!("{}/{}/{}/{}", json::uid(object), event.reason, event.message, event.component);
    let name = format!("{}.{:016x}", json::name(object), rng::hash(&identity));
    let (kind, now) = (kinds::of("events"), tx.stamp());
    if let Some(existing) = tx.get("events", ns, &name) {
        let mut again = Value::clone(&existing);
        json::set(&mut again, "/count", json::count(&existing, "/count") + 1);
        json::set(&mut again, "/lastTimestamp", now);
        tx.put(kind, again);
        return;
    }
    tx.state.events += 1;
    if tx.state.events.is_multiple_of(SWEEP) {
        forget_old(tx);
    }
    let mut involved = json!({
        "kind": object["kind"], "apiVersion": object["apiVersion"], "namespace": ns, "name": json::name(object),
        "uid": json::uid(object), "resourceVersion": json::text(object, "/metadata/resourceVersion"),
    });
    if let Some(path) = event.field_path {
        involved["fieldPath"] = path.into();
    }
    let mut source = json!({ "component": event.component });
    if event.component == "kubelet" {
        source["host"] = object["spec"]["nodeName"].clone();
    }
    let body = json!({
        "metadata": { "name": name }, "involvedObject": involved, "reason": event.reason, "message": event.message,
        "source": source, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        "type": if event.warning { "Warning" } else { "Normal" }, "eventTime": null,
        "reportingComponent": event.component, "reportingInstance": "",
    });
    // Refused only when the namespace is going away: then nobody reads it.
    let _ = tx.create(kind, ns, body, &Options::by(CONTROLLER));
}

/// Removes the events of more than an hour ago, now and then: no timer is kept for them.
fn forget_old(tx: &mut Tx<'_>) {
    let horizon = tx.now.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(tx.now);
    let horizon = crate::clock::stamp(horizon);
    for event in tx.list("events", "").iter().filter(|e| json::text(e, "/lastTimestamp") < horizon.as_str()) {
        tx.remove(&super::key("events", json::namespace(event), json::name(event)));
    }
}
