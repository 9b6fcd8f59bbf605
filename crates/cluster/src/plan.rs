//! Which fields of an object a restore puts back, and which it leaves to others (X4).

use serde_json::{Value, json};

use crate::FIELD_MANAGER;
use crate::field_walk::{self, Field};
use crate::object::ObjectRef;
use crate::owned_fields;
use crate::restore::KeptField;

/// The most fields of others that are told of one object.
const MOST: usize = 20;
/// The longest value that is told, in bytes of its JSON.
const LONGEST: usize = 200;

/// Which fields to put back, and which to leave to others.
pub(crate) struct Plan {
    /// The set of fields that are ours to restore.
    pub(crate) fields: Value,
    /// Their values at the snapshot.
    pub(crate) content: Value,
    /// What others have changed since.
    pub(crate) kept: Vec<KeptField>,
}

impl Plan {
    /// With `force`, fields that were ours are taken back from whoever changed them.
    pub(crate) fn new(before: &Value, owned_before: &Value, live: &Value, force: bool) -> Self {
        let owned_now = owned_fields::owned_by(live, FIELD_MANAGER);
        let dropped = owned_fields::difference(owned_before, &owned_now);
        let others = owned_fields::owned_by_others(live, FIELD_MANAGER);
        let mut fields = owned_now;
        let mut kept = Vec::new();
        for field in field_walk::leaves(&dropped, before, live) {
            let taken = field_walk::names(&others, &field.tree_path);
            if force || !taken || field.want == field.got {
                fields = owned_fields::union(fields, &field_walk::subset(&dropped, &field.tree_path));
            } else {
                kept.push(kept_field(live, field, true));
            }
        }
        kept.extend(foreign(before, live, others, &fields, &kept));
        kept.truncate(MOST);
        let content = owned_fields::project(before, &fields).unwrap_or_else(|| json!({}));
        Self { fields, content, kept }
    }

    /// The same without the values of a Secret, which may be in no record.
    pub(crate) fn without_values_of(mut self, object: &ObjectRef) -> Self {
        if object.is_secret() {
            for field in &mut self.kept {
                (field.want, field.got) = (None, None);
            }
        }
        self
    }
}

/// What others have changed, or added, that never was ours and is not put back either: in what the object says, not in
/// its metadata or status, which controllers write all the time.
fn foreign(
    before: &Value,
    live: &Value,
    mut others: Value,
    fields: &Value,
    kept: &[KeptField],
) -> Vec<KeptField> {
    if let Some(tree) = others.as_object_mut() {
        tree.retain(|key, _| !matches!(key.as_str(), "f:metadata" | "f:status"));
    }
    field_walk::leaves(&others, before, live)
        .into_iter()
        .filter(|field| field.want != field.got && !field_walk::names(fields, &field.tree_path))
        .map(|field| kept_field(live, field, false))
        .filter(|field| kept.iter().all(|known| known.path != field.path))
        .collect()
}

fn kept_field(live: &Value, Field { tree_path, path, want, got }: Field<'_>, ours: bool) -> KeptField {
    let manager = owned_fields::other_owner(live, FIELD_MANAGER, &tree_path).unwrap_or_default();
    let short = |value: Option<&Value>| value.filter(|v| v.to_string().len() <= LONGEST).cloned();
    KeptField { path, manager, ours, want: short(want), got: short(got) }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
