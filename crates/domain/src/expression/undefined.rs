//! Errors of evaluation, in words: above all, what is undefined (T30).

use cel::ExecutionError;
use serde_json::Value;

use super::Reference;
use crate::problem::did_you_mean;

/// What an evaluation's error means to the person who wrote the expression.
pub(super) fn explain(error: &ExecutionError, references: &[Reference], scope: &Value) -> String {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::UndeclaredReference(_) => {
            let missing = references.iter().filter(|reference| !reference.tested).find_map(|r| missing(r, scope));
            missing.unwrap_or_else(|| match error {
                ExecutionError::NoSuchKey(key) => format!("the key `{key}` is undefined"),
                other => lower_first(&other.to_string()),
            })
        }
        other => lower_first(&shortened(&other.to_string())),
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
                return Some(hint.map_or_else(|| format!("`{name}` is undefined"), |hint| format!("`{name}` is undefined; {hint}")));
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

/// Messages of the interpreter repeat whole values: keep them short.
fn shortened(message: &str) -> String {
    match message.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
