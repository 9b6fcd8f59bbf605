//! The installation's settings: `INSTALLATION`, `SETTINGS`.

use pilothouse_domain::settings::Settings;

use crate::{Key, Record};

/// Where the settings stand.
#[must_use]
pub fn key() -> Key {
    Key::new("INSTALLATION", "SETTINGS")
}

impl Record for Settings {
    const SCHEMA: u32 = 1;
    const KIND: &'static str = "settings";

    fn key(&self) -> Key {
        key()
    }
}
