//! Errors of evaluation, in words: above all, what is undefined (T30).

use cel::ExecutionError;
use serde_json::Value;

use super::Reference;
use crate::problem::did_you_mean;

/// What an evaluation's error means to the person who wrote the expression.
pub(super) fn explain(error: &ExecutionError, references: &[Reference], scope: &Value) -> String {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::UndeclaredReference(_) => {
            let missing =
                references.iter().filter(|reference| !reference.tested).find_map(|r| missing(r, scope));
            missing.unwrap_or_else(|| match error {
                ExecutionError::NoSuchKey(key) => format!("the key `{key}` is undefined"),
                other => lower_first(&other.to_string()),
            })
        }
        other => in_words(other),
    }
}

/// The other errors. None of them repeats a value: it may be long, and it may be nobody else's business.
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::UnsupportedBinaryOperator(operator, left, right)
        | ExecutionError::Overflow(operator, left, right) => {
            let (left, right) = (left.type_of(), right.type_of());
            format!(
                "the operator `{operator}` has no result for {left} and {right}; convert with `int(…)` or `string(…)`"
            )
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedIndex(index, target) => {
            format!("{} cannot be an index of {}", index.type_of(), target.type_of())
        }
        ExecutionError::UnsupportedKeyType(key) => format!("{} cannot be a key", key.type_of()),
        ExecutionError::UnsupportedTargetType { target } => {
            format!("the function does not take {}", target.type_of())
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("`{method}` cannot be called on {}", target.type_of())
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "the index is out of bounds".to_owned(),
        ExecutionError::DuplicateKey(_) => "a map repeats a key".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("the function `{function}` failed"),
        ExecutionError::NoSuchOverload(overload) => lower_first(&overload.to_string()),
        ExecutionError::UnexpectedType { got, want } => format!("expected {want}, found {got}"),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("the function takes {expected} arguments, not {actual}")
        }
        _ => "the expression has no value".to_owned(),
    }
}

/// Names the first step of a reference that the scope does not have.
fn missing(reference: &Reference, scope: &Value) -> Option<String> {
    let mut value = scope;
    for (index, step) in reference.path.iter().enumerate() {
        let Value::Object(fields) = value else { return None };
        match fields.get(step) {
            Some(next) => value = next,
            None => {
                let name = show(&reference.path[..=index]);
                let hint = did_you_mean(step, fields.keys().map(String::as_str));
                return Some(hint.map_or_else(
                    || format!("`{name}` is undefined"),
                    |hint| format!("`{name}` is undefined; {hint}"),
                ));
            }
        }
    }
    None
}

/// A path as it is written in an expression: `stages["Smoke test"].output`.
fn show(path: &[String]) -> String {
    let is_name = |step: &str| {
        step.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && step.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut text = String::new();
    for step in path {
        if !is_name(step) {
            text.push_str(&format!("[{step:?}]"));
        } else if text.is_empty() {
            text.push_str(step);
        } else {
            text.push_str(&format!(".{step}"));
        }
    }
    text
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
