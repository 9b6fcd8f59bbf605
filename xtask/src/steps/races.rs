//! The races of the system tests a thousand times each, with seeded interleavings. `cargo test` plays the first of them.

use crate::process;
use crate::tally::Tally;

/// Which tests, and the seeds that come to a thousand rounds of each.
const RACES: [(&[&str], &str); 2] =
    [(&["races::", "--skip", "approvals::"], "0..40"), (&["lanes::interleavings::"], "0..1000")];

/// Plays them. Those of approvals are played a thousand times by `cargo test` already.
///
/// # Errors
/// One fails; it says which seed plays it again.
pub(crate) fn run(tally: &mut Tally) -> anyhow::Result<()> {
    for (tests, seeds) in RACES {
        // Of the workspace, so that nothing is built again with other features.
        let base = ["test", "--workspace", "--test", "it", "--"];
        let mut cargo = process::cargo(base);
        process::watch(cargo.args(tests).env("PILOTHOUSE_SEEDS", seeds), |line| tally.see(line))?;
    }
    Ok(())
}
