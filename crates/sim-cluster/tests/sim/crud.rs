use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Pod, Secret, Service},
};
use kube::{
    Api, Client, ResourceExt,
    api::{
        DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
        PropagationPolicy,
    },
};
use serde_json::json;

use crate::objects::{client, cluster, create_web, refused, text, typed, until, web};

fn config_map(name: &str) -> ConfigMap {
    typed(json!({"metadata": {"name": name, "labels": {"n": name}}, "data": {"k": "v"}}))
}

#[tokio::test(start_paused = true)]
async fn an_object_is_created_read_changed_and_deleted() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let made = api.create(&PostParams::default(), &config_map("a")).await.unwrap();
    assert_eq!(
        made.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()).as_deref(),
        Some("2026-11-21T08:00:00Z")
    );
    let mut read = api.get("a").await.unwrap();
    assert_eq!(read, made);
    read.data.as_mut().unwrap().insert("k".into(), "w".into());
    let changed = api.replace("a", &PostParams::default(), &read).await.unwrap();
    assert_ne!(changed.resource_version(), made.resource_version());
    let stale = refused(api.replace("a", &PostParams::default(), &read).await);
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    assert!(api.delete("a", &DeleteParams::default()).await.unwrap().is_right(), "gone at once: a Status");
    let gone = refused(api.get("a").await);
    assert_eq!((gone.code, gone.message.as_str()), (404, "configmaps \"a\" not found"));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_create_are_the_real_ones() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "dev");
    api.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let again = refused(api.create(&PostParams::default(), &config_map("a")).await);
    assert_eq!(
        (again.code, again.reason.as_str(), again.message.as_str()),
        (409, "AlreadyExists", "configmaps \"a\" already exists")
    );
    let nowhere: Api<ConfigMap> = Api::namespaced(client.clone(), "nowhere");
    let absent = refused(nowhere.create(&PostParams::default(), &config_map("a")).await);
    assert_eq!((absent.code, absent.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let mut bad = web("web:1", 1);
    bad["spec"]["template"]["metadata"]["labels"] = json!({"app": "api"});
    let deployments: Api<Deployment> = Api::namespaced(client, "dev");
    let invalid = refused(deployments.create(&PostParams::default(), &typed(bad)).await);
    assert_eq!((invalid.code, invalid.reason.as_str()), (422, "Invalid"));
    assert_eq!(invalid.details.unwrap().causes[0].field, "spec.template.metadata.labels");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_as_if_and_stores_nothing() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let dry = PostParams { dry_run: true, field_manager: None };
    let made = api.create(&dry, &config_map("a")).await.unwrap();
    assert!(made.uid().is_some());
    assert_eq!(cluster.get("ConfigMap", "dev", "a"), None);
    api.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"k": "w"}}));
    let patched =
        api.patch("a", &PatchParams { dry_run: true, ..PatchParams::default() }, &patch).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "w");
    api.delete("a", &DeleteParams::default().dry_run()).await.unwrap();
    assert_eq!(cluster.get("ConfigMap", "dev", "a").unwrap()["data"]["k"], "v");
    assert_eq!(cluster.writes().len(), 1, "dry runs are no writes");
}

#[tokio::test(start_paused = true)]
async fn lists_are_selected_and_paged() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "prod");
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name)).await.unwrap();
    }
    let names = |list: &[ConfigMap]| list.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
    let selected = api.list(&ListParams::default().labels("n in (a,c)")).await.unwrap();
    assert_eq!(names(&selected.items), ["a", "c"]);
    let selected = api.list(&ListParams::default().fields("metadata.name=b")).await.unwrap();
    assert_eq!(names(&selected.items), ["b"]);
    let first = api.list(&ListParams::default().labels("n").limit(2)).await.unwrap();
    assert_eq!(names(&first.items), ["a", "b"]);
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    let token = first.metadata.continue_.unwrap();
    let second = api.list(&ListParams::default().labels("n").limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(names(&second.items), ["c"]);
    let everywhere = Api::<ConfigMap>::all(client).list(&ListParams::default().labels("n=a")).await.unwrap();
    assert_eq!(everywhere.items[0].namespace().as_deref(), Some("prod"));
}

#[tokio::test(start_paused = true)]
async fn patches_of_every_kind_change_the_object() {
    let (_cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let params = PatchParams::default();
    let env = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}]}]}}}});
    let patched = api.patch("web", &params, &Patch::Strategic(env)).await.unwrap();
    let container =
        |d: &Deployment| d.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].clone();
    assert_eq!(container(&patched).image.as_deref(), Some("web:1"), "the container is merged by name");
    assert_eq!(patched.metadata.generation, Some(2));
    let operations =
        json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}]);
    let request = http::Request::patch("/apis/apps/v1/namespaces/dev/deployments/web")
        .header("content-type", "application/json-patch+json")
        .body(serde_json::to_vec(&operations).unwrap())
        .unwrap();
    let patched: Deployment = client.request(request).await.unwrap();
    assert_eq!(container(&patched).image.as_deref(), Some("web:2"));
    let patched = api
        .patch("web", &params, &Patch::Merge(json!({"metadata": {"annotations": {"x": "y"}}})))
        .await
        .unwrap();
    assert_eq!(patched.metadata.generation, Some(3), "only the spec has a generation");
    let selector = Patch::Merge(json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}}));
    assert_eq!(refused(api.patch("web", &params, &selector).await).code, 422);
}

#[tokio::test(start_paused = true)]
async fn deleting_a_deployment_takes_its_sets_and_pods_along() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 2).await;
    crate::objects::rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client, "dev");
    api.delete("web", &DeleteParams::default()).await.unwrap();
    cluster.until("Namespace", "", "dev", |_| cluster.list("Pod", "dev").is_empty()).await;
    assert_eq!(cluster.list("ReplicaSet", "dev"), Vec::<serde_json::Value>::new());
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_waits_for_the_pods_and_orphans_stay() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    crate::objects::rolled_out(&cluster, "web").await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let marked = api.delete("web", &foreground).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.finalizers.unwrap(), ["foregroundDeletion"]);
    cluster.until("Deployment", "dev", "web", |d| d.is_none()).await;
    assert!(cluster.list("Pod", "dev").is_empty());

    create_web(&client, "web:1", 1).await;
    crate::objects::rolled_out(&cluster, "web").await;
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    api.delete("web", &orphan).await.unwrap();
    let sets = cluster.list("ReplicaSet", "dev");
    assert_eq!((sets.len(), cluster.list("Pod", "dev").len()), (1, 1));
    assert_eq!(sets[0].pointer("/metadata/ownerReferences"), None);
    let set_name = text(&sets[0], "/metadata/name").to_owned();
    create_web(&client, "web:1", 1).await;
    let adopted =
        until(&cluster, "ReplicaSet", "dev", &set_name, |s| s.pointer("/metadata/ownerReferences").is_some())
            .await;
    assert_eq!(text(&adopted, "/metadata/ownerReferences/0/name"), "web");
}

#[tokio::test(start_paused = true)]
async fn preconditions_and_finalizers_hold_a_deletion() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let mut object = config_map("a");
    object.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    api.create(&PostParams::default(), &object).await.unwrap();
    let wrong = Preconditions { uid: Some("other".into()), ..Preconditions::default() };
    let params = DeleteParams { preconditions: Some(wrong), ..DeleteParams::default() };
    assert_eq!(refused(api.delete("a", &params).await).code, 409);
    let marked = api.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &none).await.unwrap();
    assert_eq!(cluster.get("ConfigMap", "dev", "a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 1).await;
    crate::objects::rolled_out(&cluster, "web").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete("dev", &DeleteParams::default()).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let late = refused(api.create(&PostParams::default(), &config_map("late")).await);
    assert_eq!((late.code, late.reason.as_str()), (403, "Forbidden"));
    cluster.until("Namespace", "", "dev", |n| n.is_none()).await;
    assert!(cluster.list("Deployment", "dev").is_empty());
    assert!(cluster.list("Pod", "dev").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name)).await.unwrap();
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("n=a")).await.unwrap();
    assert!(cluster.get("ConfigMap", "dev", "a").is_none() && cluster.get("ConfigMap", "dev", "b").is_some());
}

#[tokio::test(start_paused = true)]
async fn generated_names_secrets_and_services_are_completed() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "dev");
    let metadata = ObjectMeta { generate_name: Some("job-".into()), ..ObjectMeta::default() };
    let made =
        api.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
    assert_eq!(made.name_any().len(), "job-".len() + 5);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "dev");
    let secret = secrets
        .create(&PostParams::default(), &typed(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})))
        .await
        .unwrap();
    assert_eq!(secret.data.unwrap()["k"].0, b"v");
    let services: Api<Service> = Api::namespaced(client, "dev");
    let service: Service = typed(
        json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}),
    );
    let service = services.create(&PostParams::default(), &service).await.unwrap().spec.unwrap();
    assert!(service.cluster_ip.unwrap().starts_with("10.96."));
    assert_eq!(service.type_.as_deref(), Some("ClusterIP"));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_cluster() {
    let mut names = Vec::new();
    for _ in 0..2 {
        let (cluster, client) = cluster().await;
        create_web(&client, "web:1", 2).await;
        crate::objects::rolled_out(&cluster, "web").await;
        let pods: Vec<_> =
            cluster.list("Pod", "dev").iter().map(|p| format!("{}{}", p["metadata"], p["status"])).collect();
        names.push(pods);
    }
    assert_eq!(names[0], names[1]);
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_refused_when_asked_and_dropped_otherwise() {
    let (cluster, _) = cluster().await;
    let client: Client = client(&cluster);
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b", "imagee": "c"}]}});
    let request = |query: &str| {
        http::Request::post(format!("/api/v1/namespaces/dev/pods{query}"))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&body).unwrap())
            .unwrap()
    };
    let error = refused(client.request::<Pod>(request("?fieldValidation=Strict")).await);
    assert_eq!(error.code, 400);
    assert!(
        error.message.contains("strict decoding error: unknown field \"spec.containers[0].imagee\""),
        "{}",
        error.message
    );
    client.request::<Pod>(request("")).await.unwrap();
    assert_eq!(cluster.get("Pod", "dev", "p").unwrap().pointer("/spec/containers/0/imagee"), None);
}
