//! The manual of the stage types, made from what each says of itself: its options from its schema, its words from its code.

use std::fmt::Write as _;

use pilothouse_operations::stages::{StageRegistry, StageType};

use crate::options::{cell, rows};

/// The document: a table of all types, then the options of each.
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# Stage types\n\nGenerated from the code by `cargo xtask generate`. Beside these options every stage has the keys that all stages \
         have (`stages[]` in README, \"The pipeline file\").\nThe ids are those of the features that a type serves.\n\n\
         | type | what it does | what a rollback makes of it | features |\n|---|---|---|---|\n",
    );
    let registry = StageRegistry::standard();
    for kind in registry.iter() {
        let info = kind.info();
        let _ = writeln!(
            text,
            "| [`{0}`](#{0}) | {1} | {2} | {3} |",
            info.name,
            cell(info.summary),
            cell(kind.undone()),
            kind.features()
        );
    }
    for kind in registry.iter() {
        section(&mut text, kind);
    }
    text
}

fn section(text: &mut String, kind: &dyn StageType) {
    let info = kind.info();
    let _ = write!(text, "\n## {}\n\n{}\n", info.name, info.summary);
    let rows = rows(info.schema.as_value());
    if rows.is_empty() {
        text.push_str("\nIt has no options of its own.\n");
        return;
    }
    text.push_str("\n| option | value | |\n|---|---|---|\n");
    for row in rows {
        let must = if row.required { " (required)" } else { "" };
        let _ = writeln!(text, "| `{}`{must} | {} | {} |", row.path, row.value, row.says);
    }
}
