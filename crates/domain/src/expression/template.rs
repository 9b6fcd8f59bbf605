//! A text with expressions in it, parsed once.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use serde_json::Value;

use super::split::{Piece, split};
use super::{ExpressionError, Reference, convert, language, undefined};

/// The most expressions in one text.
const MOST_EXPRESSIONS: usize = 100;
/// The longest text that expressions may make, in bytes.
const LONGEST_RESULT: usize = 256 * 1024;

/// A text with `${ … }` in it, parsed and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Arc<[Part]>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Expression(Expression),
}

#[derive(Debug)]
struct Expression {
    tree: IdedExpr,
    references: Vec<Reference>,
    /// Where it begins in the text, in characters.
    offset: usize,
}

impl Template {
    /// Parses a text. `$${` is a literal `${`.
    ///
    /// # Errors
    /// The first expression that cannot be read: bad syntax, a name that starts with none of [`super::ROOTS`], an unknown
    /// function, or one of the bounds on its cost.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Self::parse_with(text, &[])
    }

    /// Parses a text whose expressions may also start from the names in `more`, which its scope must then have.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_with(text: &str, more: &[&str]) -> Result<Self, ExpressionError> {
        let mut parts = Vec::new();
        for part in read_parts(text, more)? {
            parts.push(part?);
        }
        Ok(Self { parts: parts.into() })
    }

    /// Everything that the expressions of a text read, and every one that cannot be read.
    #[must_use]
    pub fn inspect(text: &str) -> (Vec<Reference>, Vec<ExpressionError>) {
        let (mut references, mut errors) = (Vec::new(), Vec::new());
        match read_parts(text, &[]) {
            Err(error) => errors.push(error),
            Ok(parts) => parts.into_iter().for_each(|part| match part {
                Ok(Part::Literal(_)) => {}
                Ok(Part::Expression(expression)) => references.extend(expression.references),
                Err(error) => errors.push(error),
            }),
        }
        (references, errors)
    }

    /// Whether the text is exactly one `${ … }`, so that its value keeps its type.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(*self.parts, [Part::Expression(_)])
    }

    /// Whether the text has any expression.
    #[must_use]
    pub fn has_expressions(&self) -> bool {
        self.expressions().next().is_some()
    }

    /// Everything that the expressions read.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.expressions().flat_map(|expression| &expression.references)
    }

    /// The roots (`params`, `stages`, …) that the expressions read.
    #[must_use]
    pub fn roots(&self) -> BTreeSet<String> {
        self.references().map(|reference| reference.root().to_owned()).collect()
    }

    /// The value of the text in `scope`, an object with the roots as keys. A text that is exactly one `${ … }` keeps the
    /// value's type; otherwise the result is text, with lists and maps as JSON.
    ///
    /// # Errors
    /// An expression has no value; the message names what is undefined (T30). A null within other text is an error too.
    pub fn evaluate(&self, scope: &Value) -> Result<Value, ExpressionError> {
        if let [Part::Expression(expression)] = &*self.parts {
            return expression.evaluate(scope);
        }
        let mut text = String::new();
        for part in &*self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expression(expression) => match expression.evaluate(scope)? {
                    Value::Null => return Err(expression.error("the expression is null, which has no text")),
                    Value::String(value) => text.push_str(&value),
                    other => text.push_str(&other.to_string()),
                },
            }
            if text.len() > LONGEST_RESULT {
                return Err(ExpressionError {
                    offset: 0,
                    message: format!("the text is longer than {LONGEST_RESULT} bytes"),
                });
            }
        }
        Ok(Value::String(text))
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Expression(expression) => Some(expression),
        })
    }
}

/// The parts of a text, each read or refused by itself.
fn read_parts(text: &str, more: &[&str]) -> Result<Vec<Result<Part, ExpressionError>>, ExpressionError> {
    let pieces = split(text)?;
    let count = pieces.iter().filter(|piece| matches!(piece, Piece::Expression { .. })).count();
    if count > MOST_EXPRESSIONS {
        return Err(ExpressionError::new(
            text,
            0,
            format!("more than {MOST_EXPRESSIONS} expressions in one text"),
        ));
    }
    let parts = pieces.into_iter().map(|piece| match piece {
        Piece::Literal(literal) => Ok(Part::Literal(literal)),
        Piece::Expression { source, start } => {
            Expression::read(text, source, start, more).map(Part::Expression)
        }
    });
    Ok(parts.collect())
}

impl Expression {
    fn read(text: &str, source: &str, start: usize, more: &[&str]) -> Result<Self, ExpressionError> {
        let (tree, walk) = language::read(source, more)
            .map_err(|refused| ExpressionError::new(text, start + refused.byte, refused.message))?;
        let offset = text[..start].chars().count();
        Ok(Self { tree, references: walk.references, offset })
    }

    fn evaluate(&self, scope: &Value) -> Result<Value, ExpressionError> {
        let roots: BTreeSet<&str> = self.references.iter().map(Reference::root).collect();
        let roots: Vec<&str> = roots.into_iter().collect();
        let value = language::run(&self.tree, &roots, scope)
            .map_err(|error| self.error(undefined::explain(&error, &self.references, scope)))?;
        convert::from_cel(&value).map_err(|message| self.error(message))
    }

    fn error(&self, message: impl Into<String>) -> ExpressionError {
        ExpressionError { offset: self.offset, message: message.into() }
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
