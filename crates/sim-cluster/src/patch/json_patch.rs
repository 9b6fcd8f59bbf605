//! JSON patch, RFC 6902.

use serde_json::Value;

pub(super) fn apply(object: &Value, patch: &Value) -> Result<Value, String> {
    let operations = patch.as_array().ok_or("the patch must be a list of operations")?;
    let mut out = object.clone();
    for operation in operations {
        perform(&mut out, operation)?;
    }
    Ok(out)
}

fn perform(target: &mut Value, operation: &Value) -> Result<(), String> {
    let text =
        |key: &str| operation[key].as_str().ok_or_else(|| format!("operation without {key:?}: {operation}"));
    let value =
        || operation.get("value").cloned().ok_or_else(|| format!("operation without \"value\": {operation}"));
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(|_| ()),
        "replace" => {
            let value = value()?;
            let slot = target.pointer_mut(path).ok_or_else(|| missing("replace", path))?;
            *slot = value;
            Ok(())
        }
        "move" => {
            let value = remove(target, text("from")?)?;
            add(target, path, value)
        }
        "copy" => {
            let from = text("from")?;
            let value = target.pointer(from).cloned().ok_or_else(|| missing("copy", from))?;
            add(target, path, value)
        }
        "test" => {
            let expected = value()?;
            if target.pointer(path).unwrap_or(&Value::Null) == &expected {
                Ok(())
            } else {
                Err(format!("testing value {path} failed: test failed"))
            }
        }
        other => Err(format!("unexpected kind of operation: {other}")),
    }
}

fn missing(operation: &str, path: &str) -> String {
    format!("{operation} operation does not apply: doc is missing path: {path}: missing value")
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let Some((parent, last)) = split(path) else {
        *target = value;
        return Ok(());
    };
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(last, value);
            Ok(())
        }
        Some(Value::Array(list)) => {
            let index = if last == "-" { Some(list.len()) } else { last.parse().ok() };
            let index = index.filter(|i| *i <= list.len()).ok_or_else(|| missing("add", path))?;
            list.insert(index, value);
            Ok(())
        }
        _ => Err(missing("add", path)),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let gone = || missing("remove", path);
    let (parent, last) = split(path).ok_or_else(gone)?;
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&last).ok_or_else(gone),
        Some(Value::Array(list)) => {
            let index = last.parse().ok().filter(|i: &usize| *i < list.len()).ok_or_else(gone)?;
            Ok(list.remove(index))
        }
        _ => Err(gone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_operation_works_on_maps_and_lists() {
        let object = json!({"a": {"x/y": 1}, "l": [1, 3]});
        let patch = json!([
            {"op": "test", "path": "/a/x~1y", "value": 1},
            {"op": "add", "path": "/l/1", "value": 2},
            {"op": "add", "path": "/l/-", "value": 4},
            {"op": "remove", "path": "/a/x~1y"},
            {"op": "copy", "from": "/l/0", "path": "/a/first"},
            {"op": "move", "from": "/l/3", "path": "/a/last"},
            {"op": "replace", "path": "/a/first", "value": 9}
        ]);
        assert_eq!(apply(&object, &patch).unwrap(), json!({"a": {"first": 9, "last": 4}, "l": [1, 2, 3]}));
    }

    #[test]
    fn a_missing_path_or_a_failed_test_is_refused() {
        let object = json!({"a": 1});
        assert!(
            apply(&object, &json!([{"op": "remove", "path": "/b"}])).unwrap_err().contains("missing path")
        );
        assert!(
            apply(&object, &json!([{"op": "test", "path": "/a", "value": 2}]))
                .unwrap_err()
                .contains("test failed")
        );
        assert!(apply(&object, &json!([{"op": "add", "path": "/b/c", "value": 2}])).is_err());
    }
}
