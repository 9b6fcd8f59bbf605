//! `variables`: names values that later stages read (T34).

use std::collections::BTreeMap;

use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Begun, StageContext, StageEnd, StageType, Stepped, check};

/// The name in `type:`.
pub const NAME: &str = "variables";

/// The most variables of one stage.
const MOST: usize = 100;
/// The longest that all values of one stage may be together, in bytes of JSON: each later stage reads them from its records.
const LONGEST: usize = 32 * 1024;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// What a `variables` stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Names and their values: a text, a number, true or false, a list or a map. Texts in them may have `${ … }`; one that is
    /// nothing else keeps the type of its value. Later stages read `stages["…"].output.NAME`.
    #[schemars(length(min = 1, max = MOST))]
    pub variables: BTreeMap<String, Value>,
}

/// Names values.
#[derive(Debug, Clone, Copy)]
pub struct Variables;

impl StageType for Variables {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Names values that later stages read.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T34"
    }

    fn undone(&self) -> &'static str {
        "Nothing: it changes nothing."
    }

    fn timeout(&self, _: &Value) -> Span {
        Span::from_secs(60)
    }

    fn is_pure(&self) -> bool {
        true
    }

    fn begin<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Begun> {
        Box::pin(async move {
            let Options { variables } = stage.options()?;
            let values = Value::Object(variables.into_iter().collect());
            Ok(Begun::Ended(match too_long(&values) {
                Some(reason) => StageEnd::failed(reason),
                None => StageEnd::succeeded(values),
            }))
        })
    }
}

fn too_long(values: &Value) -> Option<String> {
    let length = values.to_string().len();
    (length > LONGEST).then(|| {
        format!(
            "{length} bytes of values are more than the {LONGEST} that a stage may name; name what is \
             needed of them"
        )
    })
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let Options { variables } = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    for name in variables.keys().filter(|name| !is_name(name)) {
        let path = check::step("variables", name);
        problems.push(
            Problem::new(path, format!("{name:?} cannot be the name of a variable"))
                .with_hint("use letters, digits and `_`, and begin with a letter"),
        );
    }
    let values = Value::Object(variables.into_iter().collect());
    problems.extend(too_long(&values).map(|reason| Problem::new("variables", reason)));
    problems
}

/// Whether `output.NAME` can be written in an expression.
fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn names_and_expressions_are_checked_when_the_pipeline_is_saved() {
        let fine = json!({"variables": {
            "tier": "gold", "replicas": 3, "canary": true, "zones": ["a", "${ params.pause }"], "_x": {"y": null},
            "image": "${ artifacts.web.reference }", "answer": "${ stages[\"Ask\"].output.input }",
        }});
        assert_eq!(problems(&Variables, &fine), "");
        let wrong = json!({"variables": {
            "two words": 1, "a-b": "${ params.replicsa }", "1st": "${ 1 + }", "own": "${ stages[\"This\"].output.tier }",
        }});
        insta::assert_snapshot!(problems(&Variables, &wrong), @r#"
        variables.a-b: the pipeline has no parameter `replicsa`; did you mean `replicas`?
        variables.1st: the expression ends too early: expected expression (at character 8)
        variables.own: stage `This` does not end before this one begins; add `This` to `dependsOn`
        variables.1st: "1st" cannot be the name of a variable; use letters, digits and `_`, and begin with a letter
        variables.a-b: "a-b" cannot be the name of a variable; use letters, digits and `_`, and begin with a letter
        variables["two words"]: "two words" cannot be the name of a variable; use letters, digits and `_`, and begin with a letter
        "#);
        let long = json!({"variables": {"text": "x".repeat(LONGEST)}});
        assert_eq!(
            problems(&Variables, &long),
            "variables: 32779 bytes of values are more than the 32768 that a stage may name; name what is \
             needed of them"
        );
    }
}
