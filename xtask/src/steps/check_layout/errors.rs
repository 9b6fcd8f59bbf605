//! Every stable code of an error has its paragraph in `docs/errors.md`, and every paragraph its code.

use std::collections::BTreeSet;
use std::path::Path;

use crate::sources;

const DOCUMENT: &str = "docs/errors.md";
/// The names that steps report to Step Functions: match arms, outside of any `code`.
const STEPS: &str = "crates/function-kit/src/error.rs";
/// What these report is AWS's and Kubernetes' own, and documented there.
const NOT_OURS: [&str; 4] = ["crates/asl", "crates/sim-cluster", "tests", "xtask"];

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let mut used = BTreeSet::new();
    for path in sources::rust_files()? {
        if NOT_OURS.iter().any(|folder| path.starts_with(folder)) || path.ends_with("tests.rs") {
            continue;
        }
        let text = sources::read(&path)?;
        used.extend(
            text.split("fn code(&self").skip(1).flat_map(|body| literals(end_of_method(body), "=> \"")),
        );
        used.extend(refusals(&text));
        if path == Path::new(STEPS) {
            used.extend(literals(&text, "=> \""));
        }
    }
    let documented: BTreeSet<String> = headings(&sources::read(Path::new(DOCUMENT))?).collect();
    let missing = used.difference(&documented).map(|code| format!("{DOCUMENT}: no paragraph on `{code}`"));
    let left = documented.difference(&used).map(|code| format!("{DOCUMENT}: `{code}` is no error's code"));
    Ok(missing.chain(left).collect())
}

/// A method's text up to the brace that closes it.
fn end_of_method(body: &str) -> &str {
    body.split_once("\n    }").map_or(body, |(body, _)| body)
}

/// The texts in quotes that follow `before`.
fn literals(text: &str, before: &str) -> Vec<String> {
    let after = text.split(before).skip(1).filter_map(|rest| rest.split_once('"'));
    after.map(|(literal, _)| literal.to_owned()).filter(|code| is_code(code)).collect()
}

/// Codes that stand beside the status they are answered with: `StatusCode::NOT_FOUND, "not_found"`.
fn refusals(text: &str) -> Vec<String> {
    let mut codes = Vec::new();
    for rest in text.split("StatusCode::").skip(1) {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
        // The arguments may stand on lines of their own.
        let argument = after.strip_prefix(',').map(str::trim_start).and_then(|rest| rest.strip_prefix('"'));
        if let Some((literal, _)) = argument.and_then(|rest| rest.split_once('"')) {
            codes.push(literal.to_owned());
        }
    }
    codes.into_iter().filter(|code| is_code(code)).collect()
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The codes that the document's headings name.
fn headings(document: &str) -> impl Iterator<Item = String> {
    let named = document.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    named.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_methods_and_beside_statuses() {
        let text = "fn code(&self) -> &'static str {\n        match self {\n            A => \"a_b\",\n        }\n    }\n\
            fn other() { match x { _ => \"not_me\" } }\nSelf::new(StatusCode::NOT_FOUND, \"gone\", \"a message\")";
        let body = text.split("fn code(&self").nth(1).unwrap();
        assert_eq!(literals(end_of_method(body), "=> \""), ["a_b"]);
        assert_eq!(refusals(text), ["gone"]);
        assert_eq!(refusals("Self::new(\n    StatusCode::GONE,\n    \"long_gone\",\n"), ["long_gone"]);
    }

    #[test]
    fn every_code_has_its_paragraph_and_every_paragraph_its_code() {
        assert_eq!(check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_document_is_read_by_its_headings() {
        let found: Vec<String> =
            headings("# Errors\n## Of the API\n### `not_found`\ntext `x`\n### `conflict`\n").collect();
        assert_eq!(found, ["not_found", "conflict"]);
    }
}
