//! The budgets of the design, measured.

use crate::process;

/// Measures in release mode.
///
/// # Errors
/// A measurement cannot be made.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let base = ["bench", "--locked", "--package", "it", "--bench", "embedded", "--"];
    process::run(process::cargo(base).args(args))
}
