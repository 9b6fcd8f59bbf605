//! The fields that the API server fills in.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::{
    custom,
    json::{self, set_default},
    kinds::Kind,
};

/// Fills in the defaults of a kind. Filling in twice changes nothing.
pub(crate) fn set_defaults(kind: &Kind, object: &mut Value) {
    if let Some(schema) = kind.custom.as_ref().and_then(|c| c.schema.as_ref()) {
        custom::default(schema, object);
        return;
    }
    match kind.resource.as_str() {
        "pods" => pod_spec(object, "/spec"),
        "deployments.apps" => deployment(object),
        "replicasets.apps" | "replicationcontrollers" => {
            set_default(object, "/spec/replicas", 1);
            pod_spec(object, "/spec/template/spec");
        }
        "statefulsets.apps" => stateful_set(object),
        "daemonsets.apps" => {
            set_default(object, "/spec/updateStrategy/type", "RollingUpdate");
            if json::text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
                set_default(object, "/spec/updateStrategy/rollingUpdate/maxUnavailable", 1);
                set_default(object, "/spec/updateStrategy/rollingUpdate/maxSurge", 0);
            }
            set_default(object, "/spec/revisionHistoryLimit", 10);
            pod_spec(object, "/spec/template/spec");
        }
        "jobs.batch" => job(object),
        "cronjobs.batch" => {
            set_default(object, "/spec/concurrencyPolicy", "Allow");
            set_default(object, "/spec/suspend", false);
            set_default(object, "/spec/successfulJobsHistoryLimit", 3);
            set_default(object, "/spec/failedJobsHistoryLimit", 1);
            pod_spec(object, "/spec/jobTemplate/spec/template/spec");
        }
        "services" => service(object),
        "secrets" => secret(object),
        "namespaces" => namespace(object),
        "horizontalpodautoscalers.autoscaling" => {
            set_default(object, "/spec/minReplicas", 1);
            let half = json!({ "type": "Utilization", "averageUtilization": 80 });
            set_default(
                object,
                "/spec/metrics",
                json!([{ "type": "Resource", "resource": { "name": "cpu", "target": half } }]),
            );
        }
        "limitranges" => limit_range(object),
        "persistentvolumeclaims" => set_default(object, "/spec/volumeMode", "Filesystem"),
        _ => {}
    }
}

fn limit_range(object: &mut Value) {
    for limit in json::items_mut(object, "/spec/limits") {
        if json::text(limit, "/type") != "Container" {
            continue;
        }
        for (field, source) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
        {
            let filled = json::map(limit, &format!("/{source}")).cloned().unwrap_or_default();
            if filled.is_empty() {
                continue;
            }
            let slot = json::map_mut(limit, &format!("/{field}"));
            for (resource, amount) in filled {
                slot.entry(resource).or_insert(amount);
            }
        }
    }
}

fn deployment(object: &mut Value) {
    set_default(object, "/spec/replicas", 1);
    set_default(object, "/spec/strategy/type", "RollingUpdate");
    if json::text(object, "/spec/strategy/type") == "RollingUpdate" {
        set_default(object, "/spec/strategy/rollingUpdate/maxUnavailable", "25%");
        set_default(object, "/spec/strategy/rollingUpdate/maxSurge", "25%");
    }
    set_default(object, "/spec/revisionHistoryLimit", 10);
    set_default(object, "/spec/progressDeadlineSeconds", 600);
    pod_spec(object, "/spec/template/spec");
}

fn stateful_set(object: &mut Value) {
    set_default(object, "/spec/replicas", 1);
    set_default(object, "/spec/podManagementPolicy", "OrderedReady");
    set_default(object, "/spec/updateStrategy/type", "RollingUpdate");
    if json::text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
        set_default(object, "/spec/updateStrategy/rollingUpdate/partition", 0);
    }
    set_default(object, "/spec/revisionHistoryLimit", 10);
    set_default(object, "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Retain");
    set_default(object, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled", "Retain");
    pod_spec(object, "/spec/template/spec");
}

fn job(object: &mut Value) {
    if object.pointer("/spec/completions").is_none() && object.pointer("/spec/parallelism").is_none() {
        json::set(object, "/spec/completions", 1);
    }
    set_default(object, "/spec/parallelism", 1);
    set_default(object, "/spec/backoffLimit", 6);
    set_default(object, "/spec/completionMode", "NonIndexed");
    set_default(object, "/spec/suspend", false);
    set_default(object, "/spec/manualSelector", false);
    set_default(object, "/spec/podReplacementPolicy", "TerminatingOrFailed");
    let uid = json::uid(object).to_owned();
    if !uid.is_empty() && !json::flag(object, "/spec/manualSelector") {
        let name = json::name(object).to_owned();
        set_default(
            object,
            "/spec/selector",
            json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } }),
        );
        let labels = json::map_mut(object, "/spec/template/metadata/labels");
        for (key, value) in [("controller-uid", &uid), ("job-name", &name)] {
            for prefix in ["batch.kubernetes.io/", ""] {
                labels.insert(format!("{prefix}{key}"), value.as_str().into());
            }
        }
    }
    pod_spec(object, "/spec/template/spec");
}

fn service(object: &mut Value) {
    set_default(object, "/spec/type", "ClusterIP");
    set_default(object, "/spec/sessionAffinity", "None");
    for port in json::items_mut(object, "/spec/ports") {
        set_default(port, "/protocol", "TCP");
        let number = port["port"].clone();
        set_default(port, "/targetPort", number);
    }
    if json::text(object, "/spec/type") != "ExternalName" {
        set_default(object, "/spec/ipFamilies", json!(["IPv4"]));
        set_default(object, "/spec/ipFamilyPolicy", "SingleStack");
        set_default(object, "/spec/internalTrafficPolicy", "Cluster");
    }
    if matches!(json::text(object, "/spec/type"), "NodePort" | "LoadBalancer") {
        set_default(object, "/spec/externalTrafficPolicy", "Cluster");
    }
    if json::text(object, "/spec/type") == "LoadBalancer" {
        set_default(object, "/spec/allocateLoadBalancerNodePorts", true);
    }
    set_default(object, "/status/loadBalancer", json!({}));
}

fn secret(object: &mut Value) {
    set_default(object, "/type", "Opaque");
    let Some(Value::Object(plain)) = json::remove(object, "/stringData") else { return };
    let data = json::map_mut(object, "/data");
    for (key, value) in plain {
        let bytes = ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
        data.insert(key, serde_json::to_value(bytes).unwrap_or_default());
    }
}

fn namespace(object: &mut Value) {
    let name = json::name(object).to_owned();
    if !name.is_empty() {
        json::map_mut(object, "/metadata/labels")
            .insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
    if !json::is_deleting(object) {
        set_default(object, "/spec/finalizers", json!(["kubernetes"]));
    }
    set_default(object, "/status/phase", "Active");
}

fn pod_spec(object: &mut Value, pointer: &str) {
    let Some(spec) = object.pointer_mut(pointer).filter(|s| s.is_object()) else { return };
    set_default(spec, "/restartPolicy", "Always");
    set_default(spec, "/dnsPolicy", "ClusterFirst");
    set_default(spec, "/schedulerName", "default-scheduler");
    set_default(spec, "/terminationGracePeriodSeconds", 30);
    set_default(spec, "/securityContext", json!({}));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        set_default(spec, "/serviceAccount", account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        set_default(spec, "/serviceAccountName", account);
    }
    for list in ["/initContainers", "/containers"] {
        json::items_mut(spec, list).iter_mut().for_each(container);
    }
    for volume in json::items_mut(spec, "/volumes") {
        for source in ["/configMap", "/secret", "/projected", "/downwardAPI"] {
            if volume.pointer(source).is_some() {
                set_default(volume, &format!("{source}/defaultMode"), 420);
            }
        }
        if volume.pointer("/hostPath").is_some() {
            set_default(volume, "/hostPath/type", "");
        }
    }
}

fn container(container: &mut Value) {
    set_default(container, "/terminationMessagePath", "/dev/termination-log");
    set_default(container, "/terminationMessagePolicy", "File");
    set_default(container, "/resources", json!({}));
    let policy = pull_policy(json::text(container, "/image"));
    set_default(container, "/imagePullPolicy", policy);
    for port in json::items_mut(container, "/ports") {
        set_default(port, "/protocol", "TCP");
    }
    for variable in json::items_mut(container, "/env") {
        if variable.pointer("/valueFrom/fieldRef").is_some() {
            set_default(variable, "/valueFrom/fieldRef/apiVersion", "v1");
        }
    }
    for probe in ["/readinessProbe", "/livenessProbe", "/startupProbe"] {
        let Some(probe) = container.pointer_mut(probe) else { continue };
        set_default(probe, "/timeoutSeconds", 1);
        set_default(probe, "/periodSeconds", 10);
        set_default(probe, "/successThreshold", 1);
        set_default(probe, "/failureThreshold", 3);
        if probe.get("httpGet").is_some() {
            set_default(probe, "/httpGet/scheme", "HTTP");
            set_default(probe, "/httpGet/path", "/");
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    let pinned = image.contains('@') || name.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest");
    if pinned { "IfNotPresent" } else { "Always" }
}

/// What admission adds to a new pod (not to templates).
pub(crate) fn finish_pod(pod: &mut Value) {
    set_default(pod, "/spec/serviceAccountName", "default");
    set_default(pod, "/spec/serviceAccount", "default");
    set_default(pod, "/spec/enableServiceLinks", true);
    set_default(pod, "/spec/preemptionPolicy", "PreemptLowerPriority");
    set_default(pod, "/spec/priority", 0);
    let key = |name: &str| json!({ "key": format!("node.kubernetes.io/{name}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
    set_default(pod, "/spec/tolerations", json!([key("not-ready"), key("unreachable")]));
    json::set(pod, "/status", json!({ "phase": "Pending", "qosClass": qos_class(pod) }));
}

fn qos_class(pod: &Value) -> &'static str {
    let containers = json::items(pod, "/spec/containers");
    let limits = |c: &Value, r: &str| c.pointer(&format!("/resources/limits/{r}")).cloned();
    let requests = |c: &Value, r: &str| c.pointer(&format!("/resources/requests/{r}")).cloned();
    let guaranteed =
        |c: &Value, r: &str| limits(c, r).is_some() && requests(c, r).is_none_or(|q| Some(q) == limits(c, r));
    if containers.iter().all(|c| guaranteed(c, "cpu") && guaranteed(c, "memory")) {
        return "Guaranteed";
    }
    let any = ["cpu", "memory"]
        .iter()
        .any(|r| containers.iter().any(|c| limits(c, r).is_some() || requests(c, r).is_some()));
    if any { "Burstable" } else { "BestEffort" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    #[test]
    fn a_deployment_gets_what_the_real_api_adds_and_twice_adds_nothing() {
        let kind = kinds::of("deployments.apps");
        let mut web = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "r/web@sha256:0", "ports": [{"containerPort": 80}]}]}}}});
        set_defaults(kind, &mut web);
        assert_eq!(web.pointer("/spec/strategy/rollingUpdate/maxSurge"), Some(&json!("25%")));
        let container = web.pointer("/spec/template/spec/containers/0").unwrap();
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["ports"][0]["protocol"], "TCP");
        let once = web.clone();
        set_defaults(kind, &mut web);
        assert_eq!(web, once);
    }

    #[test]
    fn string_data_is_encoded() {
        let mut object = json!({"stringData": {"key": "value"}});
        set_defaults(kinds::of("secrets"), &mut object);
        assert_eq!(object, json!({"type": "Opaque", "data": {"key": "dmFsdWU="}}));
    }

    #[test]
    fn latest_and_untagged_images_are_always_pulled() {
        assert_eq!(pull_policy("reg:5000/web"), "Always");
        assert_eq!(pull_policy("web:latest"), "Always");
        assert_eq!(pull_policy("reg:5000/web:1"), "IfNotPresent");
    }
}
