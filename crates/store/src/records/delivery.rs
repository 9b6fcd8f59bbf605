//! Webhook deliveries: `DELIVERY#hook#id`, `META`; listed by hook, and dropped after a while.

use pilothouse_domain::intake::Delivery;

use crate::{IndexKey, Key, Record};

/// Where the delivery with the sender's id `key` stands: a repetition has the same place.
#[must_use]
pub fn key(hook: &str, key: &str) -> Key {
    Key::meta(format!("DELIVERY#{hook}#{key}"))
}

impl Record for Delivery {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "delivery";

    fn key(&self) -> Key {
        key(&self.hook, &self.key)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(of_hook(&self.hook), self.id.as_str()))
    }

    fn expires(&self) -> Option<jiff::Timestamp> {
        Some(self.expires_at)
    }
}

/// The group of a hook's deliveries, in the order of their arrival.
pub(crate) fn of_hook(hook: &str) -> String {
    format!("HOOK#{hook}#DELIVERIES")
}
