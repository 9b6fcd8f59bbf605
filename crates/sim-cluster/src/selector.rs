//! Label and field selectors.

use serde_json::Value;

use crate::{
    json,
    status::{ApiError, ApiResult},
};

#[derive(Debug, Clone, PartialEq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

/// All requirements must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Labels(Vec<Requirement>);

impl Labels {
    /// Reads the `labelSelector` parameter (`app=web,tier in (a,b),!old`).
    pub(crate) fn parse(text: &str) -> ApiResult<Self> {
        split_outside_parentheses(text)
            .into_iter()
            .map(|part| requirement(part.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Reads a LabelSelector object (`matchLabels`, `matchExpressions`). An empty one selects everything.
    pub(crate) fn from_object(selector: &Value) -> Self {
        let mut all = Self::from_map(&selector["matchLabels"]).0;
        for expression in json::items(selector, "/matchExpressions") {
            let operator = match json::text(expression, "/operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                _ => Operator::Absent,
            };
            let values = json::items(expression, "/values")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            all.push(Requirement { key: json::text(expression, "/key").to_owned(), operator, values });
        }
        Self(all)
    }

    /// Reads a plain map of labels, as a Service's selector.
    pub(crate) fn from_map(labels: &Value) -> Self {
        let pairs = labels.as_object().into_iter().flatten();
        Self(
            pairs
                .map(|(k, v)| Requirement {
                    key: k.clone(),
                    operator: Operator::In,
                    values: vec![v.as_str().unwrap_or_default().to_owned()],
                })
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the object's labels satisfy the selector.
    pub(crate) fn select(&self, object: &Value) -> bool {
        self.select_labels(object.pointer("/metadata/labels").unwrap_or(&Value::Null))
    }

    pub(crate) fn select_labels(&self, labels: &Value) -> bool {
        self.0.iter().all(|r| {
            let value = labels.get(&r.key).and_then(Value::as_str);
            match r.operator {
                Operator::In => value.is_some_and(|v| r.values.iter().any(|w| w == v)),
                Operator::NotIn => value.is_none_or(|v| r.values.iter().all(|w| w != v)),
                Operator::Exists => value.is_some(),
                Operator::Absent => value.is_none(),
            }
        })
    }
}

impl std::fmt::Display for Labels {
    /// The form of the `scale` subresource's `status.selector`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, r) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (&r.operator, r.values.as_slice()) {
                (Operator::In, [one]) => write!(f, "{comma}{}={one}", r.key)?,
                (Operator::In, many) => write!(f, "{comma}{} in ({})", r.key, many.join(","))?,
                (Operator::NotIn, many) => write!(f, "{comma}{} notin ({})", r.key, many.join(","))?,
                (Operator::Exists, _) => write!(f, "{comma}{}", r.key)?,
                (Operator::Absent, _) => write!(f, "{comma}!{}", r.key)?,
            }
        }
        Ok(())
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.filter(|p| !p.trim().is_empty()).collect()
}

fn requirement(part: &str) -> ApiResult<Requirement> {
    let made = |key: &str, operator, values: Vec<&str>| Requirement {
        key: key.trim().to_owned(),
        operator,
        values: values.into_iter().map(|v| v.trim().to_owned()).collect(),
    };
    if let Some(key) = part.strip_prefix('!') {
        return Ok(made(key, Operator::Absent, Vec::new()));
    }
    if let Some((left, list)) = part.split_once('(') {
        let values = list.trim_end_matches(')').split(',').collect();
        let mut words = left.split_whitespace();
        return match (words.next(), words.next()) {
            (Some(key), Some("in")) => Ok(made(key, Operator::In, values)),
            (Some(key), Some("notin")) => Ok(made(key, Operator::NotIn, values)),
            _ => Err(unparsable(part)),
        };
    }
    let found = ["!=", "==", "="].iter().find_map(|op| Some((*op, part.split_once(op)?)));
    match found {
        Some(("!=", (key, value))) => Ok(made(key, Operator::NotIn, vec![value])),
        Some((_, (key, value))) => Ok(made(key, Operator::In, vec![value])),
        None if part.contains(char::is_whitespace) => Err(unparsable(part)),
        None => Ok(made(part, Operator::Exists, Vec::new())),
    }
}

fn unparsable(part: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {part:?} is not a label selector"))
}

/// The fields of a resource that can be selected by, beside `metadata.name` and `metadata.namespace`, and where they stand.
fn selectable(resource: &str) -> &'static [(&'static str, &'static str)] {
    match resource {
        "pods" => &[
            ("spec.nodeName", "/spec/nodeName"),
            ("spec.restartPolicy", "/spec/restartPolicy"),
            ("spec.schedulerName", "/spec/schedulerName"),
            ("spec.serviceAccountName", "/spec/serviceAccountName"),
            ("status.phase", "/status/phase"),
            ("status.podIP", "/status/podIP"),
            ("status.nominatedNodeName", "/status/nominatedNodeName"),
        ],
        "events" => &[
            ("involvedObject.kind", "/involvedObject/kind"),
            ("involvedObject.namespace", "/involvedObject/namespace"),
            ("involvedObject.name", "/involvedObject/name"),
            ("involvedObject.uid", "/involvedObject/uid"),
            ("involvedObject.apiVersion", "/involvedObject/apiVersion"),
            ("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
            ("involvedObject.fieldPath", "/involvedObject/fieldPath"),
            ("reason", "/reason"),
            ("reportingComponent", "/reportingComponent"),
            ("source", "/source/component"),
            ("type", "/type"),
        ],
        "secrets" => &[("type", "/type")],
        "namespaces" => &[("status.phase", "/status/phase")],
        "nodes" => &[("spec.unschedulable", "/spec/unschedulable")],
        "services" => &[("spec.clusterIP", "/spec/clusterIP"), ("spec.type", "/spec/type")],
        "replicasets.apps" | "replicationcontrollers" => &[("status.replicas", "/status/replicas")],
        "jobs.batch" => &[("status.successful", "/status/succeeded")],
        _ => &[],
    }
}

/// A field selector: `metadata.name=web,status.phase!=Running`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields(Vec<(&'static str, bool, String)>);

impl Fields {
    /// Reads the `fieldSelector` parameter of a request for `resource`.
    pub(crate) fn parse(resource: &str, text: &str) -> ApiResult<Self> {
        let mut all = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let found = ["!=", "==", "="].iter().find_map(|op| Some((*op, part.split_once(op)?)));
            let Some((op, (field, value))) = found else {
                return Err(ApiError::bad_request(format!(
                    "invalid field selector: {part:?}; can't understand {part:?}"
                )));
            };
            let pointer = match field {
                "metadata.name" => Some("/metadata/name"),
                "metadata.namespace" => Some("/metadata/namespace"),
                _ => selectable(resource).iter().find(|(f, _)| *f == field).map(|(_, pointer)| *pointer),
            };
            let Some(pointer) = pointer else {
                return Err(ApiError::bad_request(format!("field label not supported: {field}")));
            };
            all.push((pointer, op != "!=", value.to_owned()));
        }
        Ok(Self(all))
    }

    pub(crate) fn select(&self, object: &Value) -> bool {
        let text = |pointer: &str| match object.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        self.0.iter().all(|(pointer, equal, value)| (text(pointer) == *value) == *equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_of_every_form_select() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        for (text, selected) in [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (api, web),tier", true),
            ("app notin (web)", false),
            ("!old", true),
            ("!app", false),
            ("other", false),
            ("", true),
        ] {
            assert_eq!(Labels::parse(text).unwrap().select(&object), selected, "{text}");
        }
        assert_eq!(Labels::parse("a b c").unwrap_err().code, 400);
    }

    #[test]
    fn field_selectors_read_nested_fields_and_refuse_unknown_ones() {
        let event = json!({"involvedObject": {"name": "web", "kind": "Pod"}});
        assert!(
            Fields::parse("events", "involvedObject.name=web,involvedObject.kind!=Job")
                .unwrap()
                .select(&event)
        );
        assert!(Fields::parse("pods", "spec.image=web").unwrap_err().message.contains("not supported"));
        // What pods can be selected by, Deployments cannot.
        assert!(Fields::parse("deployments.apps", "status.phase=Running").is_err());
    }
}
