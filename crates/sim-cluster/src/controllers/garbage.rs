//! Garbage collection by owner references.

use serde_json::Value;

use crate::{
    json, kinds,
    store::{Key, Tx},
    write::{CONTROLLER, DeleteOptions, FOREGROUND, Options, Propagation, drop_owner},
};

/// Deletes an object none of whose owners exists, and goes on with one that waits for its dependents.
pub(super) fn collect(tx: &mut Tx<'_>, key: &Key) {
    let Some(object) = tx.get_key(key) else { return };
    let owners = json::items(&object, "/metadata/ownerReferences");
    let exists = |o: &Value| tx.by_uid(json::text(o, "/uid")).is_some();
    if !owners.is_empty() && !owners.iter().any(exists) && !json::is_deleting(&object) {
        delete(tx, key, Propagation::Background);
        return;
    }
    if json::is_deleting(&object)
        && json::items(&object, "/metadata/finalizers").iter().any(|f| f == FOREGROUND)
    {
        delete_in_foreground(tx, key, &object);
    }
}

/// What the owner with this uid leaves behind.
pub(super) fn owner_gone(tx: &mut Tx<'_>, uid: &str) {
    for (key, object) in tx.dependents(uid) {
        let owners = json::items(&object, "/metadata/ownerReferences");
        if owners.iter().any(|o| tx.by_uid(json::text(o, "/uid")).is_some()) {
            tx.modify(&key, &Options::by(CONTROLLER), |o| drop_owner(o, uid));
        } else if !json::is_deleting(&object) {
            delete(tx, &key, Propagation::Background);
        }
    }
}

fn delete(tx: &mut Tx<'_>, key: &Key, propagation: Propagation) {
    let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    // It can only be gone already.
    let _ = tx.delete(kinds::of(key.resource), &key.ns, &key.name, &options);
}

/// Deletes the dependents first; the owner goes when none is left that blocks it.
fn delete_in_foreground(tx: &mut Tx<'_>, key: &Key, owner: &Value) {
    let uid = json::uid(owner);
    for (dependent, object) in tx.dependents(uid) {
        if !json::is_deleting(&object) {
            delete(tx, &dependent, Propagation::Foreground);
        }
    }
    let blocks = |o: &Value| {
        json::items(o, "/metadata/ownerReferences")
            .iter()
            .any(|r| json::text(r, "/uid") == uid && json::flag(r, "/blockOwnerDeletion"))
    };
    if !tx.dependents(uid).iter().any(|(_, o)| blocks(o)) {
        tx.modify(key, &Options::by(CONTROLLER), |object| {
            let kept: Vec<_> = json::items(object, "/metadata/finalizers")
                .iter()
                .filter(|f| *f != FOREGROUND)
                .cloned()
                .collect();
            json::set(object, "/metadata/finalizers", kept);
        });
    }
}
