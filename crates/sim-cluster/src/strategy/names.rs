//! The rules for names, labels and keys.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::{json, kinds::Kind, status::FieldError};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of this file are valid")
}

static SUBDOMAIN: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"));
static LABEL: LazyLock<Regex> = LazyLock::new(|| regex(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"));
static LABEL_1035: LazyLock<Regex> = LazyLock::new(|| regex(r"^[a-z]([-a-z0-9]*[a-z0-9])?$"));
static LABEL_VALUE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"));
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| regex(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"));
static DATA_KEY: LazyLock<Regex> = LazyLock::new(|| regex(r"^[-._a-zA-Z0-9]+$"));

const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
    start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
    end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
    character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
    '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED_TEXT: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Checks name, labels and annotations.
pub(super) fn metadata(kind: &Kind, object: &Value, errors: &mut Vec<FieldError>) {
    let name = json::name(object);
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if kind.group == "rbac.authorization.k8s.io" {
        if name.contains(['/', '%']) || name == "." || name == ".." {
            errors.push(FieldError::invalid("metadata.name", &name.into(), "may not contain '/' or '%'"));
        }
    } else {
        let (pattern, text, length) = match kind.resource.as_str() {
            "namespaces" => (&*LABEL, LABEL_TEXT, 63),
            "services" => (&*LABEL_1035, LABEL_1035_TEXT, 63),
            _ => (&*SUBDOMAIN, SUBDOMAIN_TEXT, 253),
        };
        if name.len() > length {
            let text = format!("must be no more than {length} characters");
            errors.push(FieldError::invalid("metadata.name", &name.into(), &text));
        } else if !pattern.is_match(name) {
            errors.push(FieldError::invalid("metadata.name", &name.into(), text));
        }
    }
    labels("metadata.labels", json::map(object, "/metadata/labels"), errors);
    for key in json::map(object, "/metadata/annotations").into_iter().flat_map(Map::keys) {
        qualified("metadata.annotations", key, errors);
    }
    let annotations = json::map(object, "/metadata/annotations").into_iter().flatten();
    let size: usize = annotations.map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
}

const MAX_ANNOTATIONS: usize = 256 * 1024;

/// What a ConfigMap or Secret may hold.
const MAX_DATA: usize = 1024 * 1024;

/// Checks the size of what stands in `maps`; values are in base64 where `encoded`.
pub(super) fn data_size(
    field: &str,
    maps: &[(Option<&Map<String, Value>>, bool)],
    errors: &mut Vec<FieldError>,
) {
    let mut size = 0;
    for (map, encoded) in maps {
        for (_, value) in map.iter().flat_map(|m| m.iter()) {
            let length = value.as_str().map_or(0, str::len);
            size += if *encoded { length / 4 * 3 } else { length };
        }
    }
    if size > MAX_DATA {
        errors.push(FieldError::too_long(field, MAX_DATA));
    }
}

/// Checks the keys and values of a map of labels at `field`.
pub(super) fn labels(field: &str, labels: Option<&Map<String, Value>>, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.into_iter().flatten() {
        qualified(field, key, errors);
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            errors.push(FieldError::invalid(field, value, "must be no more than 63 bytes"));
        } else if !LABEL_VALUE.is_match(text) {
            errors.push(FieldError::invalid(field, value, LABEL_VALUE_TEXT));
        }
    }
}

fn qualified(field: &str, key: &str, errors: &mut Vec<FieldError>) {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    if name.len() > 63 {
        errors.push(FieldError::invalid(field, &key.into(), "name part must be no more than 63 bytes"));
    } else if !QUALIFIED.is_match(name) {
        errors.push(FieldError::invalid(field, &key.into(), QUALIFIED_TEXT));
    }
    if !prefix.is_empty() && !SUBDOMAIN.is_match(&prefix.to_lowercase()) {
        errors.push(FieldError::invalid(field, &key.into(), &format!("prefix part {SUBDOMAIN_TEXT}")));
    }
}

/// Checks that `name` is an RFC 1123 label, as the names of containers and volumes are.
pub(super) fn label(field: &str, name: &str, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else if name.len() > 63 {
        errors.push(FieldError::invalid(field, &name.into(), "must be no more than 63 characters"));
    } else if !LABEL.is_match(name) {
        errors.push(FieldError::invalid(field, &name.into(), LABEL_TEXT));
    }
}

/// Checks the keys of a ConfigMap's or Secret's data.
pub(super) fn data_keys(field: &str, data: Option<&Map<String, Value>>, errors: &mut Vec<FieldError>) {
    for key in data.into_iter().flat_map(Map::keys).filter(|k| !DATA_KEY.is_match(k)) {
        let text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
            'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
        errors.push(FieldError::invalid(format!("{field}[{key}]"), &key.as_str().into(), text));
    }
}
