//! `cargo fmt`.

use crate::process;

/// Checks the format of every source, or puts it right.
///
/// # Errors
/// A file is not as rustfmt would write it.
pub(crate) fn run(fix: bool) -> anyhow::Result<()> {
    let mut cargo = process::cargo(["fmt", "--all"]);
    if !fix {
        cargo.args(["--", "--check"]);
    }
    process::run(&mut cargo)
}
