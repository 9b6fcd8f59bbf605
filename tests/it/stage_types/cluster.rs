//! What somebody else put into the cluster, and what it has altogether.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, Request, header};
use pilothouse_sim_cluster::SimCluster;
use serde_json::Value;
use tower::ServiceExt as _;

/// What people write; the rest is the cluster's own.
const KINDS: [&str; 15] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "Service",
    "ConfigMap",
    "Secret",
    "Ingress",
    "HTTPRoute",
    "VirtualService",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ServiceAccount",
];

/// Applies manifests as a person with kubectl does.
pub(crate) async fn apply_as_somebody(sim: &SimCluster, manifests: &str) {
    let objects: Vec<Value> = match manifests.trim().is_empty() {
        true => Vec::new(),
        false => serde_saphyr::from_multiple(manifests).unwrap(),
    };
    for mut object in objects {
        object["metadata"]["namespace"] = Value::from("dev");
        let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let root = if version.contains('/') { "/apis" } else { "/api" };
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{root}/{version}/namespaces/dev/{}/{name}?fieldManager=kubectl", plural(kind));
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
            .body(Body::from(object.to_string()))
            .unwrap();
        let response = sim.service().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    }
}

fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.as_str() {
        "ingress" => "ingresses".to_owned(),
        _ => format!("{kind}s"),
    }
}

/// Everything that people wrote, by `Kind name`, without what the cluster writes itself.
pub(super) fn state(sim: &SimCluster) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for kind in KINDS {
        for object in sim.list(kind, "dev") {
            if !object["metadata"]["ownerReferences"].is_null()
                || !object["metadata"]["deletionTimestamp"].is_null()
            {
                continue;
            }
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            all.insert(format!("{kind} {name}"), written(object));
        }
    }
    all
}

fn written(object: Value) -> Value {
    let mut object = object;
    if let Some(root) = object.as_object_mut() {
        root.remove("status");
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.retain(|key, _| !matches!(key.as_str(), "clusterIP" | "clusterIPs"));
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| matches!(key.as_str(), "name" | "labels" | "annotations" | "finalizers"));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| key != "deployment.kubernetes.io/revision");
        }
        metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    object
}
