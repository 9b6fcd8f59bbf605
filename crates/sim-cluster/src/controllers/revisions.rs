//! ControllerRevisions: the former templates of StatefulSets and DaemonSets, which `kubectl rollout undo` goes back to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pods;
use crate::{
    json, kinds, rng,
    store::{Key, Tx},
    write::{CONTROLLER, Options},
};

const RESOURCE: &str = "controllerrevisions.apps";

/// The patch that takes the owner back to this template.
fn data(template: &Value) -> Value {
    let mut template = template.clone();
    json::set(&mut template, "/$patch", "replace");
    json!({ "spec": { "template": template } })
}

/// The template that a revision stands for.
pub(super) fn template_of(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    json::remove(&mut template, "/$patch");
    template
}

fn number(revision: &Value) -> i64 {
    json::count(revision, "/revision")
}

/// The revisions of an owner, oldest first.
pub(super) fn all(tx: &Tx<'_>, owner: &Value) -> Vec<Arc<Value>> {
    let mut all = tx.controlled(RESOURCE, json::uid(owner));
    all.sort_by_key(|r| (number(r), json::name(r).to_owned()));
    all
}

/// The revision of the current template: made if there is none, made the newest if it is an older one. `label` gets the template's hash.
pub(super) fn sync(tx: &mut Tx<'_>, owner: &Value, label: &str) -> Option<Arc<Value>> {
    let template = &owner["spec"]["template"];
    let known = all(tx, owner);
    let next = known.last().map_or(1, |r| number(r) + 1);
    if let Some(same) = known.iter().rev().find(|r| template_of(r) == *template) {
        if number(same) + 1 == next {
            return Some(Arc::clone(same));
        }
        let key = Key::of(RESOURCE, same);
        return tx.modify(&key, &Options::by(CONTROLLER), |r| json::set(r, "/revision", next));
    }
    let hash = rng::template_hash(&json::canonical(template));
    let mut labels = json::map(template, "/metadata/labels").cloned().unwrap_or_default();
    labels.insert(label.to_owned(), hash.as_str().into());
    let mut metadata = json!({
        "name": format!("{}-{hash}", json::name(owner)), "labels": labels, "ownerReferences": [pods::owner_reference(owner)],
    });
    if let Some(annotations) = owner.pointer("/metadata/annotations") {
        metadata["annotations"] = annotations.clone();
    }
    let revision = json!({ "metadata": metadata, "data": data(template), "revision": next });
    // Refused only when the namespace is going away.
    tx.create(kinds::of(RESOURCE), json::namespace(owner), revision, &Options::by(CONTROLLER)).ok()
}

/// Forgets the oldest beyond the owner's limit, but for those in `live` (names).
pub(super) fn truncate(tx: &mut Tx<'_>, owner: &Value, live: &[String]) {
    let limit = usize::try_from(json::int(owner, "/spec/revisionHistoryLimit").unwrap_or(10)).unwrap_or(0);
    let old: Vec<_> =
        all(tx, owner).into_iter().filter(|r| !live.iter().any(|l| l == json::name(r))).collect();
    for revision in old.iter().take(old.len().saturating_sub(limit)) {
        tx.remove(&Key::of(RESOURCE, revision));
    }
}
