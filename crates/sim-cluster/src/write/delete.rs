//! Deleting: grace, finalizers, and what becomes of the dependents.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;

use super::{CONTROLLER, Options};
use crate::{
    clock, json,
    kinds::Kind,
    status::{ApiError, ApiResult},
    store::{Key, Tx},
};

/// What becomes of the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// The body of a DELETE.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Option<Propagation>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

/// The finalizer of an object that waits for its dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

impl Tx<'_> {
    /// Deletes an object, or marks it as being deleted when it has grace or finalizers. The flag says whether it is gone already.
    pub(crate) fn delete(
        &mut self,
        kind: &'static Kind,
        ns: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> ApiResult<(Arc<Value>, bool)> {
        let live = self.get(&kind.resource, ns, name).ok_or_else(|| ApiError::not_found(kind, name))?;
        check(kind, &live, options)?;
        let key = Key::new(kind, ns, name);
        // The API's own default for Jobs, kept for old clients.
        let default = if kind.is("jobs.batch") { Propagation::Orphan } else { Propagation::Background };
        let propagation = options.propagation.unwrap_or(default);
        if propagation == Propagation::Orphan && !options.dry_run {
            self.orphan_dependents(json::uid(&live));
        }
        let mut marked = Value::clone(&live);
        if propagation == Propagation::Foreground && !kind.is("namespaces") {
            add_finalizer(&mut marked, FOREGROUND);
        }
        let grace = grace(kind, &live, options);
        let waits =
            grace > 0 || !json::items(&marked, "/metadata/finalizers").is_empty() || kind.is("namespaces");
        if !waits && options.dry_run {
            return Ok((live, true));
        }
        if !waits {
            return Ok((self.remove(&key).unwrap_or(live), true));
        }
        let first = !json::is_deleting(&live);
        if first || grace < json::count(&live, "/metadata/deletionGracePeriodSeconds") {
            let at = self.now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(self.now);
            json::set(&mut marked, "/metadata/deletionTimestamp", clock::stamp(at));
            json::set(&mut marked, "/metadata/deletionGracePeriodSeconds", grace);
            if first && json::int(&live, "/metadata/generation").is_some() {
                json::set(
                    &mut marked,
                    "/metadata/generation",
                    json::count(&live, "/metadata/generation") + 1,
                );
            }
        }
        if kind.is("namespaces") {
            json::set(&mut marked, "/status/phase", "Terminating");
        }
        if options.dry_run {
            return Ok((Arc::new(marked), false));
        }
        if marked == *live {
            return Ok((live, false));
        }
        Ok((self.put(kind, marked), false))
    }

    fn orphan_dependents(&mut self, uid: &str) {
        for (key, _) in self.dependents(uid) {
            self.modify(&key, &Options::by(CONTROLLER), |object| drop_owner(object, uid));
        }
    }
}

/// Removes the owner reference to `uid`.
pub(crate) fn drop_owner(object: &mut Value, uid: &str) {
    let kept: Vec<_> = json::items(object, "/metadata/ownerReferences")
        .iter()
        .filter(|o| json::text(o, "/uid") != uid)
        .cloned()
        .collect();
    if kept.is_empty() {
        json::remove(object, "/metadata/ownerReferences");
    } else {
        json::set(object, "/metadata/ownerReferences", kept);
    }
}

fn check(kind: &Kind, live: &Value, options: &DeleteOptions) -> ApiResult<()> {
    let conflict = |what: &str, wanted: &str, have: &str| {
        let why =
            format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {have}");
        Err(ApiError::conflict(kind, json::name(live), &why))
    };
    match (&options.uid, &options.resource_version) {
        (Some(uid), _) if uid != json::uid(live) => conflict("UID", uid, json::uid(live)),
        (_, Some(version)) if version != json::text(live, "/metadata/resourceVersion") => {
            conflict("ResourceVersion", version, json::text(live, "/metadata/resourceVersion"))
        }
        _ if kind.is("namespaces") && matches!(json::name(live), "default" | "kube-system") => {
            Err(ApiError::forbidden(kind, json::name(live), "this namespace may not be deleted"))
        }
        _ => Ok(()),
    }
}

/// The seconds that a pod has to end; no other kind has any, nor has a pod that runs nowhere or has ended.
fn grace(kind: &Kind, live: &Value, options: &DeleteOptions) -> i64 {
    let ended = matches!(json::text(live, "/status/phase"), "Succeeded" | "Failed");
    if !kind.is("pods") || ended || json::text(live, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = json::int(live, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    options.grace_seconds.unwrap_or(own).max(0)
}

fn add_finalizer(object: &mut Value, name: &str) {
    let mut list = json::items(object, "/metadata/finalizers").to_vec();
    if !list.iter().any(|f| f == name) {
        list.push(name.into());
        json::set(object, "/metadata/finalizers", list);
    }
}
