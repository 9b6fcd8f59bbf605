//! JSON to CEL values and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::objects::{Key, Map, Value as CelValue};
use serde_json::{Number, Value};

/// A JSON value as CEL sees it. Whole numbers are `int`, so that `== 200` and `+ 1` work on them.
pub(super) fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let entries: HashMap<Key, CelValue> = fields
                .iter()
                .map(|(key, value)| (Key::String(Arc::new(key.clone())), to_cel(value)))
                .collect();
            CelValue::Map(Map { map: Arc::new(entries) })
        }
    }
}

fn number_to_cel(number: &Number) -> CelValue {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => CelValue::Int(whole),
        (None, Some(whole), _) => CelValue::UInt(whole),
        (None, None, Some(real)) => CelValue::Float(real),
        (None, None, None) => CelValue::Null,
    }
}

/// A CEL value as JSON; keys of maps in order, so that the same expression always gives the same text.
///
/// # Errors
/// What JSON does not have: bytes, numbers that are not finite.
pub(super) fn from_cel(value: &CelValue) -> Result<Value, String> {
    Ok(match value {
        CelValue::Null => Value::Null,
        CelValue::Bool(flag) => Value::Bool(*flag),
        CelValue::Int(number) => Value::from(*number),
        CelValue::UInt(number) => Value::from(*number),
        CelValue::Float(number) => Value::Number(
            Number::from_f64(*number).ok_or_else(|| "the value is not a finite number".to_owned())?,
        ),
        CelValue::String(text) => Value::String(text.as_ref().clone()),
        CelValue::List(items) => items.iter().map(from_cel).collect::<Result<_, _>>()?,
        CelValue::Map(map) => {
            let sorted: BTreeMap<String, &CelValue> =
                map.map.iter().map(|(key, value)| (key.to_string(), value)).collect();
            let fields = sorted.into_iter().map(|(key, value)| Ok((key, from_cel(value)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        other => {
            return Err(format!(
                "a value of type {} cannot be used; convert it with `string(…)`",
                other.type_of()
            ));
        }
    })
}
