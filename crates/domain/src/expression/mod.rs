//! Expressions: text with `${ … }` in it, and CEL inside (T30, T31).
//!
//! A text is parsed once, when a pipeline is saved, and evaluated when a stage begins. What an expression may cost is
//! bounded when it is parsed: its length, its nesting, and loops within loops.

mod convert;
mod language;
mod references;
mod split;
mod template;
mod undefined;

use serde_json::Value;

pub use references::Reference;
pub use template::Template;

use crate::problem::Problem;

/// The names that an expression may start from.
pub const ROOTS: [&str; 8] =
    ["params", "artifacts", "trigger", "release", "environment", "stages", "approvals", "rollback"];

/// An expression that cannot be read or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {})", offset + 1)]
pub struct ExpressionError {
    /// Where in the text, in characters from 0.
    pub offset: usize,
    /// What is wrong, with the name that is undefined if that is the reason (T30).
    pub message: String,
}

impl ExpressionError {
    /// An error at a byte of `text`.
    fn new(text: &str, byte: usize, message: impl Into<String>) -> Self {
        Self { offset: text.char_indices().take_while(|(at, _)| *at < byte).count(), message: message.into() }
    }

    /// Always false: the same text in the same scope fails again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}

/// The value of a condition, which must be true or false (T31).
///
/// # Errors
/// The text cannot be read, has no value, or its value is neither true nor false.
pub fn evaluate_condition(text: &str, scope: &Value) -> Result<bool, ExpressionError> {
    match Template::parse(text)?.evaluate(scope)? {
        Value::Bool(flag) => Ok(flag),
        _ => {
            Err(ExpressionError::new(text, 0, "a condition must be true or false: compare with `==` or `!=`"))
        }
    }
}

/// Replaces the expressions in every string of a JSON value; keys are left alone.
///
/// # Errors
/// Every string that cannot be read or has no value, with its path in `value` (T30).
pub fn evaluate_all(value: &Value, scope: &Value) -> Result<Value, Vec<Problem>> {
    let mut problems = Vec::new();
    let result = replace(value, scope, &mut String::new(), &mut problems);
    if problems.is_empty() { Ok(result) } else { Err(problems) }
}

fn replace(value: &Value, scope: &Value, path: &mut String, problems: &mut Vec<Problem>) -> Value {
    match value {
        Value::String(text) if text.contains("${") => {
            match Template::parse(text).and_then(|template| template.evaluate(scope)) {
                Ok(value) => value,
                Err(error) => {
                    problems.push(Problem::new(path.clone(), error.to_string()));
                    Value::Null
                }
            }
        }
        Value::Array(items) => {
            let replaced = items.iter().enumerate();
            replaced
                .map(|(i, item)| within(path, &format!("[{i}]"), |path| replace(item, scope, path, problems)))
                .collect()
        }
        Value::Object(fields) => {
            let replaced = fields.iter().map(|(key, item)| {
                let step = crate::pipeline::key_step(key, path.is_empty());
                (key.clone(), within(path, &step, |path| replace(item, scope, path, problems)))
            });
            Value::Object(replaced.collect())
        }
        other => other.clone(),
    }
}

/// Runs `action` with `path` one step longer.
fn within<T>(path: &mut String, step: &str, action: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(step);
    let result = action(path);
    path.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_string_of_a_value_is_replaced_and_keys_are_not() {
        let value = json!({"${ params.a }": ["${ params.n }", "n is ${ params.n }", 3, null]});
        let scope = json!({"params": {"n": 2}});
        assert_eq!(evaluate_all(&value, &scope).unwrap(), json!({"${ params.a }": [2, "n is 2", 3, null]}));
    }

    #[test]
    fn a_condition_is_true_or_false() {
        let scope = json!({"params": {"replicas": "0", "flag": "true"}});
        assert_eq!(evaluate_condition("${ params.replicas != \"0\" }", &scope), Ok(false));
        for text in ["${ params.flag }", "true", "${ params.none == 1 }", "${"] {
            assert!(evaluate_condition(text, &scope).is_err(), "{text}");
        }
    }

    #[test]
    fn every_string_without_a_value_is_named() {
        let value = json!({"url": "${ params.hots }", "headers": {"x.y": "${ 1 + }"}});
        let problems = evaluate_all(&value, &json!({"params": {"host": "a"}})).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        url: `params.hots` is undefined; did you mean `host`? (at character 3)
        headers["x.y"]: the expression ends too early: expected expression (at character 8)
        "#);
    }
}
