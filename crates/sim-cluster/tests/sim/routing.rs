//! Endpoints of Services.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use pilothouse_sim_cluster::SimCluster;
use serde_json::{Value, json};

use crate::objects::{cluster, create_web, rolled_out, text, typed, until};

async fn serve(client: &Client) {
    let api: Api<Service> = Api::namespaced(client.clone(), "dev");
    let service = json!({"metadata": {"name": "web", "labels": {"team": "shop"}}, "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}});
    api.create(&PostParams::default(), &typed(service)).await.expect("a Service");
}

fn slice(cluster: &SimCluster) -> Value {
    cluster.list("EndpointSlice", "dev").first().cloned().unwrap_or_default()
}

fn conditions(slice: &Value) -> Vec<String> {
    let all = slice["endpoints"].as_array().cloned().unwrap_or_default();
    let shown = |e: &Value| {
        let is = |name: &str| e["conditions"][name].as_bool().unwrap_or_default();
        format!("{} {} {}", is("ready"), is("serving"), is("terminating"))
    };
    all.iter().map(shown).collect()
}

#[tokio::test(start_paused = true)]
async fn a_slice_has_ports_targets_labels_and_an_owner() {
    let (cluster, client) = cluster().await;
    serve(&client).await;
    until(&cluster, "Service", "dev", "web", |_| slice(&cluster)["endpoints"] == json!([])).await;
    create_web(&client, "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    until(&cluster, "Namespace", "", "dev", |_| {
        conditions(&slice(&cluster)) == ["true true false", "true true false"]
    })
    .await;
    let slice = slice(&cluster);
    assert_eq!(slice["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    assert_eq!(text(&slice, "/endpoints/0/targetRef/kind"), "Pod");
    assert_eq!(text(&slice, "/endpoints/0/nodeName"), "sim-node-1");
    assert_eq!(text(&slice, "/metadata/labels/team"), "shop");
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "web");
    assert_eq!(text(&slice, "/metadata/ownerReferences/0/kind"), "Service");
    let one = &cluster.list("Pod", "dev")[0];
    assert_eq!(text(&slice, "/endpoints/0/addresses/0"), text(one, "/status/podIP"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ends_serves_on_but_is_not_ready_and_leaves_the_endpoints() {
    let (cluster, client) = cluster().await;
    serve(&client).await;
    create_web(&client, "web:1", 1).await;
    rolled_out(&cluster, "web").await;
    until(&cluster, "Namespace", "", "dev", |_| conditions(&slice(&cluster)) == ["true true false"]).await;
    let pods: Api<Pod> = Api::namespaced(client, "dev");
    let name = text(&cluster.list("Pod", "dev")[0], "/metadata/name").to_owned();
    pods.delete(&name, &DeleteParams::default()).await.unwrap();
    until(&cluster, "Namespace", "", "dev", |_| {
        conditions(&slice(&cluster)).contains(&"false true true".to_owned())
    })
    .await;
    let endpoints = cluster.get("Endpoints", "dev", "web").unwrap();
    assert!(!endpoints.to_string().contains(&name), "{endpoints}");
    until(&cluster, "Namespace", "", "dev", |_| conditions(&slice(&cluster)) == ["true true false"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_is_accepted_by_a_gateway_that_exists_and_told_of_a_service_that_does_not() {
    use kube::{
        api::{ApiResource, DynamicObject, Patch, PatchParams},
        core::GroupVersionKind,
    };
    let (cluster, client) = cluster().await;
    let resource = |kind: &str, plural: &str| {
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", kind),
            plural,
        )
    };
    let store = async |kind: &str, plural: &str, name: &str, spec: Value| {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "dev", &resource(kind, plural));
        let object = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        api.patch(name, &PatchParams::apply("t"), &Patch::Apply(object)).await.unwrap();
    };
    let state = |route: &Value, kind: &str| {
        let all = route
            .pointer("/status/parents/0/conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        all.iter().find(|c| c["type"] == kind).map(|c| text(c, "/reason").to_owned()).unwrap_or_default()
    };
    store("HTTPRoute", "httproutes", "web", json!({"parentRefs": [{"name": "public"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]})).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(
        cluster.get("HTTPRoute", "dev", "web").unwrap()["status"].is_null(),
        "nobody answers for a Gateway that there is not"
    );
    store(
        "Gateway",
        "gateways",
        "public",
        json!({"gatewayClassName": "sim", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}),
    )
    .await;
    let route = until(&cluster, "HTTPRoute", "dev", "web", |r| state(r, "Accepted") == "Accepted").await;
    assert_eq!(state(&route, "ResolvedRefs"), "BackendNotFound");
    serve(&client).await;
    until(&cluster, "HTTPRoute", "dev", "web", |r| state(r, "ResolvedRefs") == "ResolvedRefs").await;
}
