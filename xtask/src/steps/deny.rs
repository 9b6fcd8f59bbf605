//! `cargo deny`: what we depend on.

use crate::{process, tools};

/// Checks bans, licences and sources. Advisories need a database from the internet: see deny.toml.
///
/// # Errors
/// A rule of deny.toml is broken, or cargo-deny can be had from nowhere.
pub(crate) fn run() -> anyhow::Result<()> {
    let deny = tools::cargo_deny()?;
    let mut command = process::command(deny.as_os_str());
    process::run(command.args(["--locked", "check", "--show-stats", "bans", "licenses", "sources"]))
}
