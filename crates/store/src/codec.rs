//! Between a record and its item.
//!
//! Strings, integers and booleans at the top of a record become attributes of their own, so that a condition can
//! name them and a person can read them. Everything nested travels as JSON text in the attribute `body`: DynamoDB's
//! maps would lose the order of keys (a manifest's, a pipeline's), fold `1.0` into `1` and end at 32 levels. A field
//! whose name the item itself needs goes into `body` too, so no name is forbidden to records.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use crate::error::Cause;
use crate::{Key, Record, StoreError, Versioned};

/// An item as the SDK gives and takes it.
pub type Item = HashMap<String, AttributeValue>;

/// Names that the item itself needs.
const RESERVED: [&str; 13] =
    ["pk", "sk", "g1pk", "g1sk", "g2pk", "g2sk", "ttl", "kind", "schema", "v", "w", "body", "binary"];

/// DynamoDB's bound on an item.
const LARGEST_ITEM: usize = 400 * 1024;

/// The item of `record`, written for the `version`-th time by the write `write`.
pub(crate) fn encode<T: Record>(record: &T, version: u64, write: u64) -> Result<Item, StoreError> {
    let refused = |source: Cause| StoreError::Encode { kind: T::KIND, source };
    let Value::Object(fields) = serde_json::to_value(record).map_err(|error| refused(error.into()))? else {
        return Err(refused("the record is not an object".into()));
    };
    let mut item = Item::with_capacity(fields.len() + 8);
    let mut body = Map::new();
    for (name, value) in fields {
        match native(&name, &value) {
            Some(attribute) => {
                item.insert(name, attribute);
            }
            None => {
                body.insert(name, value);
            }
        }
    }
    if !body.is_empty() {
        item.insert("body".into(), AttributeValue::S(Value::Object(body).to_string()));
    }
    if let Some(bytes) = record.binary() {
        item.insert("binary".into(), AttributeValue::B(Blob::new(bytes)));
    }
    frame(record, version, write, &mut item);
    let key = record.key();
    match size(&item) {
        bytes if bytes > LARGEST_ITEM => Err(StoreError::TooLarge { key, bytes }),
        _ => Ok(item),
    }
}

/// The attribute of a field that stands on its own; `None` sends it into `body`.
fn native(name: &str, value: &Value) -> Option<AttributeValue> {
    if RESERVED.contains(&name) {
        return None;
    }
    match value {
        Value::String(text) => Some(AttributeValue::S(text.clone())),
        Value::Bool(truth) => Some(AttributeValue::Bool(*truth)),
        Value::Number(number) if !number.is_f64() => Some(AttributeValue::N(number.to_string())),
        _ => None,
    }
}

/// Adds what every item carries: keys, index keys, time to live, kind, schema and version.
fn frame<T: Record>(record: &T, version: u64, write: u64, item: &mut Item) {
    let key = record.key();
    let mut text = |name: &str, value: String| item.insert(name.into(), AttributeValue::S(value));
    text("pk", key.pk);
    text("sk", key.sk);
    text("kind", T::KIND.into());
    if let Some(place) = record.group() {
        text("g1pk", place.pk);
        text("g1sk", place.sk);
    }
    if let Some(place) = record.open() {
        text("g2pk", place.pk);
        text("g2sk", place.sk);
    }
    let mut number = |name: &str, value: String| item.insert(name.into(), AttributeValue::N(value));
    number("schema", T::SCHEMA.to_string());
    number("v", version.to_string());
    number("w", write.to_string());
    if let Some(at) = record.expires() {
        number("ttl", epoch_seconds(at).to_string());
    }
}

/// Whole seconds since 1970, rounded up: nothing expires early.
pub(crate) fn epoch_seconds(at: jiff::Timestamp) -> i64 {
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

/// The record in `item`.
pub(crate) fn decode<T: Record>(item: &Item) -> Result<Versioned<T>, StoreError> {
    let key = key_of(item);
    let corrupt = |source: Cause| StoreError::Corrupt { key: key.clone(), kind: T::KIND, source };
    let kind = kind_of(item);
    if kind != T::KIND {
        return Err(corrupt(format!("its kind is `{kind}`").into()));
    }
    let number = |name: &str| -> Result<u64, StoreError> {
        let text = item.get(name).and_then(|value| value.as_n().ok());
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| corrupt(format!("`{name}` is no number").into()))
    };
    let schema = u32::try_from(number("schema")?).unwrap_or(u32::MAX);
    if schema > T::SCHEMA {
        return Err(StoreError::NewerSchema { key: key.clone(), found: schema, known: T::SCHEMA });
    }
    let mut fields = fields(item).map_err(&corrupt)?;
    if schema < T::SCHEMA {
        fields = T::upgrade(schema, fields).map_err(|reason| corrupt(reason.into()))?;
    }
    let mut record: T =
        serde_json::from_value(Value::Object(fields)).map_err(|error| corrupt(error.into()))?;
    if let Some(Ok(bytes)) = item.get("binary").map(AttributeValue::as_b) {
        record.set_binary(bytes.as_ref().to_vec());
    }
    Ok(Versioned { record, version: number("v")?, write: number("w")? })
}

/// The record's own fields in `item`.
fn fields(item: &Item) -> Result<Map<String, Value>, Cause> {
    let mut fields: Map<String, Value> = match item.get("body").map(AttributeValue::as_s) {
        None => Map::new(),
        Some(Ok(text)) => serde_json::from_str(text)?,
        Some(Err(_)) => return Err("`body` is no text".into()),
    };
    for (name, attribute) in item.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())) {
        let value = match attribute {
            AttributeValue::S(text) => Value::String(text.clone()),
            AttributeValue::Bool(truth) => Value::Bool(*truth),
            AttributeValue::N(number) => serde_json::from_str(number)?,
            _ => return Err(format!("`{name}` has a type that records do not use").into()),
        };
        fields.insert(name.clone(), value);
    }
    Ok(fields)
}

/// The item's key; empty texts where it has none.
pub(crate) fn key_of(item: &Item) -> Key {
    Key::new(text_of(item, "pk"), text_of(item, "sk"))
}

/// The item's kind; empty when it has none.
pub(crate) fn kind_of(item: &Item) -> &str {
    text_of(item, "kind")
}

/// The text of a string attribute; empty when it has none.
pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// The item's key alone, as the SDK takes it.
pub(crate) fn key_item(key: &Key) -> Item {
    Item::from([
        ("pk".into(), AttributeValue::S(key.pk.clone())),
        ("sk".into(), AttributeValue::S(key.sk.clone())),
    ])
}

/// The size of an item as DynamoDB counts it (numbers: at most two digits a byte and one more).
pub(crate) fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| {
            name.len()
                + match value {
                    AttributeValue::S(text) => text.len(),
                    AttributeValue::N(number) => number.len().div_ceil(2) + 1,
                    AttributeValue::B(bytes) => bytes.as_ref().len(),
                    _ => 1,
                }
        })
        .sum()
}
