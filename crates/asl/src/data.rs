//! A JSON value together with its text: the text is what histories show and what the size limit counts.

use std::sync::Arc;

use serde_json::Value;

/// What may pass between states: 256 KiB of UTF-8.
pub(crate) const MAX_PAYLOAD: usize = 256 * 1024;

/// A value that is shared, never changed.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    value: Arc<Value>,
    text: Arc<str>,
}

impl Data {
    pub(crate) fn new(value: Value) -> Self {
        let text = value.to_string().into();
        Self { value: Arc::new(value), text }
    }

    pub(crate) fn shared(value: Arc<Value>) -> Self {
        let text = value.to_string().into();
        Self { value, text }
    }

    /// Keeps the text as it was written.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let value = serde_json::from_str(text)?;
        Ok(Self { value: Arc::new(value), text: text.into() })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn share(&self) -> Arc<Value> {
        Arc::clone(&self.value)
    }

    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.text.len() > MAX_PAYLOAD
    }
}
