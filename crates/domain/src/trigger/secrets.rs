//! The values of secrets while a trigger is matched, and no longer.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::SecretRef;

/// The values of secrets, resolved just before they are compared. `Debug` shows only how many there are.
#[derive(Clone, Default)]
pub struct ResolvedSecrets {
    values: BTreeMap<SecretRef, Vec<u8>>,
}

impl ResolvedSecrets {
    /// No secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret's value; what cannot be resolved is left out, and then nothing matches it.
    pub fn insert(&mut self, reference: SecretRef, value: impl Into<Vec<u8>>) {
        self.values.insert(reference, value.into());
    }

    /// The value of a secret, unless it could not be resolved or is empty.
    pub(super) fn get(&self, reference: &SecretRef) -> Option<&[u8]> {
        self.values.get(reference).map(Vec::as_slice).filter(|value| !value.is_empty())
    }
}

impl FromIterator<(SecretRef, Vec<u8>)> for ResolvedSecrets {
    fn from_iter<I: IntoIterator<Item = (SecretRef, Vec<u8>)>>(values: I) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

impl fmt::Debug for ResolvedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResolvedSecrets({})", self.values.len())
    }
}

/// Compares without telling by time where or how much two values differ: their digests have one length.
pub(super) fn same(received: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(received).ct_eq(&Sha256::digest(expected)).into()
}

/// Whether a key's name says that its value is a secret: `secret`, `ci_token`, `apiKey`, `db-password`.
pub(crate) fn looks_like_secret(key: &str) -> bool {
    const WORDS: [&str; 13] = [
        "secret",
        "secrets",
        "token",
        "tokens",
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "key",
        "apikey",
        "credential",
        "credentials",
        "authorization",
    ];
    words(key).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The words of `apiKey`, `API_KEY`, `api-key`, in lower case.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in key.chars() {
        let boundary = !c.is_alphanumeric() || (c.is_uppercase() && after_lower);
        if boundary {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_secrets_are_known_by_their_words() {
        for key in
            ["secret", "ci_token", "apiKey", "API_KEY", "db-password", "x.secret", "Authorization", "key"]
        {
            assert!(looks_like_secret(key), "{key}");
        }
        for key in ["branch", "keyboard", "monkey", "tokenizer", "secretary", "", "kEy2"] {
            assert!(!looks_like_secret(key), "{key}");
        }
    }

    #[test]
    fn an_empty_secret_is_no_secret_and_none_is_shown() {
        let mut secrets = ResolvedSecrets::new();
        secrets.insert("env:A".parse().unwrap(), "");
        secrets.insert("env:B".parse().unwrap(), "hunter2");
        assert_eq!(secrets.get(&"env:A".parse().unwrap()), None);
        assert_eq!(secrets.get(&"env:B".parse().unwrap()), Some("hunter2".as_bytes()));
        assert_eq!(format!("{secrets:?}"), "ResolvedSecrets(2)");
    }

    #[test]
    fn values_of_any_length_are_compared() {
        assert!(same(b"hunter2", b"hunter2"));
        assert!(!same(b"hunter", b"hunter2") && !same(b"", b"hunter2"));
    }
}
