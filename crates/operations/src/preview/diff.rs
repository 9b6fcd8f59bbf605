//! What a rehearsed write changes, field by field; values of Secrets are masked.

use std::fmt;

use pilothouse_cluster::{ANNOTATION_PREFIX, Rehearsed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most fields that are told of one object.
const MOST_FIELDS: usize = 200;
/// The most characters of a value.
const MOST_CHARS: usize = 200;

/// What would become of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `Deployment dev/web`
    pub object: String,
    /// What is done to it.
    pub kind: ChangeKind,
    /// Which fields differ, by path.
    pub fields: Vec<Field>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It comes into being.
    Create,
    /// Fields of it change.
    Change,
    /// It stays as it is.
    None,
    /// It is deleted.
    Delete,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// `spec.template.spec.containers[web].image`
    pub path: String,
    /// What it is; absent when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it becomes; absent when it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl fmt::Display for Field {
    /// `~ spec.replicas: 2 → 3`, `+ data.GREETING: hello`, `- data.OLD: x`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "~ {}: {from} → {to}", self.path),
            (None, Some(to)) => write!(f, "+ {}: {to}", self.path),
            (Some(from), None) => write!(f, "- {}: {from}", self.path),
            (None, None) => write!(f, "  {}", self.path),
        }
    }
}

/// What the writes come to, in order.
pub(super) fn changes(writes: &[Rehearsed]) -> Vec<Change> {
    writes.iter().map(change).collect()
}

fn change(write: &Rehearsed) -> Change {
    let secret = write.object.is_secret();
    let mut fields = Vec::new();
    let kind = match (&write.before, &write.after) {
        (_, None) => ChangeKind::Delete,
        (before, Some(after)) => {
            walk("", before.as_ref().unwrap_or(&Value::Null), after, secret, &mut fields);
            match (before.is_none(), fields.is_empty()) {
                (true, _) => ChangeKind::Create,
                (false, true) => ChangeKind::None,
                (false, false) => ChangeKind::Change,
            }
        }
    };
    if let Some(more) = fields.len().checked_sub(MOST_FIELDS).filter(|more| *more > 0) {
        fields.truncate(MOST_FIELDS);
        fields.push(Field { path: format!("… and {more} more"), from: None, to: None });
    }
    Change { object: write.object.to_string(), kind, fields }
}

fn walk(path: &str, before: &Value, after: &Value, secret: bool, fields: &mut Vec<Field>) {
    if before == after || is_mark(path) || is_drawn(path) {
        return;
    }
    match (before, after) {
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            for key in keys(before, after) {
                walk(&step(path, &key), &before[&key], &after[&key], secret, fields);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_)) | (Value::Array(_), Value::Null) => {
            list(path, before, after, secret, fields);
        }
        _ => fields.push(Field {
            path: path.to_owned(),
            from: shown(path, before, secret),
            to: shown(path, after, secret),
        }),
    }
}

/// Items that have names are told by their names, others by their places.
fn list(path: &str, before: &Value, after: &Value, secret: bool, fields: &mut Vec<Field>) {
    let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let (old, new) = (items(before), items(after));
    let name = |item: &Value| item["name"].as_str().map(str::to_owned);
    if old.iter().chain(&new).all(|item| name(item).is_some()) && !(old.is_empty() && new.is_empty()) {
        let mut names: Vec<String> = old.iter().chain(&new).filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        for wanted in names {
            let of = |list: &[Value]| list.iter().find(|i| name(i).as_ref() == Some(&wanted)).cloned();
            let (a, b) = (of(&old).unwrap_or(Value::Null), of(&new).unwrap_or(Value::Null));
            walk(&format!("{path}[{wanted}]"), &a, &b, secret, fields);
        }
        return;
    }
    for index in 0..old.len().max(new.len()) {
        let of = |list: &[Value]| list.get(index).cloned().unwrap_or(Value::Null);
        walk(&format!("{path}[{index}]"), &of(&old), &of(&new), secret, fields);
    }
}

fn keys(before: &Value, after: &Value) -> Vec<String> {
    let of =
        |value: &Value| value.as_object().map(|m| m.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut keys = of(before);
    keys.extend(of(after));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What we write on every object, and what is in its name already, is no news.
fn is_mark(path: &str) -> bool {
    path.starts_with(&format!("metadata.annotations[\"{ANNOTATION_PREFIX}"))
        || matches!(path, "apiVersion" | "kind" | "metadata.name" | "metadata.namespace")
}

/// What the server draws anew for each dry run of a creation: addresses and ports of a Service, the labels of a Job's pods, the volume
/// of a service account's token. It is no part of a plan.
fn is_drawn(path: &str) -> bool {
    matches!(path, "spec.clusterIP" | "spec.clusterIPs" | "spec.healthCheckNodePort")
        || path.ends_with(".nodePort")
        || path.contains("controller-uid")
        || path.contains("[kube-api-access-")
}

fn step(path: &str, key: &str) -> String {
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key:?}]"),
    }
}

/// A value for people; nothing of a Secret's.
fn shown(path: &str, value: &Value, secret: bool) -> Option<String> {
    let values =
        ["data", "stringData", "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]"];
    if value.is_null() {
        return None;
    }
    if secret && values.iter().any(|part| path.starts_with(part)) {
        return Some("***".to_owned());
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use pilothouse_cluster::ObjectRef;
    use serde_json::json;

    use super::*;

    fn told(kind: &str, before: Value, after: Value) -> String {
        let object = ObjectRef::namespaced("v1", kind, "dev", "web");
        let there = |value: Value| (!value.is_null()).then_some(value);
        let change = change(&Rehearsed { object, before: there(before), after: there(after) });
        let fields: Vec<String> = change.fields.iter().map(ToString::to_string).collect();
        format!("{:?}: {}", change.kind, fields.join("; "))
    }

    #[test]
    fn fields_are_told_by_path_and_containers_by_name() {
        let of = |image: &str, replicas: u32| json!({"spec": {"replicas": replicas, "containers": [{"name": "web", "image": image}]}});
        assert_eq!(
            told("Deployment", of("a", 2), of("b", 3)),
            "Change: ~ spec.containers[web].image: a → b; ~ spec.replicas: 2 → 3"
        );
        assert_eq!(told("Deployment", of("a", 2), of("a", 2)), "None: ");
        assert_eq!(told("ConfigMap", Value::Null, json!({"data": {"A": "1"}})), "Create: + data.A: 1");
        assert_eq!(told("ConfigMap", json!({"data": {"A": "1"}}), Value::Null), "Delete: ");
    }

    #[test]
    fn what_the_server_draws_for_each_dry_run_is_no_part_of_a_plan() {
        let service = json!({"spec": {"clusterIP": "10.96.0.2", "clusterIPs": ["10.96.0.2"], "ports": [{"port": 80, "nodePort": 30001}]}});
        assert_eq!(told("Service", Value::Null, service), "Create: + spec.ports[0].port: 80");
        let job = json!({"spec": {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "5f"}}, "completions": 1}});
        assert_eq!(told("Job", Value::Null, job), "Create: + spec.completions: 1");
    }

    #[test]
    fn another_attempt_alone_changes_nothing() {
        let of = |attempt: &str| json!({"metadata": {"annotations": {"pilothouse.dev/attempt": attempt}}});
        assert_eq!(told("ConfigMap", of("dep_1"), of("dep_2")), "None: ");
    }

    #[test]
    fn a_secret_shows_that_it_changes_and_not_how() {
        let of = |value: &str| json!({"data": {"password": value}});
        assert_eq!(told("Secret", of("aHVudGVy"), of("bmV3")), "Change: ~ data.password: *** → ***");
    }
}
