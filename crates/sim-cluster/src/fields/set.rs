//! Sets of field paths in the form of `FieldsV1`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of paths as a tree; the children's names are the path elements of `FieldsV1` (`f:name`, `k:{..}`, `v:..`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    pub(super) member: bool,
    pub(super) children: BTreeMap<String, FieldSet>,
}

/// The path element of a field.
pub(super) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The path element of a keyed list's element.
pub(super) fn key(key: &Value) -> String {
    format!("k:{}", crate::json::canonical(key))
}

/// The path element of a set's value.
pub(super) fn value(value: &Value) -> String {
    format!("v:{value}")
}

impl FieldSet {
    pub(super) fn from_fields_v1(json: &Value) -> Self {
        let Some(map) = json.as_object() else { return Self::default() };
        let children = map.iter().filter(|(k, _)| *k != ".").map(|(k, v)| {
            let mut child = Self::from_fields_v1(v);
            child.member |= v.as_object().is_some_and(Map::is_empty);
            (k.clone(), child)
        });
        Self { member: map.contains_key("."), children: children.collect() }
    }

    pub(super) fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        map.extend(self.children.iter().map(|(k, v)| (k.clone(), v.to_fields_v1())));
        Value::Object(map)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    pub(super) fn child(&mut self, element: String) -> &mut Self {
        self.children.entry(element).or_default()
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, theirs) in &other.children {
            self.child(element.clone()).union(theirs);
        }
    }

    /// Takes the paths of `other` out of this set.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (element, theirs) in &other.children {
            if let Some(mine) = self.children.get_mut(element) {
                mine.subtract(theirs);
                if mine.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let both = self.children.iter().filter_map(|(element, mine)| {
            let common = mine.intersection(other.children.get(element)?);
            (!common.is_empty()).then(|| (element.clone(), common))
        });
        Self { member: self.member && other.member, children: both.collect() }
    }

    /// The paths as error messages have them: `.spec.template.spec.containers[name="web"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect_paths("", &mut all);
        all
    }

    fn collect_paths(&self, prefix: &str, all: &mut Vec<String>) {
        if self.member {
            all.push(prefix.to_owned());
        }
        for (element, child) in &self.children {
            child.collect_paths(&format!("{prefix}{}", shown(element)), all);
        }
    }
}

fn shown(element: &str) -> String {
    if let Some(name) = element.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(value) = element.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let key: Value =
        element.strip_prefix("k:").and_then(|k| serde_json::from_str(k).ok()).unwrap_or_default();
    let parts: Vec<_> = key.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
    format!("[{}]", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_v1_is_read_and_written_alike() {
        let json = json!({"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}});
        let set = FieldSet::from_fields_v1(&json);
        assert_eq!(set.to_fields_v1(), json);
        assert_eq!(
            set.paths(),
            [".spec.containers[name=\"web\"]", ".spec.containers[name=\"web\"].image", ".spec.replicas"]
        );
    }

    #[test]
    fn subtraction_leaves_what_only_one_has() {
        let mut a = FieldSet::from_fields_v1(&json!({"f:a": {}, "f:b": {"f:c": {}}}));
        let b = FieldSet::from_fields_v1(&json!({"f:b": {"f:c": {}}, "f:d": {}}));
        assert_eq!(a.intersection(&b).paths(), [".b.c"]);
        a.subtract(&b);
        assert_eq!(a.to_fields_v1(), json!({"f:a": {}}));
    }
}
