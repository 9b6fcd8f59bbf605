//! The README's first command, as a user without a terminal would run it.

use anyhow::{bail, ensure};

use crate::process;

/// Runs the demo and looks at what it says last.
///
/// # Errors
/// It fails, or does not end with its summary.
pub(crate) fn run() -> anyhow::Result<()> {
    let args = ["run", "--locked", "--", "demo", "--speed", "20", "--json"];
    let mut lines = 0_usize;
    let mut last = String::new();
    process::watch(&mut process::cargo(args), |line| {
        lines += 1;
        line.clone_into(&mut last);
    })?;
    if !(last.starts_with("{\"summary\":{") && last.contains("\"passed\":true")) {
        bail!("the demo ended with `{last}`, which is not a summary that says it passed");
    }
    ensure!(lines > 10, "the demo printed {lines} lines: where are its events?");
    Ok(())
}
