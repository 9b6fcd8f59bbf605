//! What a step says. Its own lines begin with `==`, so that they are found between those of the programs it runs.

use std::io::Write as _;

/// A line of its own, for people and for what reads the end of CI's output.
pub(crate) fn line(text: &str) {
    // A closed pipe is the reader's decision, not a failure of the step.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The name of what begins.
pub(crate) fn heading(text: &str) {
    line(&format!("== {text}"));
}

/// Why it ends.
pub(crate) fn problem(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "== failed: {text}");
}
