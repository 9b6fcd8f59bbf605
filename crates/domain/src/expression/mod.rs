//! Expressions: text with `${ … }` in it, CEL inside.

use serde_json::Value;

use crate::problem::Problem;

/// An expression that cannot be read or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {})", offset + 1)]
pub struct ExpressionError {
    /// Where in the text, in characters from 0.
    pub offset: usize,
    /// What is wrong, with the name that is undefined if that is the reason (T30).
    pub message: String,
}

/// A text with expressions in it, parsed.
#[derive(Debug, Clone)]
pub struct Template {}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// The first expression that cannot be read.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let _ = text;
        unimplemented!("being written")
    }

    /// The roots (`params`, `stages`, …) that the expressions read.
    #[must_use]
    pub fn roots(&self) -> std::collections::BTreeSet<String> {
        unimplemented!("being written")
    }

    /// The value of the text in `scope`, an object with the roots as keys.
    ///
    /// # Errors
    /// An expression has no value; the message names what is undefined (T30).
    pub fn evaluate(&self, scope: &Value) -> Result<Value, ExpressionError> {
        let _ = scope;
        unimplemented!("being written")
    }
}

/// Replaces the expressions in every string of a JSON value (keys are left alone).
///
/// # Errors
/// Every string that cannot be read or has no value, with its path in `value`.
pub fn evaluate_all(value: &Value, scope: &Value) -> Result<Value, Vec<Problem>> {
    let _ = (value, scope);
    unimplemented!("being written")
}
