//! Tables: what `kubectl get` prints.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{columns, read};
use crate::{json, kinds::Kind};

pub(super) struct Options {
    /// For ages.
    pub(super) now: Timestamp,
    /// What stands in each row beside the cells: `None`, `Metadata` (default) or `Object`.
    pub(super) include: String,
}

/// The objects as a Table.
pub(super) fn of(kind: &Kind, objects: &[Arc<Value>], options: &Options, metadata: &Value) -> Value {
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
            let mut row = json!({ "cells": cells });
            match options.include.as_str() {
                "None" => {}
                "Object" => row["object"] = Value::clone(object),
                _ => row["object"] = read::partial(object),
            }
            row
        })
        .collect();
    json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows })
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
