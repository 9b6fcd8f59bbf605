//! Walks a set of fields over two states of an object.

use serde_json::{Map, Value, json};

use crate::owned_fields::{key_fields, selects};

/// One field of a set, with its values in two states.
#[derive(Debug, PartialEq)]
pub(crate) struct Field<'a> {
    /// The keys of the set that lead to it.
    pub(crate) tree_path: Vec<String>,
    /// The path as people write it: `.spec.containers[name=web].image`.
    pub(crate) path: String,
    /// The value in the first state.
    pub(crate) want: Option<&'a Value>,
    /// The value in the second state.
    pub(crate) got: Option<&'a Value>,
}

/// The fields that a set names, each with its value in both states. An item of a list that only one of them has is one
/// field.
pub(crate) fn leaves<'a>(set: &Value, want: &'a Value, got: &'a Value) -> Vec<Field<'a>> {
    let mut found = Vec::new();
    let start = Field { tree_path: Vec::new(), path: String::new(), want: Some(want), got: Some(got) };
    if let Some(tree) = set.as_object().filter(|tree| !tree.is_empty()) {
        walk(tree, &start, &mut found);
    }
    found
}

fn walk<'a>(tree: &Map<String, Value>, at: &Field<'a>, found: &mut Vec<Field<'a>>) {
    for (key, below) in tree {
        // The item itself: seen to by its parent, which compares whether it is there.
        if key == "." {
            continue;
        }
        let field = Field {
            tree_path: at.tree_path.iter().cloned().chain([key.clone()]).collect(),
            path: format!("{}{}", at.path, segment(key)),
            want: at.want.and_then(|value| child(value, key)),
            got: at.got.and_then(|value| child(value, key)),
        };
        let same_presence = field.want.is_some() == field.got.is_some();
        match below.as_object().filter(|below| !below.is_empty()) {
            None => found.push(field),
            // An item that only one state has is told as one.
            Some(_) if !same_presence && !key.starts_with("f:") => found.push(field),
            // The map itself is named and nothing in it: its content is others'.
            Some(below) if below.keys().all(|key| key == ".") => {
                if !same_presence {
                    found.push(field);
                }
            }
            Some(below) => walk(below, &field, found),
        }
    }
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    if let Some(name) = key.strip_prefix("f:") {
        return value.get(name).filter(|value| !value.is_null());
    }
    value
        .as_array()?
        .iter()
        .enumerate()
        .find(|(index, item)| selects(key, *index, item))
        .map(|(_, item)| item)
}

/// `f:image` as `.image`, `k:{"name":"web"}` as `[name=web]`, `v:"x"` as `["x"]`.
fn segment(key: &str) -> String {
    if let Some(name) = key.strip_prefix("f:") {
        return match name.contains(['.', '/']) {
            true => format!("[{name:?}]"),
            false => format!(".{name}"),
        };
    }
    if let Some(fields) = key_fields(key) {
        let parts: Vec<String> = fields
            .iter()
            .map(|(name, value)| {
                format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        return format!("[{}]", parts.join(","));
    }
    format!("[{}]", key.split_once(':').map_or(key, |(_, value)| value))
}

/// Whether a set names the field at that path, or anything below it.
pub(crate) fn names(set: &Value, path: &[String]) -> bool {
    path.iter().try_fold(set, |at, key| at.get(key)).is_some()
}

/// The part of a set at that path.
pub(crate) fn subset(set: &Value, path: &[String]) -> Value {
    let end = path.iter().try_fold(set, |at, key| at.get(key)).cloned();
    path.iter().rev().fold(end.unwrap_or_else(|| json!({})), |below, key| json!({ key.as_str(): below }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = r#"k:{"name":"web"}"#;

    #[test]
    fn fields_are_found_by_key_whatever_their_place() {
        let set = json!({"f:spec": {"f:containers": {WEB: {".": {}, "f:image": {}}}}});
        let want = json!({"spec": {"containers": [{"name": "web", "image": "web:1"}]}});
        let got = json!({"spec": {"containers": [{"name": "proxy"}, {"name": "web", "image": "web:2"}]}});
        let found = leaves(&set, &want, &got);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, ".spec.containers[name=web].image");
        assert_eq!((found[0].want, found[0].got), (Some(&json!("web:1")), Some(&json!("web:2"))));
    }

    #[test]
    fn what_others_have_in_a_map_is_not_looked_at() {
        let set = json!({"f:metadata": {"f:annotations": {"f:a.example/b": {}}}});
        let want = json!({"metadata": {}});
        let got = json!({"metadata": {"annotations": {"theirs": "1"}}});
        let found = leaves(&set, &want, &got);
        assert_eq!(found[0].path, r#".metadata.annotations["a.example/b"]"#);
        assert_eq!((found[0].want, found[0].got), (None, None));
    }

    #[test]
    fn an_item_that_only_one_has_is_one_field() {
        let set = json!({"f:containers": {WEB: {".": {}, "f:name": {}, "f:image": {}}}});
        let want = json!({"containers": [{"name": "web", "image": "web:1"}]});
        let got = json!({"containers": []});
        let found = leaves(&set, &want, &got);
        assert_eq!(found.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), [".containers[name=web]"]);
        assert_eq!(subset(&set, &found[0].tree_path), set);
    }

    #[test]
    fn a_path_is_named_by_itself_or_by_what_is_below_it() {
        let set = json!({"f:spec": {"f:selector": {}, "f:template": {"f:x": {}}}});
        let path = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
        assert!(names(&set, &path(&["f:spec", "f:template"])));
        assert!(!names(&set, &path(&["f:spec", "f:selector", "f:app"])));
        assert!(names(&set, &path(&["f:spec", "f:template", "f:x"])));
        assert!(!names(&set, &path(&["f:spec", "f:template", "f:y"])));
        assert!(!names(&set, &path(&["f:data"])));
        assert_eq!(subset(&set, &path(&["f:spec", "f:selector"])), json!({"f:spec": {"f:selector": {}}}));
    }
}
