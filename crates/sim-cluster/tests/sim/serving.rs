use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    discovery::Discovery,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::objects::{builder, cluster, create_web, refused, rolled_out};

async fn connect(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("its context")).expect("a client")
}

#[tokio::test]
async fn the_listener_asks_for_the_token_and_closes() {
    let cluster = builder().token("s3cret").build().await.unwrap();
    let server = cluster.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let list =
        |client: Client| async move { Api::<Namespace>::all(client).list(&ListParams::default()).await };
    let right = connect(&cluster.kubeconfig(server.addr(), Some("s3cret"))).await;
    assert_eq!(list(right.clone()).await.unwrap().items.len(), 4);
    let wrong = connect(&cluster.kubeconfig(server.addr(), Some("other"))).await;
    assert_eq!(refused(list(wrong).await).code, 401);
    let none = connect(&cluster.kubeconfig(server.addr(), None)).await;
    assert_eq!(refused(list(none).await).code, 401);
    server.shutdown().await;
    assert!(list(right).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn discovery_finds_every_kind() {
    let (_cluster, client) = cluster().await;
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let apps = discovery.get("apps").unwrap();
    let kinds: Vec<_> = apps.recommended_resources().into_iter().map(|(r, _)| r.kind).collect();
    assert_eq!(kinds, ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"]);
    assert!(discovery.has_group("gateway.networking.k8s.io"));
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.36.1");
}

#[tokio::test(start_paused = true)]
async fn tables_have_the_cells_that_kubectl_prints() {
    let (cluster, client) = cluster().await;
    create_web(&client, "web:1", 2).await;
    rolled_out(&cluster, "web").await;
    let request = http::Request::get("/apis/apps/v1/namespaces/dev/deployments")
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .body(Vec::new())
        .unwrap();
    let table: Value = client.request(request).await.unwrap();
    let names: Vec<_> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images", "Selector"]
    );
    let cells = table.pointer("/rows/0/cells").unwrap().as_array().unwrap();
    assert_eq!(cells[..4], ["web", "2/2", "2", "2"].map(Value::from));
    assert_eq!(cells[5..], ["web", "web:1", "app=web"].map(Value::from));
    assert_eq!(table.pointer("/rows/0/object/kind"), Some(&Value::from("PartialObjectMetadata")));
}
