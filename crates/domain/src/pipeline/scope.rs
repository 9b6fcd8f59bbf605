//! The expressions of a stage against what surrounds it.

use serde_json::Value;

use super::path::Path;
use super::{GivenApproval, StageScope};
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

    /// What is wrong with something that an expression reads, if anything.
    #[must_use]
    pub fn check_reference(&self, reference: &Reference, path: &str) -> Option<Problem> {
        let name = reference.name()?;
        if reference.root() == "approvals" {
            return self.check_approval(&reference.path, path);
        }
        let (what, known) = match reference.root() {
            "params" => ("parameter", self.parameters),
            "artifacts" => ("artifact", self.artifacts),
            "stages" => ("stage", self.upstream),
            _ => return None,
        };
        if known.iter().any(|known| known == name) {
            return None;
        }
        let is_stage = |name: &str| self.stages.iter().any(|stage| stage == name);
        if what == "stage" && is_stage(name) && !is_stage(self.stage) {
            let message = format!("the stage `{name}` has not ended when {} is asked for", self.stage);
            let hint = "read it in the approval `after` the deployment";
            return Some(Problem::new(path, message).with_hint(hint));
        }
        if what == "stage" && is_stage(name) {
            let message = format!("the stage `{name}` has not ended when `{}` starts", self.stage);
            let hint = format!("add `{name}` to its `dependsOn`, directly or through another stage");
            let hint = if name == self.stage { "a stage cannot read itself".to_owned() } else { hint };
            return Some(Problem::new(path, message).with_hint(hint));
        }
        if let Some(problem) = self.runs_in_clusters(name, path).filter(|_| what == "stage") {
            return Some(problem);
        }
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        Some(Problem::new(path, format!("there is no {what} `{name}`")).with_optional_hint(hint))
    }

    /// What to read instead of a stage that runs once in each of several clusters (X9); nothing when it is no such stage.
    #[must_use]
    pub fn runs_in_clusters(&self, name: &str, path: &str) -> Option<Problem> {
        let in_one = |stage: &&String| {
            let rest = stage.strip_prefix(name).and_then(|rest| rest.strip_prefix(" ("));
            rest.is_some_and(|rest| rest.ends_with(')'))
        };
        let first = self.stages.iter().find(in_one)?;
        let message = format!("the stage `{name}` runs once in each of its clusters");
        Some(Problem::new(path, message).with_hint(format!("read one of them: `stages[\"{first}\"]`")))
    }

    /// `approvals.before.input`: the approval must have been asked for, and the answer too.
    fn check_approval(&self, read: &[String], path: &str) -> Option<Problem> {
        const FACTS: [&str; 3] = ["by", "comment", "input"];
        let name = read.get(1).map_or("", String::as_str);
        if name != "before" {
            let message = format!("no approval `{name}` was given when this is evaluated");
            return Some(Problem::new(path, message).with_hint("read `approvals.before`"));
        }
        if self.approval == GivenApproval::None {
            let message = "the environment asks for no approval before deployment".to_owned();
            return Some(Problem::new(path, message).with_hint("add `approvals.before` to it"));
        }
        match read.get(2).map(String::as_str) {
            Some("input") if self.approval == GivenApproval::WithoutAnswer => {
                let message = "the approval before deployment has no answers to choose from".to_owned();
                Some(Problem::new(path, message).with_hint("add `inputs` to `approvals.before`"))
            }
            Some(fact) if !FACTS.contains(&fact) => {
                let message = format!("an approval has no `{fact}`");
                let hint =
                    did_you_mean(fact, FACTS).unwrap_or_else(|| format!("it has {}", FACTS.join(", ")));
                Some(Problem::new(path, message).with_hint(hint))
            }
            _ => None,
        }
    }
}
