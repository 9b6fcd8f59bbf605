//! What the API server refuses with 422 Invalid.

use serde_json::Value;

use super::{names, pod, workload};
use crate::{
    custom, json,
    kinds::Kind,
    status::{ApiError, ApiResult, FieldError},
};

/// Checks a new state of an object, against the old one when there is one.
///
/// # Errors
/// 422 with one cause for each field.
pub(crate) fn validate(kind: &Kind, old: Option<&Value>, new: &Value) -> ApiResult<()> {
    let mut errors = Vec::new();
    names::metadata(kind, new, &mut errors);
    fields(kind, new, &mut errors);
    if let Some(old) = old {
        transition(kind, old, new, &mut errors);
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind, json::name(new), &errors)) }
}

fn fields(kind: &Kind, new: &Value, errors: &mut Vec<FieldError>) {
    if let Some(schema) = kind.custom.as_ref().and_then(|c| c.schema.as_ref()) {
        custom::validate(schema, new, errors);
        return;
    }
    match kind.resource.as_str() {
        "pods" => pod::spec("spec", &new["spec"], errors),
        "deployments.apps" => workload::deployment(new, errors),
        "replicasets.apps" | "statefulsets.apps" | "daemonsets.apps" => workload::common(new, errors),
        "jobs.batch" => workload::job(new, errors),
        "services" => service(new, errors),
        "configmaps" => {
            names::data_keys("data", json::map(new, "/data"), errors);
            names::data_keys("binaryData", json::map(new, "/binaryData"), errors);
            let maps = [(json::map(new, "/data"), false), (json::map(new, "/binaryData"), true)];
            // The real message names no field: "[]".
            names::data_size("[]", &maps, errors);
        }
        "secrets" => {
            names::data_keys("data", json::map(new, "/data"), errors);
            names::data_size("data", &[(json::map(new, "/data"), true)], errors);
        }
        "cronjobs.batch" => cron_job(new, errors),
        "horizontalpodautoscalers.autoscaling" => autoscaler(new, errors),
        "ingresses.networking.k8s.io" => ingress(new, errors),
        custom::DEFINITIONS => custom::check_definition(new, errors),
        _ => {}
    }
}

fn service(new: &Value, errors: &mut Vec<FieldError>) {
    let kind = json::text(new, "/spec/type");
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kinds.contains(&kind) {
        errors.push(FieldError::unsupported("spec.type", kind, &kinds));
    }
    if kind == "ExternalName" && json::text(new, "/spec/externalName").is_empty() {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    let ports = json::items(new, "/spec/ports");
    let headless = json::text(new, "/spec/clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        pod::port_number(&format!("spec.ports[{index}].port"), &port["port"], errors);
        pod::protocol(&format!("spec.ports[{index}].protocol"), port, errors);
        if ports.len() > 1 && json::text(port, "/name").is_empty() {
            errors.push(FieldError::required(format!("spec.ports[{index}].name"), ""));
        }
    }
    names::labels("spec.selector", json::map(new, "/spec/selector"), errors);
}

fn cron_job(new: &Value, errors: &mut Vec<FieldError>) {
    let schedule = json::text(new, "/spec/schedule");
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        errors.push(FieldError::required("spec.schedule", ""));
    } else if !schedule.starts_with('@') && fields.len() != 5 {
        let text = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
        errors.push(FieldError::invalid("spec.schedule", &schedule.into(), &text));
    }
    let policy = json::text(new, "/spec/jobTemplate/spec/template/spec/restartPolicy");
    if policy == "Always" {
        let field = "spec.jobTemplate.spec.template.spec.restartPolicy";
        errors.push(FieldError::unsupported(field, policy, &["OnFailure", "Never"]));
    }
}

fn autoscaler(new: &Value, errors: &mut Vec<FieldError>) {
    let (min, max) = (json::count(new, "/spec/minReplicas"), json::count(new, "/spec/maxReplicas"));
    if max < 1 {
        errors.push(FieldError::invalid(
            "spec.maxReplicas",
            &new["spec"]["maxReplicas"],
            "must be greater than 0",
        ));
    } else if max < min {
        let text = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid("spec.maxReplicas", &new["spec"]["maxReplicas"], text));
    }
    for field in ["kind", "name"] {
        if json::text(new, &format!("/spec/scaleTargetRef/{field}")).is_empty() {
            errors.push(FieldError::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
}

fn ingress(new: &Value, errors: &mut Vec<FieldError>) {
    if json::items(new, "/spec/rules").is_empty() && new.pointer("/spec/defaultBackend").is_none() {
        let text = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid("spec", &Value::Array(Vec::new()), text));
    }
    for (rule_index, rule) in json::items(new, "/spec/rules").iter().enumerate() {
        for (index, path) in json::items(rule, "/http/paths").iter().enumerate() {
            let at = format!("spec.rules[{rule_index}].http.paths[{index}]");
            if json::text(path, "/pathType").is_empty() {
                errors.push(FieldError::required(format!("{at}.pathType"), "pathType must be specified"));
            }
        }
    }
}

/// Fields that may not change after creation.
fn transition(kind: &Kind, old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let immutable: &[&str] = match kind.resource.as_str() {
        "deployments.apps" | "replicasets.apps" | "daemonsets.apps" => &["spec.selector"],
        "jobs.batch" => &[
            "spec.completions",
            "spec.selector",
            "spec.template",
            "spec.completionMode",
            "spec.podFailurePolicy",
            "spec.backoffLimitPerIndex",
            "spec.managedBy",
            "spec.successPolicy",
        ],
        "secrets" => &["type"],
        "endpointslices.discovery.k8s.io" => &["addressType"],
        _ => &[],
    };
    for field in immutable {
        let pointer = format!("/{}", field.replace('.', "/"));
        let (before, after) = (old.pointer(&pointer), new.pointer(&pointer));
        if before != after {
            errors.push(FieldError::invalid(*field, after.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
    match kind.resource.as_str() {
        "statefulsets.apps" => stateful_set_transition(old, new, errors),
        "pods" => pod_transition(old, new, errors),
        "configmaps" | "secrets" if json::flag(old, "/immutable") => {
            let text = "field is immutable when `immutable` is set";
            if !json::flag(new, "/immutable") {
                errors.push(FieldError::forbidden("immutable", text));
            }
            for field in ["data", "binaryData"].into_iter().filter(|f| old[*f] != new[*f]) {
                errors.push(FieldError::forbidden(field, text));
            }
        }
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io"
            if old["roleRef"] != new["roleRef"] =>
        {
            errors.push(FieldError::invalid("roleRef", &new["roleRef"], "cannot change roleRef"));
        }
        "persistentvolumeclaims" => claim_transition(old, new, errors),
        "services" => {
            let (before, after) = (json::text(old, "/spec/clusterIP"), json::text(new, "/spec/clusterIP"));
            let same_type = old["spec"]["type"] == new["spec"]["type"];
            if same_type && !before.is_empty() && before != after {
                let text = "may not change once set";
                errors.push(FieldError::invalid("spec.clusterIPs[0]", &serde_json::json!([after]), text));
            }
        }
        _ => {}
    }
}

fn claim_transition(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        json::remove(&mut spec, "/resources");
        json::remove(&mut spec, "/volumeAttributesClassName");
        spec
    };
    if fixed(old) != fixed(new) {
        let text = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden("spec", text));
    }
}

fn stateful_set_transition(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    const MUTABLE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(map) = spec.as_object_mut() {
            map.retain(|k, _| !MUTABLE.contains(&k.as_str()));
        }
        spec
    };
    if fixed(old) != fixed(new) {
        errors.push(FieldError::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn pod_transition(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        for list in ["/containers", "/initContainers"] {
            for container in json::items_mut(&mut spec, list) {
                json::remove(container, "/image");
            }
        }
        for field in [
            "/activeDeadlineSeconds",
            "/tolerations",
            "/terminationGracePeriodSeconds",
            "/nodeName",
            "/schedulingGates",
        ] {
            json::remove(&mut spec, field);
        }
        spec
    };
    if fixed(old) != fixed(new) {
        errors.push(FieldError::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kinds, strategy::set_defaults};
    use serde_json::json;

    fn deployment(change: impl FnOnce(&mut Value)) -> ApiResult<()> {
        let kind = kinds::of("deployments.apps");
        let mut object = json!({"metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}});
        change(&mut object);
        set_defaults(kind, &mut object);
        validate(kind, None, &object)
    }

    #[test]
    fn a_plain_deployment_is_valid() {
        assert_eq!(deployment(|_| {}), Ok(()));
    }

    #[test]
    fn refusals_are_worded_as_the_real_ones() {
        let error =
            deployment(|d| d["spec"]["template"]["metadata"]["labels"] = json!({"app": "api"})).unwrap_err();
        assert_eq!(
            error.message,
            "Deployment.apps \"web\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"api\"}: `selector` does not match template `labels`"
        );
        let error = deployment(|d| {
            d["spec"]["replicas"] = json!(-1);
            d["spec"]["template"]["spec"]["containers"][0] = json!({"name": "web"});
        })
        .unwrap_err();
        assert_eq!(
            error.message,
            "Deployment.apps \"web\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.template.spec.containers[0].image: Required value]"
        );
        assert_eq!(error.code, 422);
        assert_eq!(error.details["causes"][1]["field"], "spec.template.spec.containers[0].image");
        let error = deployment(|d| d["metadata"]["name"] = json!("Web")).unwrap_err();
        assert!(error.message.contains("a lowercase RFC 1123 subdomain"), "{}", error.message);
    }

    #[test]
    fn a_mount_of_no_volume_and_a_request_above_its_limit_are_refused() {
        let error = deployment(|d| {
            d["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
                json!([{"name": "cfg", "mountPath": "/etc"}]);
            d["spec"]["template"]["spec"]["containers"][0]["resources"] =
                json!({"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}});
        })
        .unwrap_err();
        assert!(error.message.contains("volumeMounts[0].name: Not found: \"cfg\""), "{}", error.message);
        assert!(
            error.message.contains("must be less than or equal to cpu limit of 500m"),
            "{}",
            error.message
        );
    }
}
