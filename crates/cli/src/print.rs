//! The two places that a command writes to. Colours are taken out where no terminal shows them, or `NO_COLOR` is set.

use std::io::Write;

/// A line, or several, on standard output. Nobody reading any more is no error of ours.
pub(crate) fn line(text: &str) {
    let _ = writeln!(anstream::stdout(), "{}", text.trim_end());
}

/// A line on standard error: what a person should know, and no program reads.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}

/// Whether a person looks at both outputs.
pub(crate) fn is_terminal() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}
