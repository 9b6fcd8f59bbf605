//! YAML as JSON values.

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde_json::{Map, Value};

/// The first document of a YAML text; Null for an empty one. JSON is YAML too.
///
/// # Errors
/// What is wrong with the text, and where.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let documents = YamlOwned::load_from_str(text).map_err(|e| e.to_string())?;
    documents.into_iter().next().map_or(Ok(Value::Null), convert)
}

fn convert(node: YamlOwned) -> Result<Value, String> {
    Ok(match node {
        YamlOwned::Value(scalar) => match scalar {
            ScalarOwned::Null => Value::Null,
            ScalarOwned::Boolean(b) => b.into(),
            ScalarOwned::Integer(i) => i.into(),
            ScalarOwned::FloatingPoint(f) => f.into_inner().into(),
            ScalarOwned::String(s) => s.into(),
        },
        YamlOwned::Representation(text, ..) => text.into(),
        YamlOwned::Sequence(items) => Value::Array(items.into_iter().map(convert).collect::<Result<_, _>>()?),
        YamlOwned::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = match convert(key)? {
                    Value::String(s) => s,
                    Value::Array(_) | Value::Object(_) => return Err("a key must be a scalar".to_owned()),
                    scalar => scalar.to_string(),
                };
                map.insert(key, convert(value)?);
            }
            Value::Object(map)
        }
        YamlOwned::Tagged(_, inner) => convert(*inner)?,
        YamlOwned::Alias(_) | YamlOwned::BadValue => return Err("a value cannot be read".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;

    #[test]
    fn yaml_and_json_are_read_alike() {
        let expected = json!({"a": [1, "x", null], "b": {"c": true, "80": 1.5}});
        assert_eq!(parse("a: [1, x, null]\nb:\n  c: true\n  80: 1.5\n").unwrap(), expected);
        assert_eq!(parse(&expected.to_string()).unwrap(), expected);
        assert!(parse("a: [").is_err());
    }
}
