//! The manual of the stage types, made from what each says of itself: its options from its schema, its words from its code.

use std::fmt::Write as _;

use pilothouse_operations::stages::{StageRegistry, StageType};
use serde_json::Value;

/// The document: a table of all types, then the options of each.
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# Stage types\n\nGenerated from the code by `cargo xtask generate`. Beside these options every stage has the keys that all stages \
         have (README, \"Stages\").\nThe ids are those of the features that a type serves.\n\n\
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
    let schema = info.schema.as_value();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(options) = schema["properties"].as_object().filter(|o| !o.is_empty()) else {
        text.push_str("\nIt has no options of its own.\n");
        return;
    };
    text.push_str("\n| option | |\n|---|---|\n");
    for (name, option) in options {
        let must = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let says = option["description"].as_str().unwrap_or_default();
        let _ = writeln!(text, "| `{name}`{must} | {} |", cell(says));
    }
}

/// A text in one cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
