//! Validation of the kinds that run pods.

use serde_json::Value;

use super::{names, pod};
use crate::{json, selector::Labels, status::FieldError};

/// Checks what Deployments, ReplicaSets, StatefulSets and DaemonSets have in common.
pub(super) fn common(object: &Value, errors: &mut Vec<FieldError>) {
    not_negative(object, "spec.replicas", errors);
    not_negative(object, "spec.minReadySeconds", errors);
    not_negative(object, "spec.revisionHistoryLimit", errors);
    let selector = &object["spec"]["selector"];
    let empty = Labels::from_object(selector).is_empty();
    if selector.is_null() {
        errors.push(FieldError::required("spec.selector", ""));
    } else if empty {
        errors.push(FieldError::invalid(
            "spec.selector",
            selector,
            "empty selector is invalid for deployment",
        ));
    }
    let labels = object.pointer("/spec/template/metadata/labels").unwrap_or(&Value::Null);
    if !empty && !Labels::from_object(selector).select_labels(labels) {
        errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    template(object, errors);
    let policy = json::text(object, "/spec/template/spec/restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
}

/// Checks the labels and the pod spec of the template.
pub(super) fn template(object: &Value, errors: &mut Vec<FieldError>) {
    names::labels("spec.template.labels", json::map(object, "/spec/template/metadata/labels"), errors);
    pod::spec("spec.template.spec", &object["spec"]["template"]["spec"], errors);
}

pub(super) fn not_negative(object: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let pointer = format!("/{}", field.replace('.', "/"));
    if let Some(value) = object.pointer(&pointer).filter(|v| v.as_i64().is_some_and(|n| n < 0)) {
        errors.push(FieldError::invalid(field, value, "must be greater than or equal to 0"));
    }
}

pub(super) fn deployment(object: &Value, errors: &mut Vec<FieldError>) {
    common(object, errors);
    let strategy = &object["spec"]["strategy"];
    match json::text(strategy, "/type") {
        "RollingUpdate" => {
            for name in ["maxUnavailable", "maxSurge"] {
                amount(
                    &format!("spec.strategy.rollingUpdate.{name}"),
                    &strategy["rollingUpdate"][name],
                    errors,
                );
            }
            let zero = |name: &str| {
                matches!(&strategy["rollingUpdate"][name], Value::Number(n) if n.as_i64() == Some(0))
                    || strategy["rollingUpdate"][name] == "0%"
            };
            if zero("maxUnavailable") && zero("maxSurge") {
                errors.push(FieldError::invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    &strategy["rollingUpdate"]["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        "Recreate" if strategy.get("rollingUpdate").is_some() => errors.push(FieldError::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" => {}
        other => {
            errors.push(FieldError::unsupported("spec.strategy.type", other, &["Recreate", "RollingUpdate"]));
        }
    }
    let (deadline, ready) =
        (json::count(object, "/spec/progressDeadlineSeconds"), json::count(object, "/spec/minReadySeconds"));
    if deadline <= ready {
        errors.push(FieldError::invalid(
            "spec.progressDeadlineSeconds",
            &object["spec"]["progressDeadlineSeconds"],
            "must be greater than minReadySeconds",
        ));
    }
}

/// Checks a count or a percentage.
fn amount(field: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let fits = match value {
        Value::Number(n) => n.as_i64().is_some_and(|n| n >= 0),
        Value::String(s) => s.strip_suffix('%').is_some_and(|p| p.parse::<u32>().is_ok()),
        _ => false,
    };
    if !fits {
        let text = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for \
            validation is '[0-9]+%')";
        errors.push(FieldError::invalid(field, value, text));
    }
}

pub(super) fn job(object: &Value, errors: &mut Vec<FieldError>) {
    for field in ["spec.parallelism", "spec.completions", "spec.backoffLimit", "spec.activeDeadlineSeconds"] {
        not_negative(object, field, errors);
    }
    template(object, errors);
    let policy = json::text(object, "/spec/template/spec/restartPolicy");
    if policy == "Always" {
        errors.push(FieldError::unsupported(
            "spec.template.spec.restartPolicy",
            policy,
            &["OnFailure", "Never"],
        ));
    }
}
