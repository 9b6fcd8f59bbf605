//! Custom resources: defined at run time, or built in as Gateway API and Istio are.

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    discovery::Discovery,
};
use pilothouse_sim_cluster::SimCluster;
use serde_json::{Value, json};

use crate::objects::{builder, client, cluster, refused, typed};

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

fn routes(client: &Client) -> Api<DynamicObject> {
    let routes = resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
    Api::namespaced_with(client.clone(), "dev", &routes)
}

fn route(weights: &[(&str, i64)]) -> Value {
    let backends: Vec<_> =
        weights.iter().map(|(name, w)| json!({"name": name, "port": 80, "weight": w})).collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "web", "namespace": "dev"},
        "spec": {"parentRefs": [{"name": "public"}], "rules": [{"backendRefs": backends}]},
    })
}

fn widgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["size"], "properties": {
                        "size": {"type": "integer", "minimum": 0}, "colour": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                        "ports": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}, "name": {"type": "string"}}}},
                        "env": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
            }],
        },
    })
}

async fn define(client: &Client) -> Api<DynamicObject> {
    let crds =
        resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &crds);
    let made = api.patch("widgets.example.com", &PatchParams::apply("t"), &Patch::Apply(widgets())).await;
    let status = made.expect("the definition is stored").data["status"].clone();
    assert_eq!(status.pointer("/conditions/1/type"), Some(&json!("Established")), "{status}");
    api
}

fn widget(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec})
}

fn stored(cluster: &SimCluster, kind: &str, name: &str) -> Value {
    cluster.get(kind, "dev", name).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_kind_defined_at_run_time_is_served_checked_and_gone_with_its_definition() {
    let (cluster, client) = cluster().await;
    let kind = resource("example.com", "v1", "Widget", "widgets");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "dev", &kind);
    let absent = refused(api.get("a").await);
    assert_eq!(
        (absent.code, absent.message.as_str()),
        (404, "404 page not found"),
        "plain text before it is defined"
    );
    let definitions = define(&client).await;
    assert!(Discovery::new(client.clone()).run().await.unwrap().has_group("example.com"));
    let wrong =
        refused(api.create(&PostParams::default(), &typed(widget(&json!({"colour": "green"})))).await);
    assert_eq!(
        wrong.message,
        "Widget.example.com \"a\" is invalid: [spec.size: Required value, spec.colour: Unsupported value: \"green\": supported values: \"red\", \"blue\"]"
    );
    let made =
        api.create(&PostParams::default(), &typed(widget(&json!({"size": 2, "sizze": 3})))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"size": 2, "colour": "red"}));
    assert_eq!(made.metadata.generation, Some(1));
    // As custom resources are: no strategic patches, no replacement without a version.
    let strategic = refused(
        api.patch("a", &PatchParams::default(), &Patch::Strategic(json!({"spec": {"size": 1}}))).await,
    );
    assert_eq!(strategic.code, 415);
    let blind = refused(api.replace("a", &PostParams::default(), &typed(widget(&json!({"size": 1})))).await);
    assert!(
        blind
            .message
            .ends_with("metadata.resourceVersion: Invalid value: 0: must be specified for an update"),
        "{}",
        blind.message
    );
    let unknown =
        refused(api.patch("a", &PatchParams::apply("t"), &Patch::Apply(widget(&json!({"sizze": 1})))).await);
    assert!(unknown.message.ends_with(".spec.sizze: field not declared in schema"), "{}", unknown.message);
    let scaled = api
        .patch_scale("a", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 7}})))
        .await
        .unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(7));
    assert_eq!(stored(&cluster, "Widget", "a").pointer("/spec/size"), Some(&json!(7)));
    api.patch_status("a", &PatchParams::default(), &Patch::Merge(json!({"status": {"size": 7}})))
        .await
        .unwrap();
    let now = stored(&cluster, "Widget", "a");
    assert_eq!((&now["metadata"]["generation"], &now["status"]["size"]), (&json!(2), &json!(7)));
    definitions.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();
    assert_eq!(refused(api.get("a").await).code, 404);
}

#[tokio::test(start_paused = true)]
async fn lists_of_custom_resources_are_replaced_unless_their_schema_says_otherwise() {
    let (cluster, client) = cluster().await;
    define(&client).await;
    let kind = resource("example.com", "v1", "Widget", "widgets");
    let api: Api<DynamicObject> = Api::namespaced_with(client, "dev", &kind);
    for (manager, name) in [("one", "a"), ("two", "b")] {
        let spec = json!({"size": 1, "env": [{"name": name, "value": manager}], "ports": [{"name": name, "port": 1}]});
        api.patch("a", &PatchParams::apply(manager).force(), &Patch::Apply(widget(&spec))).await.unwrap();
    }
    let spec = stored(&cluster, "Widget", "a")["spec"].clone();
    assert_eq!(spec["env"].as_array().unwrap().len(), 2);
    assert_eq!(spec["ports"], json!([{"name": "b", "port": 1}]));
}

#[tokio::test(start_paused = true)]
async fn a_route_is_filled_in_and_its_rules_belong_together() {
    let (_cluster, client) = cluster().await;
    let api = routes(&client);
    let params = PatchParams::apply("pilothouse");
    let made =
        api.patch("web", &params, &Patch::Apply(route(&[("web", 100), ("web-new", 0)]))).await.unwrap();
    let rule = &made.data["spec"]["rules"][0];
    assert_eq!(rule["matches"], json!([{"path": {"type": "PathPrefix", "value": "/"}}]));
    assert_eq!(
        rule["backendRefs"][0],
        json!({"name": "web", "port": 80, "weight": 100, "group": "", "kind": "Service"})
    );
    let again =
        api.patch("web", &params, &Patch::Apply(route(&[("web", 100), ("web-new", 0)]))).await.unwrap();
    assert_eq!(
        again.metadata.resource_version, made.metadata.resource_version,
        "the same again changes nothing"
    );
    let other = refused(
        api.patch("web", &PatchParams::apply("somebody"), &Patch::Apply(route(&[("web", 50)]))).await,
    );
    // As on a real API server: what was filled in belongs to the lists as well, which are compared before it is filled in again.
    assert_eq!(
        other.message,
        "Apply failed with 2 conflicts: conflicts with \"pilothouse\":\n- .spec.parentRefs\n- .spec.rules"
    );
    let wrong = refused(api.patch("web", &params, &Patch::Apply(route(&[("web", -1)]))).await);
    assert!(
        wrong
            .message
            .contains("spec.rules[0].backendRefs[0].weight in body should be greater than or equal to 0"),
        "{}",
        wrong.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_may_lack_what_others_have() {
    let cluster = builder().without("httproutes.gateway.networking.k8s.io").build().await.unwrap();
    let client = client(&cluster);
    let missing = refused(routes(&client).get("web").await);
    assert_eq!(missing.code, 404);
    let discovery = Discovery::new(client).run().await.unwrap();
    let gateway = discovery.get("gateway.networking.k8s.io").unwrap();
    assert!(gateway.recommended_resources().iter().all(|(r, _)| r.kind != "HTTPRoute"));
}

#[tokio::test(start_paused = true)]
async fn definitions_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.sqlite");
    let cluster = builder().file(&file).build().await.unwrap();
    define(&client(&cluster)).await;
    let kind = resource("example.com", "v1", "Widget", "widgets");
    let of =
        |cluster: &SimCluster| -> Api<DynamicObject> { Api::namespaced_with(client(cluster), "dev", &kind) };
    of(&cluster).create(&PostParams::default(), &typed(widget(&json!({"size": 2})))).await.unwrap();
    drop(cluster);
    let cluster = builder().file(&file).build().await.unwrap();
    assert_eq!(of(&cluster).get("a").await.unwrap().data["spec"]["size"], 2);
}
