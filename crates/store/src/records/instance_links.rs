//! The links of an application's instances: `APP#a`, `LINKS` (T14).

use pilothouse_domain::instance_links::SavedLinks;

use crate::{Key, Record, Store, StoreError, Versioned};

fn key(application: &str) -> Key {
    Key::new(format!("APP#{application}"), "LINKS")
}

impl Record for SavedLinks {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "instanceLinks";

    fn key(&self) -> Key {
        key(&self.application)
    }
}

impl Store {
    /// The links of an application's instances; `None` when it has none.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn instance_links(
        &self,
        application: &str,
    ) -> Result<Option<Versioned<SavedLinks>>, StoreError> {
        self.get(&key(application)).await
    }
}
