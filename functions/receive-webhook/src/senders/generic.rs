//! `curl` and anything that posts JSON (T58): the body is the signal, and the triggers say what is in it.

use axum::http::HeaderMap;
use pilothouse_domain::trigger::Signal;
use serde_json::Value;

use super::{Normalised, Receiver};

pub(super) struct Generic;

impl Receiver for Generic {
    fn normalise<'a>(&self, headers: &HeaderMap, body: &'a Value) -> Normalised<'a> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = header("idempotency-key").or_else(|| header("webhook-id")).map(str::trim);
        Normalised {
            key: key.filter(|key| !key.is_empty()).map(str::to_owned),
            signals: vec![Signal::Payload(body)],
            ignored: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_senders_id_is_the_idempotency_key_else_the_webhook_id() {
        let key = |pairs: &[(&'static str, &'static str)]| {
            let headers =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            Generic.normalise(&headers, &Value::Null).key
        };
        assert_eq!(key(&[]), None);
        assert_eq!(key(&[("webhook-id", "msg_1")]).as_deref(), Some("msg_1"));
        assert_eq!(key(&[("webhook-id", "msg_1"), ("idempotency-key", " a ")]).as_deref(), Some("a"));
        assert_eq!(key(&[("idempotency-key", " ")]), None);
    }
}
