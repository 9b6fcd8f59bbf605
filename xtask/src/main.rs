//! Every step that CI runs, with nothing to install first.
fn main() {}
