//! The end of a namespace: its contents first.

use crate::{
    json,
    store::{Key, Tx},
    write::{DeleteOptions, Propagation},
};

pub(super) fn reconcile(tx: &mut Tx<'_>, key: &Key) {
    let Some(namespace) = tx.get_key(key) else { return };
    if !json::is_deleting(&namespace) {
        return;
    }
    let mut left = 0;
    for kind in tx.kinds().into_iter().filter(|k| k.namespaced) {
        for object in tx.list(&kind.resource, &key.name) {
            if !json::is_deleting(&object) {
                let options =
                    DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
                // It can only be gone already.
                let _ = tx.delete(kind, &key.name, json::name(&object), &options);
            }
        }
        left += tx.list(&kind.resource, &key.name).len();
    }
    if left == 0 {
        tx.remove(key);
    }
}
