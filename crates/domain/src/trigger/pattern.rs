//! Regular expressions and globs that match a whole text, bounded in size; linear in time by construction.

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 1024;
/// The most memory that a compiled pattern may take, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Compiles a regular expression that must match the whole text.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn whole(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("the regular expression is longer than {LONGEST_PATTERN} bytes"));
    }
    // Compiled alone first, so that `a)(b` is not made valid by what is put around it.
    compile(pattern)?;
    compile(&format!(r"\A(?:{pattern})\z"))
}

/// Compiles a glob that must match the whole text: `*` is any text, `?` any character.
pub(super) fn glob(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("the glob is longer than {LONGEST_PATTERN} bytes"));
    }
    let translated: String = pattern
        .chars()
        .map(|c| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            other => regex::escape(&other.to_string()),
        })
        .collect();
    compile(&format!(r"\A(?s:{translated})\z"))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression cannot be read: {reason}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_text() {
        let prod = whole("prod|stage").unwrap();
        assert!(prod.is_match("prod") && prod.is_match("stage"));
        assert!(!prod.is_match("preprod") && !prod.is_match("prod\n"));
    }

    #[test]
    fn a_pattern_that_cannot_be_used_says_why() {
        let long = "a".repeat(1025);
        let patterns = ["a(", "a)(b", "(?=a)", r"(a)\1", "(?:a{500}){500}", &long];
        let errors: Vec<String> = patterns.iter().map(|pattern| whole(pattern).unwrap_err()).collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        the regular expression cannot be read: unclosed group
        the regular expression cannot be read: unopened group
        the regular expression cannot be read: look-around, including look-ahead and look-behind, is not supported
        the regular expression cannot be read: backreferences are not supported
        the regular expression is too large
        the regular expression is longer than 1024 bytes
        "#);
    }

    #[test]
    fn a_glob_takes_everything_else_literally() {
        let glob = glob("*@example.com?").unwrap();
        assert!(glob.is_match("a@b@example.comX"));
        assert!(!glob.is_match("a@exampleXcomY"));
    }
}
