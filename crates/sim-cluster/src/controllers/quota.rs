//! What is used of a ResourceQuota.

use serde_json::json;

use super::pods;
use crate::store::{Key, Tx};

pub(super) fn reconcile(tx: &mut Tx<'_>, key: &Key) {
    let Some(quota) = tx.get_key(key) else { return };
    let status = json!({ "hard": quota["spec"]["hard"], "used": tx.quota_usage(&quota) });
    pods::write_status(tx, &quota, status);
}
