//! The label selector of a workload, as the API takes it in a query.

use serde_json::Value;

/// `app=web,tier in (a,b)` from the workload's `spec.selector`; `None` for kinds without one, a Pod among
/// them.
pub(crate) fn of(workload: &Value) -> Option<String> {
    let selector = &workload["spec"]["selector"];
    if !selector.is_object() {
        return None;
    }
    // A ReplicationController and a Service select by plain labels.
    let plain = !selector["matchLabels"].is_object() && !selector["matchExpressions"].is_array();
    let labels = if plain { selector } else { &selector["matchLabels"] };
    let mut parts: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    let expressions = selector["matchExpressions"].as_array().map(Vec::as_slice).unwrap_or_default();
    parts.extend(expressions.iter().filter_map(expression));
    (!parts.is_empty()).then(|| parts.join(","))
}

fn expression(expression: &Value) -> Option<String> {
    let key = expression["key"].as_str()?;
    let values: Vec<&str> =
        expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match expression["operator"].as_str()? {
        "In" => Some(format!("{key} in ({})", values.join(","))),
        "NotIn" => Some(format!("{key} notin ({})", values.join(","))),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_and_expressions_become_one_selector() {
        let workload = json!({"spec": {"selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}
        ]}}});
        assert_eq!(of(&workload).unwrap(), "app=web,tier in (a,b),!old");
        assert_eq!(of(&json!({"spec": {"selector": {"app": "web"}}})).unwrap(), "app=web");
        assert_eq!(of(&json!({"spec": {}})), None);
    }
}
