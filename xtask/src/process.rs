//! Running other programs, cargo above all.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::{print, sources};

/// What cargo tells the program that it runs, and must not reach the next cargo: build scripts that watch such a
/// variable (ring's does) would be run again, and everything above them built again.
const OF_THIS_PACKAGE: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];

/// Cargo, as if it were called by hand.
pub(crate) fn cargo<I, A>(args: I) -> Command
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(sources::root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| OF_THIS_PACKAGE.iter().any(|p| n.starts_with(p))) {
            command.env_remove(name);
        }
    }
    command
}

/// Another program, started in the root of the checkout, with nothing to read.
pub(crate) fn command(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.current_dir(sources::root()).stdin(Stdio::null());
    command
}

/// Runs it, its output where ours goes.
///
/// # Errors
/// It cannot be started, or says that it failed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let what = described(command);
    let status = command.status().with_context(|| format!("cannot run {what}"))?;
    if !status.success() {
        bail!("`{what}` ended with {status}");
    }
    Ok(())
}

/// Runs it and returns what it wrote to its standard output.
///
/// # Errors
/// As [`run`]; its output is no UTF-8.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let what = described(command);
    let done = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {what}"))?;
    if !done.status.success() {
        bail!("`{what}` ended with {}", done.status);
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{what}` wrote bytes that are no text"))
}

/// Runs it, passes its output on line by line, and lets `see` look at each.
///
/// # Errors
/// As [`run`].
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> anyhow::Result<()> {
    let what = described(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {what}"))?;
    let stdout = child.stdout.take().context("the child's output was asked for")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.with_context(|| format!("cannot read the output of `{what}`"))?;
        let line = String::from_utf8_lossy(&line);
        print::line(&line);
        see(&line);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{what}`"))?;
    if !status.success() {
        bail!("`{what}` ended with {status}");
    }
    Ok(())
}

/// The first file of that name in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|p| p.is_file())
}

/// `PATH` with `first` before everything else.
///
/// # Errors
/// `first` has a character that separates entries of `PATH`.
pub(crate) fn path_with(first: Vec<PathBuf>) -> anyhow::Result<std::ffi::OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = first.into_iter().chain(std::env::split_paths(&rest));
    std::env::join_paths(all).context("the folder of a program cannot stand in PATH")
}

fn described(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}
