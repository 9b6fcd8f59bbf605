//! API tokens, by the hash of their secret: `TOKEN#hash`, `META`.

use pilothouse_domain::token::ApiToken;

use crate::{IndexKey, Key, Record};

/// The group of all API tokens, by name.
pub(crate) const ALL: &str = "TOKENS";

/// Where the token whose secret has the hash `hash` stands.
#[must_use]
pub fn key(hash: &str) -> Key {
    Key::meta(format!("TOKEN#{hash}"))
}

impl Record for ApiToken {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "token";

    fn key(&self) -> Key {
        key(&self.hash)
    }

    fn group(&self) -> Option<IndexKey> {
        Some(IndexKey::new(ALL, format!("{}#{}", self.name, self.hash)))
    }
}
