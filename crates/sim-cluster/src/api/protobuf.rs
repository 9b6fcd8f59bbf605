//! Bodies in Kubernetes' protobuf encoding, which `kubectl create`, `drain` and their like send.

use std::{collections::HashMap, sync::LazyLock};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use serde_json::{Map, Value};

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Zero is a value of these fields, not their absence.
const ZERO_COUNTS: &[&str] = &[
    "replicas",
    "parallelism",
    "completions",
    "backoffLimit",
    "revisionHistoryLimit",
    "gracePeriodSeconds",
    "terminationGracePeriodSeconds",
    "ttlSecondsAfterFinished",
];

/// Field number to name and type.
type Message = HashMap<u64, (&'static str, &'static str)>;

static MESSAGES: LazyLock<HashMap<&'static str, Message>> = LazyLock::new(|| {
    let lines = include_str!("protobuf.txt").lines().filter(|l| !l.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, fields) = line.split_once(": ")?;
            let field = |text: &'static str| {
                let mut words = text.split(' ');
                Some((words.next()?.parse().ok()?, (words.next()?, words.next()?)))
            };
            Some((name, fields.split(", ").filter_map(field).collect()))
        })
        .collect()
});

/// A value as it stands on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads the body of a request as JSON.
///
/// # Errors
/// A sentence that says what is not understood: nothing is dropped silently.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("the body does not begin as Kubernetes' protobuf does")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, wire) in fields(envelope)? {
        match (number, wire) {
            (1, Wire::Bytes(meta)) => {
                for (number, wire) in fields(meta)? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.as_str().into());
    message(&kind, raw, &mut object)?;
    Ok(Value::Object(object))
}

fn message(name: &str, bytes: &[u8], out: &mut Map<String, Value>) -> Result<(), String> {
    let known = MESSAGES
        .get(name)
        .ok_or_else(|| format!("messages of type {name} are not read in protobuf, send JSON"))?;
    for (number, wire) in fields(bytes)? {
        let Some((field, kind)) = known.get(&number) else {
            if matches!(wire, Wire::Number(0) | Wire::Bytes([])) {
                continue;
            }
            return Err(format!("field {number} of {name} is not read in protobuf, send JSON"));
        };
        read_field((field, kind), &wire, out)?;
    }
    Ok(())
}

fn read_field(
    (field, kind): (&str, &str),
    wire: &Wire<'_>,
    out: &mut Map<String, Value>,
) -> Result<(), String> {
    if kind == "x" {
        return Ok(());
    }
    if let (Some(kind), Wire::Bytes(entry)) = (kind.strip_prefix('%'), wire) {
        let (mut key, mut value) = (String::new(), Value::from(""));
        for (number, wire) in fields(entry)? {
            match (number, &wire) {
                (1, Wire::Bytes(text)) => key = utf8(text)?,
                (2, _) => value = scalar(kind, &wire)?,
                _ => {}
            }
        }
        crate::json::map_mut(out.entry(field).or_insert(Value::Null), "").insert(key, value);
        return Ok(());
    }
    if let Some(kind) = kind.strip_prefix('*') {
        let value = scalar(kind, wire)?;
        if let Value::Array(list) = out.entry(field).or_insert_with(|| Value::Array(Vec::new())) {
            list.push(value);
        }
        return Ok(());
    }
    if let ("-", Wire::Bytes(bytes)) = (field, wire) {
        return message(kind, bytes, out);
    }
    let value = scalar(kind, wire)?;
    // The encoder writes fields that nobody set as empty ones.
    let is_unset = match &value {
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0) && !ZERO_COUNTS.contains(&field),
        Value::Object(map) => map.is_empty() && field != "emptyDir",
        _ => value.is_null(),
    };
    if !is_unset {
        out.insert(field.to_owned(), value);
    }
    Ok(())
}

fn scalar(kind: &str, wire: &Wire<'_>) -> Result<Value, String> {
    Ok(match (kind, wire) {
        ("i", Wire::Number(number)) => number.cast_signed().into(),
        ("b", Wire::Number(number)) => (*number != 0).into(),
        ("s", Wire::Bytes(text)) => utf8(text)?.into(),
        ("y", Wire::Bytes(bytes)) => serde_json::to_value(ByteString(bytes.to_vec())).unwrap_or_default(),
        ("Time", Wire::Bytes(bytes)) => time(bytes)?,
        ("Quantity", Wire::Bytes(bytes)) => match fields(bytes)?.first() {
            Some((1, Wire::Bytes(text))) => utf8(text)?.into(),
            _ => Value::Null,
        },
        ("IntOrString", Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (name, Wire::Bytes(bytes)) => {
            let mut out = Map::new();
            message(name, bytes, &mut out)?;
            Value::Object(out)
        }
        (name, Wire::Number(_)) => return Err(format!("a number stands where a {name} is expected")),
    })
}

fn time(bytes: &[u8]) -> Result<Value, String> {
    for (number, wire) in fields(bytes)? {
        if let (1, Wire::Number(seconds)) = (number, wire)
            && let Ok(at) = Timestamp::from_second(seconds.cast_signed())
            && seconds != 0
        {
            return Ok(crate::clock::stamp(at).into());
        }
    }
    Ok(Value::Null)
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for (field, wire) in fields(bytes)? {
        match (field, wire) {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(value)) => text = utf8(value)?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|e| format!("a string is not UTF-8: {e}"))
}

/// The fields of a message in the order of the wire.
fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, String> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|e| e.to_string())?;
                let (value, rest) =
                    bytes.split_at_checked(length).ok_or("the body ends in the middle of a field")?;
                bytes = rest;
                Wire::Bytes(value)
            }
            other => return Err(format!("wire type {other} is not used by Kubernetes")),
        };
        all.push((tag >> 3, wire));
    }
    Ok(all)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("the body ends in the middle of a number")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [field(1, b"cfg"), field(3, b""), field(8, b"")].concat();
        let entry = [field(1, b"key"), field(2, b"value")].concat();
        let raw = [field(1, &metadata), field(2, &entry)].concat();
        assert_eq!(
            decode(&body("ConfigMap", &raw)).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cfg"}, "data": {"key": "value"}})
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_not_dropped() {
        assert!(decode(&body("Widget", b"")).unwrap_err().contains("Widget"));
        let unknown = field(15, b"x");
        assert!(decode(&body("ConfigMap", &unknown)).unwrap_err().contains("field 15 of ConfigMap"));
        assert!(decode(b"{}").is_err());
        assert!(decode(&body("ConfigMap", &[0x0a, 0x40])).unwrap_err().contains("ends in the middle"));
    }
}
