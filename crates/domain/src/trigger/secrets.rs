//! The values of secrets while a trigger is matched, and no longer.

use std::collections::BTreeMap;
use std::fmt;

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

    /// Adds a secret's value; what cannot be resolved is left out.
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
