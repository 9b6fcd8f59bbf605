//! Objects and clients for the tests.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, Error, api::PostParams, core::Status};
use pilothouse_sim_cluster::{SimCluster, SimClusterBuilder, TokioClock};
use serde_json::{Value, json};

/// A cluster with the namespaces dev and prod, and a clock that starts at a round moment.
pub(crate) fn builder() -> SimClusterBuilder {
    let start: Timestamp = "2026-11-21T08:00:00Z".parse().expect("a timestamp");
    SimCluster::builder().namespaces(["dev", "prod"]).clock(Arc::new(TokioClock::starting_at(start)))
}

pub(crate) async fn cluster() -> (SimCluster, Client) {
    let cluster = builder().build().await.expect("a cluster in memory");
    let client = client(&cluster);
    (cluster, client)
}

pub(crate) fn client(cluster: &SimCluster) -> Client {
    Client::new(cluster.service(), "default")
}

/// A Deployment `web` in dev.
pub(crate) fn web(image: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "dev", "labels": { "app": "web" } },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": image, "ports": [{ "name": "http", "containerPort": 8080 }] }] },
            },
        },
    })
}

pub(crate) fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object of that type")
}

pub(crate) async fn create_web(client: &Client, image: &str, replicas: i64) -> Deployment {
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    api.create(&PostParams::default(), &typed(web(image, replicas))).await.expect("web is created")
}

/// The refusal behind an error.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

pub(crate) fn count(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The reason of a Deployment's condition.
pub(crate) fn reason(object: &Value, condition: &str) -> String {
    let list = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().find(|c| c["type"] == condition).map(|c| text(c, "/reason").to_owned()).unwrap_or_default()
}

/// Waits until it holds, for an hour of the cluster's time at most.
pub(crate) async fn until(
    cluster: &SimCluster,
    kind: &str,
    ns: &str,
    name: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let wait = cluster.until(kind, ns, name, |o| o.is_some_and(&holds));
    match tokio::time::timeout(Duration::from_secs(3600), wait).await {
        Ok(object) => object.expect("the cluster runs"),
        Err(_) => panic!(
            "{kind} {ns}/{name} never came there: {:#}",
            cluster.get(kind, ns, name).unwrap_or_default()
        ),
    }
}

/// Waits until a Deployment has rolled out, as `kubectl rollout status` judges it.
pub(crate) async fn rolled_out(cluster: &SimCluster, name: &str) -> Value {
    until(cluster, "Deployment", "dev", name, |d| {
        let wanted = count(d, "/spec/replicas");
        count(d, "/status/observedGeneration") >= count(d, "/metadata/generation")
            && ["updatedReplicas", "replicas", "availableReplicas"]
                .iter()
                .all(|f| count(d, &format!("/status/{f}")) == wanted)
    })
    .await
}

/// Messages of the events about an object, `reason: message`.
pub(crate) fn events(cluster: &SimCluster, ns: &str, involved: &str) -> Vec<String> {
    let all = cluster.list("Event", ns);
    let about = all.iter().filter(|e| text(e, "/involvedObject/name") == involved);
    about.map(|e| format!("{}: {}", text(e, "/reason"), text(e, "/message"))).collect()
}
