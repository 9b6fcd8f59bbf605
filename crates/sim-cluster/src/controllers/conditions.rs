//! Status conditions.

use serde_json::{Value, json};

use crate::json;

/// The condition of a type.
pub(super) fn get<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    json::items(object, "/status/conditions").iter().find(|c| json::text(c, "/type") == kind)
}

/// Whether the condition is `True`.
pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    get(object, kind).is_some_and(|c| json::text(c, "/status") == "True")
}

/// A condition to be set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// Sets a condition of a workload (`lastUpdateTime` and `lastTransitionTime`) in `status`. Nothing changes when it is as wanted already.
pub(super) fn set(status: &mut Value, wanted: Condition<'_>, now: &str, with_update_time: bool) {
    let mut list = json::items(status, "/conditions").to_vec();
    let position = list.iter().position(|c| json::text(c, "/type") == wanted.kind);
    let old = position.map(|p| list[p].clone()).unwrap_or_default();
    let same = json::text(&old, "/status") == wanted.status
        && json::text(&old, "/reason") == wanted.reason
        && json::text(&old, "/message") == wanted.message;
    if same && position.is_some() {
        return;
    }
    let transition = if json::text(&old, "/status") == wanted.status {
        json::text(&old, "/lastTransitionTime")
    } else {
        now
    };
    let mut new = json!({ "type": wanted.kind, "status": wanted.status });
    if with_update_time {
        new["lastUpdateTime"] = now.into();
    }
    new["lastTransitionTime"] = transition.into();
    if !wanted.reason.is_empty() {
        new["reason"] = wanted.reason.into();
    }
    if !wanted.message.is_empty() {
        new["message"] = wanted.message.into();
    }
    match position {
        Some(position) => list[position] = new,
        None => list.push(new),
    }
    json::set(status, "/conditions", list);
}

/// Removes a condition from `status`.
pub(super) fn unset(status: &mut Value, kind: &str) {
    if let Some(list) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        list.retain(|c| json::text(c, "/type") != kind);
    }
}
