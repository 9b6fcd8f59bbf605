//! `cargo doc`: links that lead nowhere are errors.

use crate::process;

/// Builds the documentation of our crates.
///
/// # Errors
/// rustdoc warns.
pub(crate) fn run() -> anyhow::Result<()> {
    let args = ["doc", "--locked", "--workspace", "--no-deps", "--features", "it/e2e"];
    process::run(process::cargo(args).env("RUSTDOCFLAGS", "-D warnings"))
}
