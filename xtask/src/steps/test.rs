//! `cargo test --workspace`: all tests that need nothing but Rust.

use crate::process;
use crate::tally::Tally;

/// Runs them, exactly as the README says.
///
/// # Errors
/// One fails, or does not compile.
pub(crate) fn run(tally: &mut Tally) -> anyhow::Result<()> {
    process::watch(&mut process::cargo(["test", "--workspace"]), |line| tally.see(line))
}
