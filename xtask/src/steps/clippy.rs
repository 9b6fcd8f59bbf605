//! `cargo clippy`: the lints of Cargo.toml and clippy.toml, none of which may fire.

use crate::process;

/// Lints everything, the end-to-end tests as well.
///
/// # Errors
/// A lint fires.
pub(crate) fn run() -> anyhow::Result<()> {
    let args = ["clippy", "--locked", "--workspace", "--all-targets", "--features", "it/e2e"];
    process::run(process::cargo(args).args(["--", "-D", "warnings"]))
}
