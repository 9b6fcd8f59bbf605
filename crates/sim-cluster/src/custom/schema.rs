//! Structural schemas: what they drop, fill in and refuse.

use serde_json::{Map, Value};

use crate::{json, status::FieldError};

/// Paths of fields that a schema does not know.
pub(crate) type Unknown = Vec<String>;

/// Of the root: these are the API's own.
const ROOT: [&str; 3] = ["apiVersion", "kind", "metadata"];

fn keeps_unknown(schema: &Value) -> bool {
    json::flag(schema, "/x-kubernetes-preserve-unknown-fields")
}

/// Drops from a custom object what its schema does not know, and returns the paths of what was dropped.
pub(crate) fn prune(schema: &Value, object: &mut Value) -> Unknown {
    let mut unknown = Vec::new();
    prune_value(schema, object, "", true, &mut unknown);
    unknown
}

fn prune_value(schema: &Value, value: &mut Value, path: &str, root: bool, unknown: &mut Unknown) {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties").filter(|a| a.is_object());
            let embedded = json::flag(schema, "/x-kubernetes-embedded-resource");
            map.retain(|key, child| {
                let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if (root || embedded) && ROOT.contains(&key.as_str()) {
                    return true;
                }
                if let Some(known) = properties.and_then(|p| p.get(key)).or(additional) {
                    prune_value(known, child, &here, false, unknown);
                    return true;
                }
                let kept =
                    keeps_unknown(schema) || schema.get("additionalProperties") == Some(&Value::Bool(true));
                if !kept {
                    unknown.push(here);
                }
                kept
            });
        }
        Value::Array(list) => {
            let Some(items) = schema.get("items") else { return };
            for (index, item) in list.iter_mut().enumerate() {
                prune_value(items, item, &format!("{path}[{index}]"), false, unknown);
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of a schema, also those within defaults.
pub(crate) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if !map.contains_key(name)
                    && let Some(filled) = property.get("default")
                {
                    map.insert(name.clone(), filled.clone());
                }
                if let Some(child) = map.get_mut(name) {
                    default(property, child);
                }
            }
            if let Some(additional) = schema.get("additionalProperties").filter(|a| a.is_object()) {
                map.values_mut().for_each(|child| default(additional, child));
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                list.iter_mut().for_each(|item| default(items, item));
            }
        }
        _ => {}
    }
}

/// Checks an object against its schema.
pub(crate) fn validate(schema: &Value, object: &Value, errors: &mut Vec<FieldError>) {
    check(schema, object, "", errors);
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let wanted = json::text(schema, "/type");
    let have = type_of(value);
    let is_either = json::flag(schema, "/x-kubernetes-int-or-string") && matches!(have, "integer" | "string");
    let fits = wanted.is_empty() || is_either || wanted == have || (wanted == "number" && have == "integer");
    if !fits {
        let text = format!("{path} in body must be of type {wanted}: {have:?}");
        errors.push(FieldError::invalid(path, &have.into(), &text));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        errors.push(FieldError::unsupported(path, value.as_str().unwrap_or_default(), &names));
    }
    bounds(schema, value, path, errors);
    match value {
        Value::Object(map) => check_map(schema, map, path, errors),
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{index}]"), errors);
            }
        }
        _ => {}
    }
}

fn check_map(schema: &Value, map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in json::items(schema, "/required").iter().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            errors.push(FieldError::required(inside(name), ""));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, child) in map.iter().filter(|(n, _)| !path.is_empty() || !ROOT.contains(&n.as_str())) {
        let known = properties.and_then(|p| p.get(name));
        if let Some(known) = known.or(schema.get("additionalProperties").filter(|a| a.is_object())) {
            check(known, child, &inside(name), errors);
        }
    }
}

fn bounds(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(number) = value.as_f64() {
        if let Some(least) = limit("minimum").filter(|l| number < *l) {
            let text = format!("{path} in body should be greater than or equal to {least}");
            errors.push(FieldError::invalid(path, value, &text));
        }
        if let Some(most) = limit("maximum").filter(|m| number > *m) {
            let text = format!("{path} in body should be less than or equal to {most}");
            errors.push(FieldError::invalid(path, value, &text));
        }
    }
    let size = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    if let Value::Array(list) = value {
        if let Some(most) = size("maxItems").filter(|m| list.len() > *m) {
            errors.push(FieldError::invalid(
                path,
                &list.len().into(),
                &format!("{path} in body should have at most {most} items"),
            ));
        }
        if let Some(least) = size("minItems").filter(|l| list.len() < *l) {
            errors.push(FieldError::invalid(
                path,
                &list.len().into(),
                &format!("{path} in body should have at least {least} items"),
            ));
        }
    }
    if let Value::String(text) = value
        && let Some(least) = size("minLength").filter(|l| text.chars().count() < *l)
    {
        errors.push(FieldError::invalid(
            path,
            value,
            &format!("{path} in body should be at least {least} chars long"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "items": {"type": "array", "items": {"type": "object", "properties": {"weight": {"type": "integer", "default": 1}}}}}}}})
    }

    #[test]
    fn unknown_fields_go_defaults_come_and_metadata_stays() {
        let mut object = json!({"kind": "W", "metadata": {"name": "w"}, "top": 1,
            "spec": {"size": 2, "sizze": 3, "extra": {"x": 1}, "items": [{}, {"weight": 5, "wait": 1}]}});
        assert_eq!(prune(&schema(), &mut object), ["top", "spec.sizze", "spec.items[1].wait"]);
        default(&schema(), &mut object);
        assert_eq!(
            object["spec"],
            json!({"size": 2, "extra": {"x": 1}, "items": [{"weight": 1}, {"weight": 5}], "mode": "a"})
        );
    }

    #[test]
    fn types_bounds_enums_and_required_fields_are_checked() {
        let mut errors = Vec::new();
        let object = json!({"metadata": {}, "spec": {"mode": "c", "items": "none", "size": 0}});
        validate(&schema(), &object, &mut errors);
        validate(&schema(), &json!({"spec": {}}), &mut errors);
        assert_eq!(errors.len(), 4, "{errors:?}");
    }
}
