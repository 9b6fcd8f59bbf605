//! The files that are made from the code and published with it.

use crate::{process, sources};

/// Writes them, or checks that they are what would be written.
///
/// # Errors
/// A file has drifted (with `check`), or cannot be written.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    // The whole workspace's features, so that nothing is built that the tests have not built already.
    process::run(&mut process::cargo(["build", "--quiet", "--locked", "--workspace", "--bin", "generate"]))?;
    let mut generate = process::command(sources::program("generate")?.as_os_str());
    generate.arg(sources::root());
    if check {
        generate.arg("--check");
    }
    process::run(&mut generate)
}
