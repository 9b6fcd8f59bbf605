//! Cluster accounts (T9, T10): added, verified, used, listed and removed. In real time and over HTTP, as these clusters are
//! reached by their address.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use pilothouse_cluster::{ApplyOptions, Cluster, Marks, cluster_role, parse_manifests};
use pilothouse_operations::secrets::Secrets;
use pilothouse_sim_cluster::{SimCluster, SimServer};
use serde_json::{Value, json};

use crate::world::{World, attempt};

/// The token of the service account that `deploy/kubernetes/rbac.yaml` makes.
const TOKEN: &str = "t0ken-of-the-service-account";

/// A cluster that is reached over HTTP, and a system that knows its token as `env:EU`.
struct Far {
    world: World,
    sim: SimCluster,
    url: String,
    _server: SimServer,
}

/// With these secrets beside.
async fn far(secrets: &[(&str, &str)]) -> Far {
    let sim = SimCluster::builder()
        .namespaces(["dev", "prod", "pilothouse"])
        .speed(100.0)
        .user(TOKEN, "system:serviceaccount:pilothouse:pilothouse")
        .build()
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = sim.serve(listener).await.unwrap();
    let values: BTreeMap<_, _> = [("env:EU", TOKEN)]
        .iter()
        .chain(secrets)
        .map(|(name, value)| (name.parse().unwrap(), (*value).to_owned()))
        .collect();
    let world = World::with(|builder| builder.secrets(Secrets::local().with_values(values))).await;
    Far { world, sim, url, _server: server }
}

impl Far {
    /// `kubectl apply -f deploy/kubernetes/rbac.yaml`, by somebody who may.
    async fn grant(&self) {
        let root = Cluster::new(kube::Client::new(self.sim.service(), "default"));
        let manifests = parse_manifests(&cluster_role(), "default").unwrap();
        let marks = Marks { release: "by hand".to_owned(), ..Marks::default() };
        let options = ApplyOptions { marks, ..ApplyOptions::default() };
        root.apply(&manifests, &options).await.unwrap();
    }

    fn service_account(&self) -> Value {
        json!({ "credentials": { "kind": "serviceAccount", "server": self.url, "token": "env:EU" } })
    }
}

/// `shop/web` of one environment on that cluster.
fn pipeline(cluster: &str) -> String {
    let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "web" }, "data": { "A": "1" } });
    let stages = json!([
        { "name": "Deploy", "type": "deploy-manifest", "manifests": config.to_string() },
        { "name": "Ask", "type": "manual-judgment", "dependsOn": ["Deploy"] },
    ]);
    json!({ "application": "shop", "pipeline": "web", "artifacts": [{ "name": "web", "image": "shop/web" }],
        "environments": [{ "name": "dev", "namespace": "dev", "cluster": cluster, "stages": stages }] })
    .to_string()
}

async fn delete(world: &World, name: &str) -> (StatusCode, String) {
    let path = format!("/v1/clusters/{name}");
    let answer = world.call_as(&world.token, Method::DELETE, &path, &Value::Null).await;
    (answer.status, answer.body["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_cluster_is_added_by_a_token_says_what_it_allows_and_is_deployed_to() {
    let far = far(&[]).await;
    let world = &far.world;
    let added = world.put("/v1/clusters/eu", &far.service_account()).await;
    assert_eq!(added.status, 200, "{:#}", added.body);
    let verification = &added.body["verification"];
    assert_eq!(verification["status"], "failed", "T10: nothing is granted yet");
    let reason = verification["reason"].as_str().unwrap();
    assert!(reason.starts_with("it is not allowed to get, list, watch"), "{reason}");
    assert_eq!(verification["missing"].as_array().unwrap().len(), pilothouse_cluster::PERMISSIONS.len());

    far.grant().await;
    let verified = world.post("/v1/clusters/eu/verify", &json!({})).await.body;
    assert_eq!(verified["verification"]["status"], "verified", "{verified:#}");
    assert!(verified["verification"]["version"].as_str().unwrap().starts_with("v1."), "{verified:#}");
    assert_eq!(verified["verification"]["missing"], Value::Null);
    assert_eq!(world.get("/v1/clusters/eu").await.body, verified, "it is kept");

    let saved = world.apply(&pipeline("eu")).await;
    assert_eq!(saved.body["warnings"], json!([]), "{:#}", saved.body);
    let release = world.start("1.0.0").await;
    world.approve(&release).await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "Succeeded", "{view:#}");
    assert!(far.sim.get("ConfigMap", "dev", "web").is_some());
    assert!(!format!("{view}{verified}{:?}", world.events(&release).await).contains(TOKEN), "invariant 7");
}

#[tokio::test]
async fn an_account_is_removed_once_no_pipeline_and_no_deployment_uses_it() {
    let far = far(&[]).await;
    let world = &far.world;
    far.grant().await;
    world.put("/v1/clusters/eu", &far.service_account()).await;
    world.save(&pipeline("eu")).await;
    let (status, message) = delete(world, "eu").await;
    assert_eq!(status, 409);
    assert!(message.contains("in use by pipeline shop/web (`dev`)"), "{message}");
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    world.save(&pipeline("default")).await;
    let (status, message) = delete(world, "eu").await;
    assert_eq!(
        (status, message.contains(&format!("release {release} (`dev`)"))),
        (StatusCode::CONFLICT, true),
        "{message}"
    );
    world.approve(&release).await;
    world.at_rest(&release).await;
    assert_eq!(delete(world, "eu").await.0, 204);
    assert_eq!(world.get("/v1/clusters/eu").await.status, 404);
    assert_eq!(delete(world, "eu").await.0, 404);
    // From now on the name is a slip.
    let saved = world.apply(&pipeline("defalt")).await;
    assert_eq!(
        saved.body["warnings"][0]["message"], "the cluster `defalt` does not exist yet",
        "{:#}",
        saved.body
    );
    assert_eq!(saved.body["warnings"][0]["hint"], "did you mean `default`?");
    let (status, message) = delete(world, "default").await;
    assert_eq!(
        (status, message.as_str()),
        (StatusCode::CONFLICT, "`default` is the cluster of this process")
    );
}

#[tokio::test]
async fn accounts_are_listed_by_name_searched_and_paged() {
    let far = far(&[]).await;
    let world = &far.world;
    for name in ["eu-1", "eu-2", "us-1"] {
        world.put(&format!("/v1/clusters/{name}"), &far.service_account()).await;
    }
    let names = |body: &Value| -> Vec<String> {
        body["items"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&world.get("/v1/clusters").await.body), ["default", "eu-1", "eu-2", "us-1"]);
    assert_eq!(names(&world.get("/v1/clusters?search=eu").await.body), ["eu-1", "eu-2"]);
    let first = world.get("/v1/clusters?search=1&limit=2").await.body;
    assert_eq!(names(&first), ["eu-1"]);
    let next = first["next"].as_str().unwrap();
    assert_eq!(
        names(&world.get(&format!("/v1/clusters?search=1&limit=2&cursor={next}")).await.body),
        ["us-1"]
    );
    // The cluster of this process is one of them, and is asked like the others.
    let own = world.post("/v1/clusters/default/verify", &json!({})).await.body;
    assert_eq!(
        (&own["verification"]["status"], &own["credentials"]["kind"]),
        (&json!("verified"), &json!("inProcess"))
    );
}

#[tokio::test]
async fn what_could_never_work_is_refused_and_what_does_not_answer_is_kept_with_the_reason() {
    let exec = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        contexts: [{name: a, context: {cluster: a, user: a}}, {name: b, context: {cluster: b, user: a}}]\n\
        clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}, {name: b, cluster: {server: 'https://127.0.0.1:2'}}]\n\
        users: [{name: a, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}}}]\n";
    let broken = "users:\n- name: a\n  user: {token: [hunter2]}\n";
    let secrets = [
        ("aws-secret:kube", exec),
        ("env:KUBE", exec),
        ("aws-secret:broken", broken),
        ("aws-secret:bare", "hunter2"),
        ("env:DEAD", "hunter2"),
    ];
    let far = far(&secrets).await;
    let world = &far.world;
    let put = async |credentials: Value| {
        let answer = world.put("/v1/clusters/eu", &json!({ "credentials": credentials })).await;
        (answer.status.as_u16(), answer.body)
    };
    let at = |server: &str, ca: &str| json!({ "kind": "serviceAccount", "server": server, "ca": ca, "token": "env:DEAD" });
    for (credentials, told) in [
        (
            json!({ "kind": "kubeconfig", "source": "aws-secret:kube" }),
            "has `exec`, and the kubeconfig of a cluster account starts no programs",
        ),
        (json!({ "kind": "kubeconfig", "source": "aws-secret:kube", "context": "b" }), "starts no programs"),
        (json!({ "kind": "kubeconfig", "source": "env:KUBE" }), "starts no programs"),
        (json!({ "kind": "kubeconfig", "source": "aws-secret:broken" }), "line 3, column"),
        (json!({ "kind": "kubeconfig", "source": "aws-secret:bare" }), "line 1, column"),
        (
            at("http://10.0.0.1", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"),
            "would send the token in the clear",
        ),
        (at("https://10.0.0.1", "none"), "is not PEM"),
        (
            json!({ "kind": "serviceAccount", "server": "https://10.0.0.1", "token": "hunter2" }),
            "not a secret reference",
        ),
        (
            json!({ "kind": "eks", "cluster": "prod", "region": "eu.evil", "server": "https://10.0.0.1" }),
            "that is no region",
        ),
        (json!({ "kind": "inProcess" }), "only `pilothouse up`"),
    ] {
        let (status, body) = put(credentials).await;
        let text = body.to_string();
        assert_eq!(status, 422, "{text}");
        assert!(text.contains(told) && !text.contains("hunter2"), "{text}");
    }
    assert_eq!(world.get("/v1/clusters/eu").await.status, 404, "nothing of that was kept");

    let (status, body) =
        put(json!({ "kind": "serviceAccount", "server": "http://127.0.0.1:1", "token": "env:DEAD" })).await;
    assert_eq!((status, &body["verification"]["status"]), (200, &json!("failed")), "{body:#}");
    let (_, body) = put(json!({ "kind": "serviceAccount", "server": far.url, "token": "env:DEAD" })).await;
    let reason = body["verification"]["reason"].as_str().unwrap();
    assert!(reason.contains("does not accept the credentials") && !reason.contains("hunter2"), "{reason}");
    let (_, body) = put(json!({ "kind": "kubeconfig", "source": "env:PILOTHOUSE_NOT_SET" })).await;
    let reason = body["verification"]["reason"].as_str().unwrap();
    assert_eq!(
        reason,
        "the secret `env:PILOTHOUSE_NOT_SET` cannot be read: the environment variable is not set"
    );

    let viewer = world.post("/v1/tokens", &json!({ "name": "vera", "role": "operator" })).await.body;
    let viewer = viewer["secret"].as_str().unwrap().to_owned();
    let denied = world.call_as(&viewer, Method::PUT, "/v1/clusters/us", &far.service_account()).await;
    assert_eq!(denied.status, 403, "only an administrator adds clusters (T1)");
    assert_eq!(world.call_as(&viewer, Method::GET, "/v1/clusters/eu", &Value::Null).await.status, 200);
}
