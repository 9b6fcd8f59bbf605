//! No test waits for real time to pass: `sleep(` stands only in tests on tokio's paused clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::sources;

const SLEEP: &str = "sleep(";
const TOKIO_TEST: &str = "#[tokio::test";
const PAUSED: &str = "start_paused = true";

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    // A harness has no test of its own: what holds for the tests in its folder holds for it.
    let mut folders: BTreeMap<PathBuf, Vec<(PathBuf, String)>> = BTreeMap::new();
    for path in sources::rust_files()? {
        if let Some(tests) = tests_in(&path, &sources::read(&path)?) {
            folders
                .entry(path.parent().map(Path::to_owned).unwrap_or_default())
                .or_default()
                .push((path, tests));
        }
    }
    let mut breaches = Vec::new();
    for files in folders.values() {
        for (path, tests) in files.iter().filter(|(_, tests)| sleeps(tests)) {
            let judged: Vec<&str> = match tests.contains(TOKIO_TEST) {
                true => vec![tests],
                false => files.iter().map(|(_, tests)| tests.as_str()).collect(),
            };
            if !on_paused_clock(&judged) {
                breaches.push(format!(
                    "{}: `{SLEEP}` in tests that are not all `{PAUSED}`; wait for the event, with a deadline",
                    path.display()
                ));
            }
        }
    }
    Ok(breaches)
}

/// The part of a file that is tests: all of it, what follows `#[cfg(test)]`, or nothing.
fn tests_in(path: &Path, text: &str) -> Option<String> {
    let name = path.file_stem()?.to_str()?;
    let within = |folder: &str| path.iter().any(|part| part == folder);
    if within("benches") {
        return None;
    }
    let whole = within("tests") || name == "tests" || name.ends_with("_tests");
    if whole {
        return Some(text.to_owned());
    }
    text.split_once("#[cfg(test)]").map(|(_, tests)| tests.to_owned())
}

fn sleeps(tests: &str) -> bool {
    tests.lines().any(|line| line.contains(SLEEP) && !line.trim_start().starts_with("//"))
}

fn on_paused_clock(tests: &[&str]) -> bool {
    let mut attributes = tests.iter().flat_map(|t| t.lines()).filter(|l| l.contains(TOKIO_TEST)).peekable();
    attributes.peek().is_some() && attributes.all(|a| a.contains(PAUSED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_are_looked_at() {
        let code = format!("fn f() {{ {SLEEP}1) }}");
        let both = format!("{code}\n#[cfg(test)]\nmod tests {{}}");
        assert_eq!(tests_in(Path::new("crates/a/src/b.rs"), &both).unwrap().trim(), "mod tests {}");
        assert_eq!(tests_in(Path::new("crates/a/src/b_tests.rs"), &both).unwrap(), both);
        assert_eq!(tests_in(Path::new("crates/a/src/b.rs"), &code), None);
        assert_eq!(tests_in(Path::new("tests/benches/b.rs"), &code), None);
    }

    #[test]
    fn one_test_on_the_real_clock_is_enough_to_refuse_a_wait() {
        let paused = format!("{TOKIO_TEST}({PAUSED})]\nasync fn a() {{}}");
        let real = format!("{TOKIO_TEST}]\nasync fn b() {{}}");
        assert!(on_paused_clock(&[&paused]));
        assert!(!on_paused_clock(&[&paused, &real]));
        assert!(!on_paused_clock(&["#[test]\nfn c() {}"]));
    }

    #[test]
    fn a_comment_does_not_wait() {
        assert!(!sleeps(&format!("// no {SLEEP} here")));
        assert!(sleeps(&format!("tokio::time::{SLEEP}d).await;")));
    }
}
