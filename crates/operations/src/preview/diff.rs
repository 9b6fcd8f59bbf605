//! What a rehearsed write changes, field by field; values of Secrets are masked.

use std::fmt;

use pilothouse_cluster::{ANNOTATION_PREFIX, RESTARTED_AT, Rehearsed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::told;
use crate::approvals::{LINK_KEY, LinkKey};

/// The most fields that are told of one object.
const MOST_FIELDS: usize = 200;
/// What a time is told as that is known only when the stage begins.
const WHEN_IT_BEGINS: &str = "the time when it begins";

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
    /// The SHA-256, in hex, of every field that differs, with all of its value, that is told or not; of a Secret an HMAC under the
    /// installation's key. Absent when nothing differs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
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

/// What the writes come to, in order; what Secrets hold is compared under `key`.
pub(super) fn changes(writes: &[Rehearsed], key: Option<&LinkKey>) -> Vec<Change> {
    writes.iter().map(|write| change(write, key)).collect()
}

/// One field that differs, with the whole of its values.
#[derive(Debug, Serialize)]
struct Difference {
    path: String,
    before: Value,
    after: Value,
}

fn change(write: &Rehearsed, key: Option<&LinkKey>) -> Change {
    let secret = write.object.is_secret();
    let mut found = Vec::new();
    let kind = match (&write.before, &write.after) {
        (_, None) => ChangeKind::Delete,
        (before, Some(after)) => {
            walk("", before.as_ref().unwrap_or(&Value::Null), after, &mut found);
            match (before.is_none(), found.is_empty()) {
                (true, _) => ChangeKind::Create,
                (false, true) => ChangeKind::None,
                (false, false) => ChangeKind::Change,
            }
        }
    };
    let mut fields: Vec<Field> = found.iter().take(MOST_FIELDS).map(|one| field(one, secret)).collect();
    if let Some(more) = found.len().checked_sub(MOST_FIELDS).filter(|more| *more > 0) {
        fields.push(said(format!("… and {more} more")));
    }
    let digest = match (found.is_empty(), secret, key) {
        (true, ..) => String::new(),
        (false, false, _) => hex::encode(Sha256::digest(text_of(&found).as_bytes())),
        (false, true, Some(key)) => key.fingerprint(&text_of(&found)),
        (false, true, None) => {
            // A plain hash of a password can be guessed.
            fields.push(said(format!("other values would look the same: {LINK_KEY} is not set")));
            String::new()
        }
    };
    Change { object: write.object.to_string(), kind, fields, digest }
}

/// Everything that differs, in one text.
fn text_of(found: &[Difference]) -> String {
    let mut all = json!(found);
    all.sort_all_objects();
    all.to_string()
}

fn said(path: String) -> Field {
    Field { path, from: None, to: None }
}

fn field(found: &Difference, secret: bool) -> Field {
    let Difference { path, before, after } = found;
    let (from, to) = match secret && is_value(path) {
        true => {
            let masked = |value: &Value| (!value.is_null()).then(|| "***".to_owned());
            (masked(before), masked(after))
        }
        false => told::pair(before, after),
    };
    Field { path: path.clone(), from, to }
}

fn walk(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after || is_mark(path) || (before.is_null() && is_drawn(path)) {
        return;
    }
    match (before, after) {
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            for key in keys(before, after) {
                walk(&step(path, &key), &before[&key], &after[&key], found);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_)) | (Value::Array(_), Value::Null) => {
            list(path, before, after, found);
        }
        _ => {
            let after = if is_time(path) { Value::from(WHEN_IT_BEGINS) } else { after.clone() };
            found.push(Difference { path: path.to_owned(), before: before.clone(), after });
        }
    }
}

/// Items that have names are told by their names, others by their places.
fn list(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
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
            walk(&format!("{path}[{wanted}]"), &a, &b, found);
        }
        return;
    }
    for index in 0..old.len().max(new.len()) {
        let of = |list: &[Value]| list.get(index).cloned().unwrap_or(Value::Null);
        walk(&format!("{path}[{index}]"), &of(&old), &of(&new), found);
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

/// When a restart was asked for: each look would give another time.
fn is_time(path: &str) -> bool {
    path.ends_with(&format!("metadata.annotations[{RESTARTED_AT:?}]"))
}

/// What the server draws anew for each dry run that brings it: addresses and ports of a Service, the labels of a Job's pods, the
/// volume of a service account's token. It is no part of a plan. Where there was one, and it changes, somebody wants it so.
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

/// Whether it holds what a Secret is there to hide.
fn is_value(path: &str) -> bool {
    ["data", "stringData", "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]"]
        .iter()
        .any(|part| path.starts_with(part))
}

#[cfg(test)]
mod tests {
    use pilothouse_cluster::ObjectRef;
    use serde_json::json;

    use super::*;

    fn key() -> LinkKey {
        LinkKey::of(b"a key of the tests").unwrap()
    }

    fn between(kind: &str, before: Value, after: Value, key: Option<&LinkKey>) -> Change {
        let object = ObjectRef::namespaced("v1", kind, "dev", "web");
        let there = |value: Value| (!value.is_null()).then_some(value);
        change(&Rehearsed { object, before: there(before), after: there(after) }, key)
    }

    fn told(kind: &str, before: Value, after: Value) -> String {
        let change = between(kind, before, after, Some(&key()));
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
    fn a_port_that_somebody_changes_is_told_and_one_that_is_drawn_is_not() {
        let of = |ports: Value| json!({"spec": {"clusterIP": "10.96.0.2", "ports": ports}});
        let (old, new) = (json!([{"port": 80, "nodePort": 30001}]), json!([{"port": 80, "nodePort": 30002}]));
        assert_eq!(
            told("Service", of(old.clone()), of(new)),
            "Change: ~ spec.ports[0].nodePort: 30001 → 30002"
        );
        let more = json!([{"port": 80, "nodePort": 30001}, {"port": 81, "nodePort": 31234}]);
        assert_eq!(told("Service", of(old), of(more)), "Change: + spec.ports[1].port: 81");
    }

    #[test]
    fn the_time_of_a_restart_is_no_part_of_a_plan_and_that_it_restarts_is() {
        let of = |at: Value| json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: at, "a": "b"}}}}});
        let restart = |at: &str| between("Deployment", of(Value::Null), of(json!(at)), None);
        let (first, second) = (restart("2026-11-21T10:00:00Z"), restart("2026-11-21T10:00:01Z"));
        assert_eq!(first, second);
        assert_eq!(first.fields[0].to.as_deref(), Some(WHEN_IT_BEGINS));
        let after_another = between("Deployment", of(json!("2026-11-20T10:00:00Z")), of(json!("now")), None);
        assert_ne!(first.digest, after_another.digest, "somebody restarted it meanwhile");
    }

    #[test]
    fn what_is_not_shown_counts_nevertheless() {
        let of = |text: &str| json!({"data": {"app.conf": text}});
        let long = |end: &str| format!("{}{end}", "same\n".repeat(200));
        let digest = |end: &str| between("ConfigMap", of(&long("old")), of(&long(end)), None).digest;
        assert_ne!(digest("new"), digest("newer"));
        assert_eq!(digest("new"), digest("new"));
        let many = |last: &str| {
            let mut data: serde_json::Map<String, Value> =
                (0..MOST_FIELDS + 5).map(|n| (format!("K{n:04}"), json!("x"))).collect();
            data.insert("Z".to_owned(), json!(last));
            between("ConfigMap", Value::Null, json!({ "data": data }), None)
        };
        assert_eq!(many("1").fields, many("2").fields);
        assert_eq!(many("1").fields.last().unwrap().path, "… and 6 more");
        assert_ne!(many("1").digest, many("2").digest);
    }

    #[test]
    fn another_value_of_a_secret_is_another_plan_and_cannot_be_guessed_from_its_digest() {
        let of = |value: &str| json!({"data": {"password": value}});
        let set = |value: &str, key: Option<&LinkKey>| between("Secret", of("b2xk"), of(value), key);
        let (one, other) = (set("aHVudGVy", Some(&key())), set("bmV3", Some(&key())));
        assert_eq!(one.fields, other.fields);
        assert_ne!(one.digest, other.digest);
        let elsewhere = set("aHVudGVy", Some(&LinkKey::of(b"another key").unwrap()));
        assert_ne!(one.digest, elsewhere.digest, "only who has the key can try values");
        let without = set("aHVudGVy", None);
        assert_eq!(without.digest, "");
        assert!(without.fields[1].path.contains(LINK_KEY), "{without:?}");
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
