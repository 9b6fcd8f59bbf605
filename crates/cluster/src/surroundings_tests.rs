use super::*;
use serde_json::json;

#[expect(
    clippy::needless_pass_by_value,
    reason = "values that are built for one call read better without borrows"
)]
fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "dev"}, "spec": spec})
}

fn web() -> Value {
    let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {"containers": []}});
    object("apps/v1", "Deployment", "web", json!({"template": pod}))
}

fn found(all: &[Value]) -> Vec<String> {
    let web = web();
    naming(&[&web], "dev", all)
        .into_iter()
        .map(|(object, _)| format!("{} {}", object.kind, object.name))
        .collect()
}

#[test]
fn services_autoscalers_and_budgets_of_a_workload_are_found_and_others_are_not() {
    let hpa = |kind: &str| json!({"scaleTargetRef": {"kind": kind, "name": "web"}});
    let all = [
        object("v1", "Service", "web", json!({"selector": {"app": "web"}})),
        object("v1", "Service", "api", json!({"selector": {"app": "api"}})),
        object("v1", "Service", "external", json!({"externalName": "example.com"})),
        object("autoscaling/v2", "HorizontalPodAutoscaler", "web", hpa("Deployment")),
        object("autoscaling/v2", "HorizontalPodAutoscaler", "set", hpa("StatefulSet")),
        object(
            "policy/v1",
            "PodDisruptionBudget",
            "front",
            json!({"selector": {"matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["front"]}, {"key": "old", "operator": "DoesNotExist"}]}}),
        ),
        object(
            "policy/v1",
            "PodDisruptionBudget",
            "back",
            json!({"selector": {"matchLabels": {"tier": "back"}}}),
        ),
    ];
    assert_eq!(found(&all), ["Service web", "HorizontalPodAutoscaler web", "PodDisruptionBudget front"]);
}

#[test]
fn a_budget_with_an_empty_selector_is_about_every_pod_and_one_without_about_none() {
    let budget = |name: &str, spec: Value| object("policy/v1", "PodDisruptionBudget", name, spec);
    let all = [
        budget("every", json!({"selector": {}})),
        budget("every-too", json!({"selector": {"matchLabels": {}}})),
        budget("none", json!({"minAvailable": 1})),
    ];
    assert_eq!(found(&all), ["PodDisruptionBudget every", "PodDisruptionBudget every-too"]);
    let config = object("v1", "ConfigMap", "settings", Value::Null);
    assert!(naming(&[&config], "dev", &all).is_empty(), "what has no pods is under no budget");
}

#[test]
fn routes_to_the_services_of_a_workload_are_found_in_every_form() {
    let service = object("v1", "Service", "web", json!({"selector": {"app": "web"}}));
    let ingress = |name: &str, service: &str| {
        object(
            "networking.k8s.io/v1",
            "Ingress",
            name,
            json!({"rules": [{"http": {"paths": [
            {"path": "/", "backend": {"service": {"name": service, "port": {"number": 80}}}}]}}]}),
        )
    };
    let route = |name: &str, backend: Value| {
        object(
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            name,
            json!({"rules": [{"backendRefs": [backend]}]}),
        )
    };
    let istio = |name: &str, host: &str| {
        object(
            "networking.istio.io/v1",
            "VirtualService",
            name,
            json!({"http": [{"route": [{"destination": {"host": host}, "weight": 100}]}]}),
        )
    };
    let all = [
        service,
        ingress("to-web", "web"),
        ingress("to-api", "api"),
        route("to-web", json!({"name": "web", "port": 80})),
        route("elsewhere", json!({"name": "web", "namespace": "prod"})),
        istio("short", "web"),
        istio("long", "web.dev.svc.cluster.local"),
        istio("other", "web.prod.svc.cluster.local"),
    ];
    assert_eq!(
        found(&all),
        ["Service web", "Ingress to-web", "HTTPRoute to-web", "VirtualService short", "VirtualService long"]
    );
}

#[test]
fn a_service_among_the_objects_brings_its_routes() {
    let service = object("v1", "Service", "web", json!({}));
    let all = [object(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        json!({"defaultBackend": {"service": {"name": "web"}}}),
    )];
    assert_eq!(naming(&[&service], "dev", &all).len(), 1);
}
