//! What the controllers that own pods have in common.

use serde_json::{Value, json};

use super::{Again, Context, conditions, events, sooner};
use crate::{
    json, kinds,
    status::ApiResult,
    store::Tx,
    write::{CONTROLLER, DeleteOptions, Options},
};

/// Whether the pod counts: it is not ending and has not ended.
pub(super) fn is_active(pod: &Value) -> bool {
    !json::is_deleting(pod) && !matches!(json::text(pod, "/status/phase"), "Succeeded" | "Failed")
}

pub(super) fn is_ready(pod: &Value) -> bool {
    conditions::is_true(pod, "Ready")
}

/// Whether the pod has been ready for `min_ready` seconds; if not yet, when it will have been.
pub(super) fn is_available(tx: &Tx<'_>, context: &mut Context, pod: &Value, min_ready: i64) -> (bool, Again) {
    if !is_ready(pod) {
        context.since(json::uid(pod), "ready", "no");
        return (false, None);
    }
    if min_ready <= 0 {
        return (true, None);
    }
    let known = context.since.contains_key(&(json::uid(pod).to_owned(), "ready"));
    let since = context.since(json::uid(pod), "ready", "yes");
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
    let wanted = min_ready as f64;
    if context.elapsed(since) >= wanted {
        return (true, None);
    }
    if !known && ready_for(tx, pod) * context.speed >= wanted {
        // It was ready long before this process started.
        let long_ago = context.now.checked_sub(std::time::Duration::from_secs_f64(wanted / context.speed));
        if let Some(entry) = context.since.get_mut(&(json::uid(pod).to_owned(), "ready")) {
            entry.0 = long_ago.unwrap_or(since);
        }
        return (true, None);
    }
    (false, Some(context.later(since, wanted)))
}

/// Seconds by the clock since the pod became ready.
fn ready_for(tx: &Tx<'_>, pod: &Value) -> f64 {
    let at = conditions::get(pod, "Ready").map_or("", |c| json::text(c, "/lastTransitionTime"));
    at.parse::<jiff::Timestamp>().map_or(0.0, |t| tx.now.duration_since(t).as_secs_f64())
}

/// Counts of the pods of an owner.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: usize,
    pub(super) ready: usize,
    pub(super) available: usize,
}

pub(super) fn count<'a>(
    tx: &Tx<'_>,
    context: &mut Context,
    pods: impl IntoIterator<Item = &'a Value>,
    min_ready: i64,
) -> (Count, Again) {
    let (mut count, mut again) = (Count::default(), None);
    for pod in pods {
        count.all += 1;
        count.ready += usize::from(is_ready(pod));
        let (available, when) = is_available(tx, context, pod, min_ready);
        count.available += usize::from(available);
        again = sooner(again, when);
    }
    (count, again)
}

/// The reference by which `owner` controls what it makes.
pub(super) fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": json::name(owner), "uid": json::uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// A pod of `owner`'s template, not stored yet. `name` ends with `-` to have a random end added.
pub(super) fn from_template(owner: &Value, name: &str) -> Value {
    let template = &owner["spec"]["template"];
    let mut metadata = json!({ "ownerReferences": [owner_reference(owner)] });
    metadata[if name.ends_with('-') { "generateName" } else { "name" }] = name.into();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({ "metadata": metadata, "spec": template["spec"] })
}

/// Creates a pod and tells so, or why not, by an event on the owner.
pub(super) fn create(tx: &mut Tx<'_>, owner: &Value, pod: Value, component: &'static str) -> ApiResult<()> {
    match tx.create(kinds::of("pods"), json::namespace(owner), pod, &Options::by(CONTROLLER)) {
        Ok(pod) => {
            let message = format!("Created pod: {}", json::name(&pod));
            events::record(tx, owner, events::Event::normal("SuccessfulCreate", message, component));
            Ok(())
        }
        Err(error) => {
            let message = format!("Error creating: {}", error.message);
            events::record(tx, owner, events::Event::warning("FailedCreate", message, component));
            Err(error)
        }
    }
}

/// When to try again to create pods: after a second, and then each time after as long as it has been failing (a quarter of an hour at most).
pub(super) fn retry(context: &mut Context, owner: &Value, failed: bool) -> Again {
    let since = context.since(json::uid(owner), "create", if failed { "failing" } else { "well" });
    let wait = context.elapsed(since).clamp(1.0, 1000.0);
    failed.then(|| context.later(context.now, wait))
}

/// Deletes a pod with its grace period and tells so by an event on the owner.
pub(super) fn delete(tx: &mut Tx<'_>, owner: &Value, pod: &Value, component: &'static str) {
    let deleted =
        tx.delete(kinds::of("pods"), json::namespace(pod), json::name(pod), &DeleteOptions::default());
    if deleted.is_ok() {
        let message = format!("Deleted pod: {}", json::name(pod));
        events::record(tx, owner, events::Event::normal("SuccessfulDelete", message, component));
    }
}

/// Writes the status of an object if it is another than before.
pub(super) fn write_status(tx: &mut Tx<'_>, object: &Value, status: Value) {
    let Some(kind) = tx.kind_of(object) else { return };
    let key = crate::store::Key::of(&kind.resource, object);
    tx.modify(&key, &Options::by(CONTROLLER).on("status"), |o| json::set(o, "/status", status));
}
