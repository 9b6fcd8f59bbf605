//! Counts tests from what their runners say at their end.

use std::fmt;

/// How many tests ran, over all runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Adds a line of output if it is a runner's last: `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn see(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        for part in result.split(';') {
            let mut words = part.split_whitespace().rev();
            let (Some(word), Some(count)) = (words.next(), words.next().and_then(|n| n.parse::<u64>().ok()))
            else {
                continue;
            };
            match word {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }

    /// Whether any test was seen.
    pub(crate) fn ran(&self) -> bool {
        self.passed + self.failed > 0
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// How many passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_added_up_and_other_lines_passed_over() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 2 passed; 3 failed; 0 ignored; 0 measured; 7 filtered out",
            "a test said: test result: ok. 9 passed",
        ] {
            tally.see(line);
        }
        assert_eq!(tally, Tally { passed: 7, failed: 3, skipped: 1 });
        assert_eq!(tally.to_string(), "7 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn nothing_skipped_is_not_said() {
        let mut tally = Tally::default();
        assert!(!tally.ran());
        tally.see("test result: ok. 1 passed; 0 failed; 0 ignored");
        assert!(tally.ran());
        assert_eq!(tally.to_string(), "1 passed, 0 failed");
    }
}
