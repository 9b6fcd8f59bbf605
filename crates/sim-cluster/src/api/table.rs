//! Tables: what `kubectl get` prints.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{columns, read};
use crate::{custom::Custom, json, kinds::Kind};

pub(super) struct Options {
    /// For ages.
    pub(super) now: Timestamp,
    /// What stands in each row beside the cells: `None`, `Metadata` (default) or `Object`.
    pub(super) include: String,
}

/// The objects as a Table.
pub(super) fn of(kind: &Kind, objects: &[Arc<Value>], options: &Options, metadata: &Value) -> Value {
    if let Some(custom) = &kind.custom {
        return of_custom(custom, objects, options, metadata);
    }
    let columns = columns::of(kind);
    let definitions: Vec<_> = columns
        .iter()
        .map(|c| {
            let format = if c.name == "Name" { "name" } else { "" };
            json!({ "name": c.name, "type": "string", "format": format, "description": c.name, "priority": i32::from(c.wide) })
        })
        .collect();
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|c| (c.cell)(object, options.now).into()).collect();
            row(object, &cells, options)
        })
        .collect();
    table(&definitions, &rows, metadata)
}

fn row(object: &Arc<Value>, cells: &[Value], options: &Options) -> Value {
    let mut row = json!({ "cells": cells });
    match options.include.as_str() {
        "None" => {}
        "Object" => row["object"] = Value::clone(object),
        _ => row["object"] = read::partial(object),
    }
    row
}

fn table(definitions: &[Value], rows: &[Value], metadata: &Value) -> Value {
    json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows })
}

/// The table of a custom resource: its name, the columns of its definition, and its age unless that is among them.
fn of_custom(custom: &Custom, objects: &[Arc<Value>], options: &Options, metadata: &Value) -> Value {
    let age_column = json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" });
    let mut columns: Vec<&Value> = custom.columns.iter().collect();
    if !custom.columns.iter().any(|c| c["name"] == "Age") {
        columns.push(&age_column);
    }
    let mut definitions = vec![
        json!({ "name": "Name", "type": "string", "format": "name", "description": "Name", "priority": 0 }),
    ];
    definitions.extend(columns.iter().map(|c| {
        json!({ "name": c["name"], "type": "string", "format": "", "description": json::text(c, "/description"), "priority": json::count(c, "/priority") })
    }));
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells: Vec<Value> = vec![json::name(object).into()];
            cells.extend(columns.iter().map(|c| cell(c, object, options.now).into()));
            row(object, &cells, options)
        })
        .collect();
    table(&definitions, &rows, metadata)
}

/// What stands at a column's path: a dotted one, or one that picks a condition by its type.
fn cell(column: &Value, object: &Value, now: Timestamp) -> String {
    let path = json::text(column, "/jsonPath");
    let pointer = |path: &str| path.replace('.', "/");
    if column["type"] == "date" {
        return age(object, &pointer(path), now);
    }
    let picked = path.split_once("[?(@.type==").and_then(|(list, rest)| {
        let (kind, field) = rest.split_once(")]")?;
        let kind = kind.trim_matches(|c| c == '"' || c == '\'');
        let item = json::items(object, &pointer(list)).iter().find(|i| json::text(i, "/type") == kind)?;
        item.pointer(&pointer(field))
    });
    match picked.or_else(|| object.pointer(&pointer(path))) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The time since the timestamp at `pointer`, as `kubectl` shows it.
pub(super) fn age(object: &Value, pointer: &str, now: Timestamp) -> String {
    let Ok(then) = json::text(object, pointer).parse::<Timestamp>() else { return "<unknown>".to_owned() };
    duration(now.duration_since(then).as_secs())
}

/// Seconds as `kubectl` shows them: two units at most.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        with(minutes, "m", seconds % 60, "s")
    } else if hours < 3 {
        format!("{minutes}m")
    } else if hours < 8 {
        with(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        with(days, "d", hours % 24, "h")
    } else if days < 730 {
        format!("{days}d")
    } else {
        with(days / 365, "y", days % 365, "d")
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn ages_are_shown_as_kubectl_shows_them() {
        let shown: Vec<_> = [5, 119, 130, 900, 10_800, 100_000, 200_000, 900_000].map(duration).into();
        assert_eq!(shown, ["5s", "119s", "2m10s", "15m", "3h", "27h", "2d7h", "10d"]);
    }
}
