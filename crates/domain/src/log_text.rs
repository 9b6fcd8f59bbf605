//! What of a container's log may be kept and shown (X10, invariant 7): the last lines, without control characters, with what
//! looks like a secret masked. Nobody can tell every secret by its looks: a pipeline switches this off with
//! `captureLogs: false`.

use std::sync::LazyLock;

use regex::Regex;

/// What stands where something looked like a secret.
const MASK: &str = "[redacted]";
/// The longest line that is kept, in characters.
const LONGEST_LINE: usize = 400;

/// The last `most` lines of `text` that fit in `bytes`, the oldest first: each without control characters and escape
/// sequences, at most 400 characters long, with what looks like a secret masked. Lines without a letter are left out.
#[must_use]
pub fn last_lines(text: &str, most: usize, bytes: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(plain).collect();
    mask_keys(&mut lines);
    let mut kept: Vec<String> = Vec::new();
    let mut size = 0;
    for line in lines.iter().rev().filter(|line| !line.trim().is_empty()).take(most) {
        let safe = shortened(&masked(line));
        size += safe.len();
        if size > bytes && !kept.is_empty() {
            break;
        }
        kept.push(safe);
    }
    kept.reverse();
    kept
}

/// A message of a container, made safe as its log is; several lines stay several lines.
#[must_use]
pub fn safe_message(text: &str) -> String {
    last_lines(text, 20, 2048).join("\n")
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is fixed")
}

/// Colours, cursor movements, titles of terminals.
static ESCAPES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b."));

/// Without what a terminal would act on, and without what turns the direction of writing.
fn plain(line: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let without = ESCAPES.replace_all(line, "");
    without
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| !c.is_control() && !turns(*c))
        .collect()
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Private keys go over many lines; the first of them may be above what was read.
fn mask_keys(lines: &mut [String]) {
    let is = |line: &str, what: &str| line.contains(what) && line.contains("PRIVATE KEY-----");
    let begins = |line: &str| is(line, "-----BEGIN ");
    let ends = |line: &str| is(line, "-----END ");
    let first_end = lines.iter().position(|line| ends(line));
    let first_begin = lines.iter().position(|line| begins(line));
    let mut inside = first_end.is_some_and(|end| first_begin.is_none_or(|begin| end < begin));
    for line in lines {
        inside |= begins(line);
        if inside {
            inside = !ends(line);
            MASK.clone_into(line);
        }
    }
}

/// `password=…`, `"apiKey": "…"`, `--token …`
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)((?:secret|token|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)[\w.-]*["']?\s*(?:[:=]|=>)\s*)("[^"]*"?|'[^']*'?|[^\s"',;&})\]]+)"#,
    )
});
/// `Authorization: Bearer …`
static SCHEMES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/-]{8,}=*)"));
/// `postgres://user:password@host`
static URLS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(://)[^/\s:@]*:[^/\s@]+(@)"));
/// JSON web tokens, and keys of AWS, GitHub and Slack, which say themselves what they are.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[a-z]-[\w-]{10,}",
    )
});

fn masked(line: &str) -> String {
    let replace = |pattern: &Regex, text: &str, by: &str| pattern.replace_all(text, by).into_owned();
    let line = replace(&SCHEMES, line, &format!("${{1}}{MASK}"));
    let line = replace(&URLS, &line, &format!("${{1}}{MASK}${{2}}"));
    let line = replace(&KNOWN, &line, MASK);
    replace(&NAMED, &line, &format!("${{1}}{MASK}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> String {
        last_lines(line, 1, 4096).pop().unwrap()
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_and_the_rest_is_kept() {
        for (line, kept) in [
            ("cannot connect: password=hunter2 host=db", "cannot connect: password=[redacted] host=db"),
            (r#"{"apiKey": "abc def", "port": 80}"#, r#"{"apiKey": [redacted], "port": 80}"#),
            ("DB_PASSWORD: hunter2", "DB_PASSWORD: [redacted]"),
            ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer [redacted]"),
            ("dial postgres://app:hunter2@db:5432/shop", "dial postgres://[redacted]@db:5432/shop"),
            ("got eyJhbGciOiJI.eyJzdWIi.sig-n", "got [redacted]"),
            ("key AKIAABCDEFGHIJKLMNOP denied", "key [redacted] denied"),
            ("panic: no database at 10.0.0.1:5432", "panic: no database at 10.0.0.1:5432"),
        ] {
            assert_eq!(one(line), kept);
        }
    }

    #[test]
    fn a_private_key_is_masked_even_when_its_begin_is_not_shown() {
        let whole = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb";
        assert_eq!(last_lines(whole, 9, 999), ["a", MASK, MASK, MASK, "b"]);
        assert_eq!(last_lines("MIIE\nMIIF\n-----END PRIVATE KEY-----\nb", 9, 999), [MASK, MASK, MASK, "b"]);
    }

    #[test]
    fn a_log_cannot_act_on_a_terminal() {
        assert_eq!(one("\u{1b}[31mred\u{1b}[0m\u{7} \u{1b}]0;title\u{7}and\tplain\u{202e}"), "red and plain");
    }

    #[test]
    fn only_the_last_lines_are_kept_within_the_size() {
        assert_eq!(last_lines("a\n\nb\nc\n", 2, 999), ["b", "c"]);
        assert_eq!(last_lines("aaaa\nbbbb\ncccc", 9, 8), ["bbbb", "cccc"]);
        assert_eq!(last_lines(&"é".repeat(500), 1, 8)[0].chars().count(), LONGEST_LINE + 1);
        assert_eq!(safe_message("no database\n"), "no database");
    }
}
