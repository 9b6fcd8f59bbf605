//! The options of a stage type as rows of a table, from its JSON Schema: keys within keys, what they may be, and what they are
//! when they are not said.

use serde_json::{Map, Value};

/// How many keys deep the rows go: `waitFor.poll.urlFrom.header`.
const DEEPEST: usize = 4;

/// An option.
pub(crate) struct Row {
    /// `steps[].setWeight`
    pub(crate) path: String,
    pub(crate) required: bool,
    /// What it may be, as a cell.
    pub(crate) value: String,
    /// What it means, as a cell.
    pub(crate) says: String,
}

/// The options of a schema, each before the keys within it.
pub(crate) fn rows(schema: &Value) -> Vec<Row> {
    let schema = Schema { root: schema };
    let mut rows = Vec::new();
    schema.keys_of(schema.root, "", "", 0, &mut rows);
    rows
}

/// A text in one cell of a table.
pub(crate) fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    /// The schema that is meant: behind a reference, or beside `null`.
    fn meant(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            return self.root.pointer(name.trim_start_matches('#')).map_or(schema, |found| self.meant(found));
        }
        match variants(schema).filter(|v| v["type"] != "null").collect::<Vec<_>>().as_slice() {
            [only] => self.meant(only),
            _ => schema,
        }
    }

    /// Rows for the keys of an object, whatever forms it has; `only` says with which form they go.
    fn keys_of(&self, schema: &'a Value, prefix: &str, only: &str, depth: usize, rows: &mut Vec<Row>) {
        if depth >= DEEPEST {
            return;
        }
        let schema = self.meant(schema);
        if let Some(properties) = schema["properties"].as_object() {
            for (name, option) in properties.iter().filter(|(_, option)| option["const"].is_null()) {
                let mut row = self.row(prefix, name, option, schema);
                row.says = [row.says, only.to_owned()].join(" ").trim().to_owned();
                let path = row.path.clone();
                if !rows.iter().any(|known| known.path == path) {
                    rows.push(row);
                    self.within(option, &path, depth + 1, rows);
                }
            }
        }
        self.forms_of(schema, prefix, depth, rows);
        if schema["type"] == "array" && schema["items"].is_object() {
            self.keys_of(
                &schema["items"],
                &format!("{}[].", prefix.trim_end_matches('.')),
                only,
                depth,
                rows,
            );
        }
        if schema["additionalProperties"].is_object() {
            let prefix = format!("{}.NAME.", prefix.trim_end_matches('.'));
            self.keys_of(&schema["additionalProperties"], &prefix, only, depth, rows);
        }
    }

    fn within(&self, option: &'a Value, path: &str, depth: usize, rows: &mut Vec<Row>) {
        self.keys_of(option, &format!("{path}."), "", depth, rows);
    }

    /// Rows for the forms that an object may have. The key that tells them apart comes first.
    fn forms_of(&self, schema: &'a Value, prefix: &str, depth: usize, rows: &mut Vec<Row>) {
        let forms: Vec<&Value> = variants(schema).map(|form| self.meant(form)).collect();
        let tags: Vec<(&str, &str)> = forms.iter().filter_map(|form| tag(form)).collect();
        if let Some((key, _)) = tags.first() {
            let names = tags.iter().map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let says = schema["description"].as_str().map(cell).unwrap_or_default();
            rows.push(Row { path: format!("{prefix}{key}"), required: true, value: names, says });
        }
        for form in forms {
            let only = tag(form).map(|(key, name)| format!("With `{key}: {name}`.")).unwrap_or_default();
            self.keys_of(form, prefix, &only, depth, rows);
        }
    }

    fn row(&self, prefix: &str, name: &str, option: &'a Value, of: &'a Value) -> Row {
        let meant = self.meant(option);
        // A form with one key is described as a whole.
        let alone = of["properties"].as_object().is_some_and(|all| all.len() == 1);
        let says = [option, if alone { of } else { meant }]
            .iter()
            .find_map(|schema| schema["description"].as_str())
            .unwrap_or_default();
        let required = of["required"].as_array().is_some_and(|all| all.iter().any(|key| key == name));
        let mut says = cell(says);
        for (value, meaning) in self.choices(meant) {
            if let Some(meaning) = meaning.filter(|meaning| tells_more(&value, meaning)) {
                says.push_str(&format!(" `{value}`: {}", cell(meaning)));
            }
        }
        let mut value = self.kind(meant);
        if let Some(default) = shown_default(&option["default"]) {
            value.push_str(&format!("; `{default}` when absent"));
        }
        Row { path: format!("{prefix}{name}"), required: required && !alone, value: cell(&value), says }
    }

    /// The values that are allowed, each with what it means.
    fn choices(&self, schema: &'a Value) -> Vec<(String, Option<&'a str>)> {
        let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut all: Vec<_> = listed.map(|value| (value.to_owned(), None)).collect();
        for form in variants(schema).map(|form| self.meant(form)) {
            match form["const"].as_str() {
                Some(value) => all.push((value.to_owned(), form["description"].as_str())),
                None if form["type"] == "string" || form["enum"].is_array() => {
                    all.extend(self.choices(form));
                }
                None => {}
            }
        }
        all
    }

    /// What may be written, in words.
    fn kind(&self, schema: &'a Value) -> String {
        let choices = self.choices(schema);
        let listed = choices.iter().map(|(value, _)| format!("`{value}`")).collect::<Vec<_>>();
        if !listed.is_empty() {
            let others =
                variants(schema).map(|form| self.meant(form)).filter(|form| self.choices(form).is_empty());
            let others = others.filter(|form| form["const"].is_null()).map(|form| self.kind(form));
            return listed.into_iter().chain(others).collect::<Vec<_>>().join(", ");
        }
        let mut forms: Vec<String> = variants(schema).map(|form| self.kind(self.meant(form))).collect();
        forms.dedup();
        if !forms.is_empty() {
            return forms.join(", or ");
        }
        if schema["format"] == "pilothouse-duration" {
            return "a time, such as `10m`".to_owned();
        }
        let of = |key: &str| match schema[key].is_object() {
            true => format!(" of {}", plural(&self.kind(self.meant(&schema[key])))),
            false => String::new(),
        };
        let word = |kind: &str| match kind {
            "string" => "text".to_owned(),
            "integer" => whole(schema),
            "number" => "a number".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "array" => format!("a list{}", of("items")),
            "object" if schema["additionalProperties"].is_object() => {
                format!("a map{}", of("additionalProperties"))
            }
            "object" => "a map".to_owned(),
            other => other.to_owned(),
        };
        match &schema["type"] {
            Value::String(kind) => word(kind),
            Value::Array(kinds) => {
                let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
                kinds.map(word).collect::<Vec<_>>().join(", or ")
            }
            _ => "anything".to_owned(),
        }
    }
}

/// The forms that a value may have.
fn variants(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().flat_map(|key| schema[key].as_array().into_iter().flatten())
}

/// The key and the value by which a form is told from others.
fn tag(form: &Value) -> Option<(&str, &str)> {
    let properties: &Map<String, Value> = form["properties"].as_object()?;
    properties.iter().find_map(|(key, value)| Some((key.as_str(), value["const"].as_str()?)))
}

/// Whether the words say anything that the value itself does not: `A Deployment.` does not.
fn tells_more(value: &str, meaning: &str) -> bool {
    let plain =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let words = meaning.trim_start_matches("A ").trim_start_matches("An ");
    plain(words) != plain(value)
}

fn whole(schema: &Value) -> String {
    match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
        (Some(1), None) => "a whole number from 1".to_owned(),
        _ => "a whole number".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "text" => "texts".to_owned(),
        "a map" => "maps".to_owned(),
        "a whole number" => "whole numbers".to_owned(),
        other => other.to_owned(),
    }
}

/// What an option is when it is not said, if that is anything.
fn shown_default(default: &Value) -> Option<String> {
    match default {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.is_empty() => None,
        Value::Object(map) if map.is_empty() => None,
        other => Some(other.to_string()),
    }
}
