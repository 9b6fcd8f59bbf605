//! The expressions of a stage against what surrounds it.

use serde_json::Value;

use super::StageScope;
use super::path::Path;
use crate::expression::{Reference, Template};
use crate::problem::{Problem, did_you_mean};

impl StageScope<'_> {
    /// Checks the expressions of one text: that they can be read, and that the parameters, artifacts and stages they
    /// name exist and, for stages, have ended before this one starts. `path` is the text's own, relative to the stage.
    #[must_use]
    pub fn check_text(&self, text: &str, path: &str) -> Vec<Problem> {
        let (references, errors) = Template::inspect(text);
        let unread = errors.into_iter().map(|error| Problem::new(path, error.to_string()));
        unread
            .chain(references.iter().filter_map(|reference| self.check_reference(reference, path)))
            .collect()
    }

    /// Checks the expressions of every text in a value, at paths below `path`.
    #[must_use]
    pub fn check_expressions(&self, value: &Value, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.walk(value, &Path::default().join(path), &mut problems);
        problems
    }

    /// Checks a condition: exactly one `${ … }` (T31).
    #[must_use]
    pub(super) fn check_condition(&self, text: &str) -> Vec<Problem> {
        let single = Template::parse(text).map_or(true, |template| template.is_single());
        if !single {
            let hint = match text.contains("${") {
                true => "write nothing around it".to_owned(),
                false => format!("write `${{ {} }}`", text.trim()),
            };
            return vec![Problem::new("if", "a condition is exactly one `${ … }`").with_hint(hint)];
        }
        self.check_text(text, "if")
    }

    fn walk(&self, value: &Value, path: &Path, problems: &mut Vec<Problem>) {
        match value {
            Value::String(text) if text.contains("${") => {
                problems.extend(self.check_text(text, &path.to_string()));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| self.walk(item, &path.index(index), problems));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(key, field)| self.walk(field, &path.key(key), problems));
            }
            _ => {}
        }
    }

    fn check_reference(&self, reference: &Reference, path: &str) -> Option<Problem> {
        let name = reference.name()?;
        let (what, known) = match reference.root() {
            "params" => ("parameter", self.parameters),
            "artifacts" => ("artifact", self.artifacts),
            "stages" => ("stage", self.upstream),
            _ => return None,
        };
        if known.iter().any(|known| known == name) {
            return None;
        }
        if what == "stage" && self.stages.iter().any(|stage| stage == name) {
            let message = format!("the stage `{name}` has not ended when `{}` starts", self.stage);
            let hint = format!("add `{name}` to its `dependsOn`, directly or through another stage");
            let hint = if name == self.stage { "a stage cannot read itself".to_owned() } else { hint };
            return Some(Problem::new(path, message).with_hint(hint));
        }
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        Some(Problem::new(path, format!("there is no {what} `{name}`")).with_optional_hint(hint))
    }
}
