//! Keeps secrets that a receiver sends back out of the records (invariant 7).

use serde_json::{Map, Value};

use crate::secrets::SecretValue;

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";
/// A value this short is not searched for in other texts: it would be found everywhere.
const SHORTEST: usize = 4;

/// Takes the secrets of one call out of what comes back. `Debug` shows none of them.
#[derive(Debug, Default)]
pub(crate) struct Redaction {
    secrets: Vec<SecretValue>,
}

impl Redaction {
    /// Takes this secret out too.
    pub(crate) fn add(&mut self, secret: SecretValue) {
        self.secrets.push(secret);
    }

    /// The text without the secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        self.searched().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }

    /// The text without the secrets, and without the beginning of one at its end: the text was cut there.
    pub(crate) fn cut_text(&self, text: &str) -> String {
        // A character that was cut in two has become the replacement character.
        let mut text = self.text(text.trim_end_matches(char::REPLACEMENT_CHARACTER));
        for secret in self.searched() {
            let starts = secret.char_indices().rev().map(|(end, _)| &secret[..end]);
            let found = starts.filter(|start| !start.is_empty()).find(|start| text.ends_with(start));
            if let Some(start) = found {
                text.truncate(text.len() - start.len());
                text.push_str(REDACTED);
            }
        }
        text
    }

    /// The value without the secrets, in keys too, and without what a key says is a secret.
    pub(crate) fn json(&self, value: Value) -> Value {
        pilothouse_domain::trigger::redact(&self.scrub(value), &[])
    }

    fn scrub(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.scrub(item)).collect(),
            Value::Object(fields) => {
                let scrubbed = fields.into_iter().map(|(key, field)| (self.text(&key), self.scrub(field)));
                Value::Object(scrubbed.collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    fn searched(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(SecretValue::expose).filter(|secret| secret.len() >= SHORTEST)
    }
}

/// How deep a value is nested.
pub(crate) fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => None,
    };
    1 + below.unwrap_or(0)
}
