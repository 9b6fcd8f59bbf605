//! Places in a value, as problems name them: `environments[0].stages[1].type`, `constraints["commits[*].author"]`.

use std::fmt;

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into an object.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// The steps from the root to a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The place `relative` below this one, written as a problem's path. What cannot be read is one key.
    pub(crate) fn join(&self, relative: &str) -> Self {
        let steps = parse(relative).unwrap_or_else(|| vec![Step::Key(relative.to_owned())]);
        Self(self.0.iter().cloned().chain(steps).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => f.write_str(&key_step(key, position == 0))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as a step of a path: `.name`, without the dot at the start, or `["a.b"]` when it is no plain word.
pub(crate) fn key_step(key: &str, first: bool) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, first) {
        (true, true) => key.to_owned(),
        (true, false) => format!(".{key}"),
        (false, _) => format!("[{key:?}]"),
    }
}

/// Reads what [`Path`] writes.
fn parse(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (step, after) = bracketed(bracket)?;
            steps.push(step);
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Some(steps)
}

/// What follows a `[`: an index, or a quoted key.
fn bracketed(text: &str) -> Option<(Step, &str)> {
    if !text.starts_with('"') {
        let (index, after) = text.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), after));
    }
    let mut quoted = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let key = quoted.next()?.ok()?;
    let after = text[quoted.byte_offset()..].strip_prefix(']')?;
    Some((Step::Key(key), after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_written_as_people_write_it() {
        let path = Path::default().key("triggers").index(1).key("constraints").key("commits[*].author");
        assert_eq!(path.to_string(), "triggers[1].constraints[\"commits[*].author\"]");
        assert_eq!(Path::default().join(&path.to_string()), path);
    }

    #[test]
    fn what_is_no_path_is_one_key() {
        assert_eq!(Path::default().join("a[x]"), Path::default().key("a[x]"));
    }

    proptest! {
        #[test]
        fn joining_never_panics(text in "\\PC{0,40}") {
            let _ = Path::default().join(&text).to_string();
        }

        #[test]
        fn a_written_path_reads_back(keys in prop::collection::vec("[a-z\\[\\]\". é]{1,8}", 0..4), index in 0usize..9) {
            let path = keys.iter().fold(Path::default(), |path, key| path.key(key)).index(index);
            prop_assert_eq!(Path::default().join(&path.to_string()), path);
        }
    }
}
