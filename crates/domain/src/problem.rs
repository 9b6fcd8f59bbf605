//! What is wrong with something a person wrote, and where: all of it at once, never only the first.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that is wrong, with its place and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The place in the value: `environments[0].stages[1].type`; empty for the whole.
    pub path: String,
    /// The line of the text, from 1, when there is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column of the text, from 1 and in characters, when there is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong: lower case, with what was found.
    pub message: String,
    /// What to do: "did you mean `type`?"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `path` of a value that has no text.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, column: None, message: message.into(), hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with advice, if there is any.
    #[must_use]
    pub fn with_optional_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// The same at a line and column of a text, both from 1.
    #[must_use]
    pub fn at(self, line: u32, column: u32) -> Self {
        Self { line: Some(line), column: Some(column), ..self }
    }
}

/// `line 12: environments[1].stages[0].tpye: unknown key; did you mean `type`?`, so that a file's name can be put before it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with one value, in the order of its text. Shown one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// The candidate that `given` was most likely meant to be, if any is near enough.
#[must_use]
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&given, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters may differ: none in a name of two, where everything is near to everything.
fn tolerance(candidate: &str) -> usize {
    match candidate.chars().count() {
        0..=2 => 0,
        length => (length / 3).min(4),
    }
}

/// The advice "did you mean `x`?" when a candidate is near enough.
#[must_use]
pub fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(given, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// The nearest candidate as [`did_you_mean`] says it, or all that there are.
#[must_use]
pub fn nearest_or_all<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    match (did_you_mean(given, all.iter().copied()), all.as_slice()) {
        (Some(nearest), _) => nearest,
        (None, []) => "there is none".to_owned(),
        (None, known) => format!("known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_name_is_near_all_are_told() {
        assert_eq!(nearest_or_all("prd", ["dev", "prod"]), "did you mean `prod`?");
        assert_eq!(nearest_or_all("nowhere", ["dev", "prod"]), "known: dev, prod");
        assert_eq!(nearest_or_all("x", []), "there is none");
    }

    #[test]
    fn a_problem_reads_like_a_compiler_message() {
        let problem = Problem::new("environments[1].stages[0].tpye", "unknown key")
            .with_optional_hint(did_you_mean("tpye", ["name", "type"]))
            .at(12, 9);
        assert_eq!(
            problem.to_string(),
            "line 12: environments[1].stages[0].tpye: unknown key; did you mean `type`?"
        );
    }

    #[test]
    fn problems_are_shown_one_a_line() {
        let problems = Problems(vec![Problem::new("", "the file is empty"), Problem::new("a", "missing")]);
        assert_eq!(problems.to_string(), "the file is empty\na: missing");
    }

    #[test]
    fn nothing_is_suggested_when_nothing_is_near() {
        assert_eq!(nearest("zzz", ["name", "type"]), None);
        assert_eq!(nearest("d", ["a", "b"]), None);
        assert_eq!(nearest("Type", ["name", "type"]), Some("type"));
    }
}
