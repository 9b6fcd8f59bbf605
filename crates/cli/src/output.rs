//! What a command says: text for people, or the API's own JSON. Colours only on a terminal, and never with `NO_COLOR`.

use std::io::IsTerminal;

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::print;

/// How a command speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether programs read it.
    pub(crate) json: bool,
    /// Whether a person looks at a terminal.
    pub(crate) terminal: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: !json && std::io::stdout().is_terminal() && std::io::stderr().is_terminal() }
    }

    /// The API's answer to a program, or `text` to a person.
    pub(crate) fn answer(self, json: &Value, text: impl FnOnce() -> String) {
        if self.json {
            print::line(&format!("{json:#}"));
        } else {
            print::line(&text());
        }
    }
}

/// Rows under headings, aligned, without lines around them; `nothing` when there are no rows.
pub(crate) fn table(headings: &[&str], rows: Vec<Vec<String>>, nothing: &str) -> String {
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut table = Table::new();
    // Styles are ours, and a pipe must get whole lines.
    table.load_style(presets::NOTHING).force_no_tty();
    table.set_header(headings.iter().map(|h| h.to_uppercase()));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_under_their_headings() {
        let rows =
            vec![vec!["shop".to_owned(), "1".to_owned()], vec!["bank-core".to_owned(), "12".to_owned()]];
        insta::assert_snapshot!(table(&["name", "revision"], rows, "none"), @r"
        NAME       REVISION
        shop       1
        bank-core  12
        ");
        assert_eq!(table(&["name"], Vec::new(), "no pipelines yet"), "no pipelines yet");
    }
}
