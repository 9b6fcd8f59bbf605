//! Validation of pod specs, wherever they stand.

use serde_json::Value;

use super::{names, quantity};
use crate::{json, status::FieldError};

/// Checks the pod spec found at `field` (`spec` or `spec.template.spec`).
pub(super) fn spec(field: &str, spec: &Value, errors: &mut Vec<FieldError>) {
    let volumes = json::items(spec, "/volumes");
    for (index, volume) in volumes.iter().enumerate() {
        names::label(&format!("{field}.volumes[{index}].name"), json::text(volume, "/name"), errors);
        if volumes[..index].iter().any(|v| v["name"] == volume["name"]) {
            errors.push(FieldError::duplicate(
                format!("{field}.volumes[{index}].name"),
                json::text(volume, "/name"),
            ));
        }
    }
    let containers = json::items(spec, "/containers");
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{field}.containers"), ""));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (list, name) in [("/initContainers", "initContainers"), ("/containers", "containers")] {
        for (index, one) in json::items(spec, list).iter().enumerate() {
            let at = format!("{field}.{name}[{index}]");
            let container_name = json::text(one, "/name");
            if seen.contains(&container_name) && !container_name.is_empty() {
                errors.push(FieldError::duplicate(format!("{at}.name"), container_name));
            }
            seen.push(container_name);
            container(&at, one, volumes, errors);
        }
    }
    let policy = json::text(spec, "/restartPolicy");
    if !["Always", "OnFailure", "Never"].contains(&policy) {
        errors.push(FieldError::unsupported(
            format!("{field}.restartPolicy"),
            policy,
            &["Always", "OnFailure", "Never"],
        ));
    }
    if json::count(spec, "/terminationGracePeriodSeconds") < 0 {
        let value = &spec["terminationGracePeriodSeconds"];
        errors.push(FieldError::invalid(
            format!("{field}.terminationGracePeriodSeconds"),
            value,
            "must be greater than or equal to 0",
        ));
    }
}

fn container(at: &str, container: &Value, volumes: &[Value], errors: &mut Vec<FieldError>) {
    names::label(&format!("{at}.name"), json::text(container, "/name"), errors);
    let image = json::text(container, "/image");
    if image.is_empty() {
        errors.push(FieldError::required(format!("{at}.image"), ""));
    } else if image.trim() != image {
        errors.push(FieldError::invalid(
            format!("{at}.image"),
            &image.into(),
            "must not have leading or trailing whitespace",
        ));
    }
    let policy = json::text(container, "/imagePullPolicy");
    if !["Always", "IfNotPresent", "Never"].contains(&policy) {
        let supported = ["Always", "IfNotPresent", "Never"];
        errors.push(FieldError::unsupported(format!("{at}.imagePullPolicy"), policy, &supported));
    }
    for (index, port) in json::items(container, "/ports").iter().enumerate() {
        port_number(&format!("{at}.ports[{index}].containerPort"), &port["containerPort"], errors);
        protocol(&format!("{at}.ports[{index}].protocol"), port, errors);
    }
    for (index, variable) in json::items(container, "/env").iter().enumerate() {
        if json::text(variable, "/name").is_empty() {
            errors.push(FieldError::required(format!("{at}.env[{index}].name"), ""));
        }
        if !json::text(variable, "/value").is_empty() && variable.get("valueFrom").is_some() {
            let value = &variable["value"];
            errors.push(FieldError::invalid(
                format!("{at}.env[{index}].valueFrom"),
                value,
                "may not be specified when `value` is not empty",
            ));
        }
    }
    for (index, mount) in json::items(container, "/volumeMounts").iter().enumerate() {
        let name = json::text(mount, "/name");
        if name.is_empty() {
            errors.push(FieldError::required(format!("{at}.volumeMounts[{index}].name"), ""));
        } else if !volumes.iter().any(|v| json::text(v, "/name") == name) {
            errors.push(FieldError::not_found(format!("{at}.volumeMounts[{index}].name"), name));
        }
        if json::text(mount, "/mountPath").is_empty() {
            errors.push(FieldError::required(format!("{at}.volumeMounts[{index}].mountPath"), ""));
        }
    }
    resources(at, container, errors);
}

fn resources(at: &str, container: &Value, errors: &mut Vec<FieldError>) {
    for part in ["limits", "requests"] {
        for (name, value) in json::map(container, &format!("/resources/{part}")).into_iter().flatten() {
            let field = format!("{at}.resources.{part}[{name}]");
            match value.as_str().and_then(quantity::parse) {
                None => errors.push(FieldError::invalid(
                    field,
                    value,
                    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                )),
                Some(amount) if amount < 0.0 => {
                    errors.push(FieldError::invalid(field, value, "must be greater than or equal to 0"));
                }
                Some(_) => {}
            }
        }
    }
    for (name, request) in json::map(container, "/resources/requests").into_iter().flatten() {
        let limit = container.pointer(&format!("/resources/limits/{name}"));
        let amount = |v: &Value| v.as_str().and_then(quantity::parse);
        if let Some(limit) = limit
            && amount(request) > amount(limit)
        {
            let text = format!(
                "must be less than or equal to {name} limit of {}",
                limit.as_str().unwrap_or_default()
            );
            errors.push(FieldError::invalid(format!("{at}.resources.requests"), request, &text));
        }
    }
}

/// Checks that a port is in 1..=65535.
pub(super) fn port_number(field: &str, port: &Value, errors: &mut Vec<FieldError>) {
    match port.as_i64() {
        None | Some(0) => errors.push(FieldError::required(field, "")),
        Some(1..=65535) => {}
        Some(_) => errors.push(FieldError::invalid(field, port, "must be between 1 and 65535, inclusive")),
    }
}

/// Checks the `protocol` of a port.
pub(super) fn protocol(field: &str, port: &Value, errors: &mut Vec<FieldError>) {
    let name = json::text(port, "/protocol");
    if !["TCP", "UDP", "SCTP"].contains(&name) {
        errors.push(FieldError::unsupported(field, name, &["SCTP", "TCP", "UDP"]));
    }
}
