//! Which fields an object has, and which differ between two states of it.

use serde_json::{Map, Value};

use super::{
    schema::{Rules, Shape, element_shape, find, key_of},
    set::{self, FieldSet},
};

/// The fields of an object, as an applied configuration owns them.
pub(super) fn fields_of(rules: Rules, object: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    if let Value::Object(map) = object {
        map_fields(rules, map, "", &mut set);
    }
    set
}

fn map_fields(rules: Rules, map: &Map<String, Value>, field: &str, set: &mut FieldSet) {
    for (name, value) in map {
        value_fields(rules, value, field, name, set.child(set::field(name)));
    }
}

/// Adds the fields of `value`, which is the field `name` within `parent`.
fn value_fields(rules: Rules, value: &Value, parent: &str, name: &str, set: &mut FieldSet) {
    match (rules.shape(parent, name, value), value) {
        (Shape::Granular, Value::Object(map)) if !map.is_empty() => map_fields(rules, map, name, set),
        (Shape::Keyed(keys), Value::Array(list)) if !list.is_empty() => {
            for item in list {
                let child = set.child(set::key(&key_of(item, keys)));
                child.member = true;
                if let (Shape::Granular, Value::Object(map)) = (element_shape(name), item) {
                    map_fields(rules, map, name, child);
                }
            }
        }
        (Shape::Set, Value::Array(list)) if !list.is_empty() => {
            for item in list {
                set.child(set::value(item)).member = true;
            }
        }
        _ => set.member = true,
    }
}

/// What is different in the newer of two states.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Fields with another value or that are new.
    pub(super) written: FieldSet,
    /// Fields that are gone.
    pub(super) removed: FieldSet,
}

pub(super) fn compare(rules: Rules, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    compare_maps(rules, old, new, "", &mut difference.written, &mut difference.removed);
    difference.written.drop_empty();
    difference.removed.drop_empty();
    difference
}

fn compare_maps(
    rules: Rules,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    field: &str,
    written: &mut FieldSet,
    removed: &mut FieldSet,
) {
    for (name, value) in new {
        let element = set::field(name);
        match old.get(name) {
            None => {
                let child = written.child(element);
                value_fields(rules, value, field, name, child);
                // A new map or list is owned itself as well, as real updates show it.
                child.member = true;
            }
            Some(before) if before == value => {}
            Some(before) => {
                compare_values(
                    rules,
                    before,
                    value,
                    (field, name),
                    written.child(element.clone()),
                    removed.child(element),
                );
            }
        }
    }
    for (name, value) in old.iter().filter(|(n, _)| !new.contains_key(*n)) {
        let child = removed.child(set::field(name));
        value_fields(rules, value, field, name, child);
        child.member = true;
    }
}

fn compare_values(
    rules: Rules,
    old: &Value,
    new: &Value,
    (parent, name): (&str, &str),
    written: &mut FieldSet,
    removed: &mut FieldSet,
) {
    match (rules.shape(parent, name, new), old, new) {
        (Shape::Granular, Value::Object(old), Value::Object(new)) => {
            compare_maps(rules, old, new, name, written, removed);
        }
        (Shape::Keyed(keys), Value::Array(old), Value::Array(new)) => {
            compare_keyed(rules, (old, new), keys, name, written, removed);
        }
        (Shape::Set, Value::Array(old), Value::Array(new)) => {
            for item in new.iter().filter(|i| !old.contains(i)) {
                written.child(set::value(item)).member = true;
            }
            for item in old.iter().filter(|i| !new.contains(i)) {
                removed.child(set::value(item)).member = true;
            }
        }
        _ => {
            written.member = true;
            value_fields(rules, new, parent, name, written);
        }
    }
}

fn compare_keyed(
    rules: Rules,
    (old, new): (&[Value], &[Value]),
    keys: &[&str],
    name: &str,
    written: &mut FieldSet,
    removed: &mut FieldSet,
) {
    let empty = Map::new();
    for item in new {
        let key = key_of(item, keys);
        let element = set::key(&key);
        let now = item.as_object().unwrap_or(&empty);
        match find(old, keys, &key) {
            None => {
                let child = written.child(element);
                child.member = true;
                map_fields(rules, now, name, child);
            }
            Some(before) if before == item => {}
            Some(_) if element_shape(name) == Shape::Atomic => written.child(element).member = true,
            Some(before) => {
                let before = before.as_object().unwrap_or(&empty);
                compare_maps(
                    rules,
                    before,
                    now,
                    name,
                    written.child(element.clone()),
                    removed.child(element),
                );
            }
        }
    }
    for item in old {
        let key = key_of(item, keys);
        if find(new, keys, &key).is_none() {
            let child = removed.child(set::key(&key));
            child.member = true;
            map_fields(rules, item.as_object().unwrap_or(&empty), name, child);
        }
    }
}

impl FieldSet {
    fn drop_empty(&mut self) {
        self.children.values_mut().for_each(Self::drop_empty);
        self.children.retain(|_, c| !c.is_empty());
    }
}
