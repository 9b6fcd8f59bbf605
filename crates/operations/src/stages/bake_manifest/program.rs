//! A program of this machine that renders.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// How long it may take.
const LONGEST: Duration = Duration::from_secs(60);
/// By these it asks for everything that is not on this machine: Go's programs keep to them.
const NO_WAY_OUT: [&str; 2] = ["HTTP_PROXY", "HTTPS_PROXY"];
/// Where nobody listens: the port of `discard`.
const NOBODY: &str = "http://127.0.0.1:9";
/// How much of what it says is told, in characters.
const EXCERPT: usize = 1000;

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    path: PathBuf,
    /// What stands before the arguments.
    first: &'static [&'static str],
}

impl Program {
    pub(super) fn helm(path: &OsStr) -> Result<Self, String> {
        found(path, "helm", &[]).ok_or_else(|| missing("helm", "helm"))
    }

    pub(super) fn kustomize(path: &OsStr) -> Result<Self, String> {
        let own = || found(path, "kustomize", &["build"]);
        let with_kubectl = || found(path, "kubectl", &["kustomize"]);
        own().or_else(with_kubectl).ok_or_else(|| missing("kustomize", "kustomize or kubectl"))
    }

    /// What it writes. It has nothing of our environment, and a home that is gone afterwards. What it would fetch it asks of a proxy that
    /// is not there: it is to render what it is given.
    pub(super) async fn run(&self, folder: &Path, args: &[&str]) -> Result<String, String> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(&self.path);
        command.args(self.first).args(args).current_dir(folder).env_clear().env("HOME", folder);
        command.envs(NO_WAY_OUT.map(|name| (name, NOBODY)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(LONGEST, command.output()).await {
            Ok(output) => output.map_err(|error| format!("{name} cannot be run: {error}"))?,
            Err(_) => return Err(format!("{name} took longer than {} s", LONGEST.as_secs())),
        };
        if output.status.success() {
            return String::from_utf8(output.stdout).map_err(|_| format!("{name} wrote no UTF-8 text"));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.replace(&folder.display().to_string(), "");
        Err(format!("{name} failed: {}", said.trim().chars().take(EXCERPT).collect::<String>()))
    }
}

fn found(path: &OsStr, name: &str, first: &'static [&'static str]) -> Option<Program> {
    let mut places = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    places.find_map(|folder| {
        let path = folder.join(name);
        path.is_file().then_some(Program { path, first })
    })
}

fn missing(engine: &str, programs: &str) -> String {
    format!(
        "`engine: {engine}` needs the program {programs}, and there is none on the PATH of the process that runs stages (on Lambda there is \
         none at all): install it there, or render in CI and deploy what comes out"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let reason = Program::helm(OsStr::new("/nowhere:relative")).unwrap_err();
        assert!(reason.starts_with("`engine: helm` needs the program helm, and there is none"), "{reason}");
        let reason = Program::kustomize(OsStr::new("")).unwrap_err();
        assert!(reason.contains("kustomize or kubectl"), "{reason}");
    }

    #[tokio::test]
    async fn what_a_program_says_is_the_reason_and_its_environment_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let program = |first: &'static [&'static str]| Program { path: PathBuf::from("/bin/sh"), first };
        let shown = program(&["-c", "echo $CARGO_MANIFEST_DIR-$HOME"]).run(folder.path(), &[]).await.unwrap();
        assert_eq!(shown, format!("-{}\n", folder.path().display()));
        let way_out =
            program(&["-c", "echo $HTTP_PROXY $HTTPS_PROXY"]).run(folder.path(), &[]).await.unwrap();
        assert_eq!(way_out, format!("{NOBODY} {NOBODY}\n"), "what would be fetched is asked of nobody");
        let failed = program(&["-c", "echo no chart >&2; exit 3"]).run(folder.path(), &[]).await;
        assert_eq!(failed.unwrap_err(), "sh failed: no chart");
    }
}
