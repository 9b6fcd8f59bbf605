//! Places in a webhook's body: a top-level key, else a path `a.b`, `a[0]`, `a[*]`, `a["b.c"]`.

use serde_json::Value;

/// The longest path, in bytes, and the most steps in it.
const LONGEST: usize = 512;
const MOST_STEPS: usize = 32;
/// The most values that `[*]` may yield.
const MOST_VALUES: usize = 10_000;

/// A path into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadPath {
    /// The whole text, tried first as a top-level key.
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Any,
}

impl PayloadPath {
    /// Reads a path; a leading `$.` is allowed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(format!("a path has 1 to {LONGEST} bytes"));
        }
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix("$.").unwrap_or(text);
        let mut first = true;
        while !rest.is_empty() {
            let (step, after) = next(rest, first).ok_or_else(|| {
                format!("`{text}` is not a path; write `a.b`, `a[0]`, `a[*]` or `a[\"b.c\"]`")
            })?;
            steps.push(step);
            if steps.len() > MOST_STEPS {
                return Err(format!("the path has more than {MOST_STEPS} steps"));
            }
            rest = after;
            first = false;
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The first value at the path.
    #[must_use]
    pub fn first<'v>(&self, body: &'v Value) -> Option<&'v Value> {
        self.find(body).into_iter().next()
    }

    /// Every value at the path: more than one only where it has a `[*]`. A null is no value.
    pub(super) fn find<'v>(&self, body: &'v Value) -> Vec<&'v Value> {
        if let Some(value) = body.as_object().and_then(|fields| fields.get(&self.text)) {
            return if value.is_null() { Vec::new() } else { vec![value] };
        }
        let mut found = vec![body];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.of(value)).take(MOST_VALUES).collect();
        }
        found.retain(|value| !value.is_null());
        found
    }

    /// Replaces every value at the path, and the top-level key of that name.
    pub(super) fn replace(&self, body: &mut Value, with: &mut dyn FnMut(&mut Value)) {
        if let Some(value) = body.as_object_mut().and_then(|fields| fields.get_mut(&self.text)) {
            with(value);
        }
        replace(body, &self.steps, with);
    }

    /// The last key of the path: what the value is called.
    pub(crate) fn last_key(&self) -> &str {
        let key =
            self.steps.iter().rev().find_map(|step| if let Step::Key(key) = step { Some(key) } else { None });
        key.unwrap_or(&self.text)
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Key(key), Value::Object(fields)) => fields.get(key).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => items.get(*index).into_iter().collect(),
            (Self::Any, Value::Array(items)) => items.iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn replace(value: &mut Value, steps: &[Step], with: &mut dyn FnMut(&mut Value)) {
    let Some((step, rest)) = steps.split_first() else {
        with(value);
        return;
    };
    match (step, value) {
        (Step::Key(key), Value::Object(fields)) => {
            if let Some(field) = fields.get_mut(key) {
                replace(field, rest, with);
            }
        }
        (Step::Index(index), Value::Array(items)) => {
            if let Some(item) = items.get_mut(*index) {
                replace(item, rest, with);
            }
        }
        (Step::Any, Value::Array(items)) => items.iter_mut().for_each(|item| replace(item, rest, with)),
        _ => {}
    }
}

/// The next step and what follows it.
fn next(text: &str, first: bool) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        if let Some(after) = rest.strip_prefix("*]") {
            return Some((Step::Any, after));
        }
        if rest.starts_with('"') {
            let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let key = quoted.next()?.ok()?;
            return Some((Step::Key(key), rest[quoted.byte_offset()..].strip_prefix(']')?));
        }
        let (digits, after) = rest.split_once(']')?;
        let index = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        return Some((Step::Index(index), after));
    }
    let text = if first { text } else { text.strip_prefix('.')? };
    let end = text.find(['.', '[', ']', '"']).unwrap_or(text.len());
    if end == 0 || text[end..].starts_with([']', '"']) {
        return None;
    }
    Some((Step::Key(text[..end].to_owned()), &text[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn find(path: &str) -> Value {
        let body = json!({
            "a": {"b": 1, "x.y": 2, "none": null},
            "a.b": 3,
            "list": [{"n": "x"}, {"n": "y"}, 5],
            "nested": [[1, 2], [3]],
        });
        PayloadPath::parse(path).unwrap().find(&body).into_iter().cloned().collect()
    }

    #[rstest]
    #[case("a.b", json!([3]))]
    #[case("$.a.b", json!([1]))]
    #[case("a[\"b\"]", json!([1]))]
    #[case("a[\"x.y\"]", json!([2]))]
    #[case("a.none", json!([]))]
    #[case("a.missing.more", json!([]))]
    #[case("list[0].n", json!(["x"]))]
    #[case("list[*].n", json!(["x", "y"]))]
    #[case("list[9]", json!([]))]
    #[case("nested[*][*]", json!([1, 2, 3]))]
    fn a_path_finds_values(#[case] path: &str, #[case] expected: Value) {
        assert_eq!(find(path), expected);
    }

    #[rstest]
    #[case("")]
    #[case("a..b")]
    #[case(".a")]
    #[case("a.")]
    #[case("a[")]
    #[case("a[]")]
    #[case("a[-1]")]
    #[case("a[x]")]
    #[case("a]b")]
    #[case("a[0]b")]
    #[case("a[\"b]")]
    fn what_is_no_path_is_refused(#[case] path: &str) {
        assert!(PayloadPath::parse(path).is_err(), "{path}");
    }

    proptest! {
        #[test]
        fn reading_a_path_never_panics(text in "[a.\\[\\]\"*0-9$é\\\\ ]{0,30}", body in "[a.]{0,3}") {
            if let Ok(path) = PayloadPath::parse(&text) {
                let mut value = json!({body: [1, {"a": 2}]});
                let found = path.find(&value).len();
                let mut replaced = 0;
                path.replace(&mut value, &mut |_| replaced += 1);
                prop_assert!(replaced >= found);
            }
        }
    }
}
