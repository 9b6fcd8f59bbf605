//! The `managedFields` of an object: who wrote which field.

use serde_json::{Value, json};

use super::{
    compare::{Difference, compare},
    schema::Rules,
    set::FieldSet,
};
use crate::{json, kinds::Kind};

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manager {
    pub(crate) name: String,
    /// `status` or `scale`; "" for the object itself.
    pub(crate) subresource: &'static str,
}

/// One element of `managedFields`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) apply: bool,
    pub(super) subresource: String,
    pub(super) api_version: String,
    pub(super) time: String,
    pub(super) fields: FieldSet,
}

/// Metadata that nobody owns.
const SYSTEM: &[&str] = &[
    "f:name",
    "f:namespace",
    "f:uid",
    "f:creationTimestamp",
    "f:generation",
    "f:resourceVersion",
    "f:managedFields",
    "f:selfLink",
    "f:deletionTimestamp",
    "f:deletionGracePeriodSeconds",
];

/// Takes out what no manager ever owns.
pub(super) fn strip_system(set: &mut FieldSet) {
    set.children.remove("f:apiVersion");
    set.children.remove("f:kind");
    if let Some(metadata) = set.children.get_mut("f:metadata") {
        metadata.member = false;
        metadata.children.retain(|k, _| !SYSTEM.contains(&k.as_str()));
        if metadata.is_empty() {
            set.children.remove("f:metadata");
        }
    }
}

impl Entry {
    pub(super) fn is(&self, who: &Manager, apply: bool) -> bool {
        self.manager == who.name && self.subresource == who.subresource && self.apply == apply
    }

    pub(super) fn new(kind: &'static Kind, who: &Manager, apply: bool, time: &str) -> Self {
        Self {
            manager: who.name.clone(),
            apply,
            subresource: who.subresource.to_owned(),
            api_version: kind.api_version(),
            time: time.to_owned(),
            fields: FieldSet::default(),
        }
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_fields_v1(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }
}

pub(super) fn entries(object: &Value) -> Vec<Entry> {
    json::items(object, "/metadata/managedFields")
        .iter()
        .map(|e| Entry {
            manager: json::text(e, "/manager").to_owned(),
            apply: json::text(e, "/operation") == "Apply",
            subresource: json::text(e, "/subresource").to_owned(),
            api_version: json::text(e, "/apiVersion").to_owned(),
            time: json::text(e, "/time").to_owned(),
            fields: FieldSet::from_fields_v1(&e["fieldsV1"]),
        })
        .collect()
}

/// Writes the entries that own anything.
pub(super) fn store(object: &mut Value, entries: &[Entry]) {
    let list: Vec<_> = entries.iter().filter(|e| !e.fields.is_empty()).map(Entry::to_json).collect();
    if list.is_empty() {
        json::remove(object, "/metadata/managedFields");
    } else {
        json::set(object, "/metadata/managedFields", list);
    }
}

/// Records that `who` changed `old` (Null: nothing) into `new` by a plain write: what is different is the writer's, and nobody else's.
pub(crate) fn track_update(kind: &'static Kind, old: &Value, new: &mut Value, who: &Manager, now: &str) {
    let mut entries = entries(old);
    let Difference { mut written, mut removed } = compare(Rules::of(kind), old, new);
    strip_system(&mut written);
    strip_system(&mut removed);
    for entry in entries.iter_mut().filter(|e| !e.is(who, false)) {
        entry.fields.subtract(&written);
        entry.fields.subtract(&removed);
    }
    if !written.is_empty() || !removed.is_empty() {
        let mine = match entries.iter().position(|e| e.is(who, false)) {
            Some(index) => index,
            None => {
                entries.push(Entry::new(kind, who, false, now));
                entries.len() - 1
            }
        };
        let entry = &mut entries[mine];
        entry.fields.subtract(&removed);
        entry.fields.union(&written);
        now.clone_into(&mut entry.time);
    }
    store(new, &entries);
}

/// Whether two states differ in nothing but bookkeeping: managed fields (their times at least) and the version.
pub(crate) fn same_but_managed_fields(old: &Value, new: &Value, apply: bool) -> bool {
    let plain = |object: &Value| {
        let mut copy = object.clone();
        json::remove(&mut copy, "/metadata/resourceVersion");
        if apply {
            // An apply that changes only who owns what is a change.
            for entry in json::items_mut(&mut copy, "/metadata/managedFields") {
                json::remove(entry, "/time");
            }
        } else {
            json::remove(&mut copy, "/metadata/managedFields");
        }
        copy
    };
    plain(old) == plain(new)
}
