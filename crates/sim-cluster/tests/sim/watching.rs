use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Error, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use crate::objects::{builder, client, cluster, typed};

fn map(name: &str, label: &str) -> ConfigMap {
    typed(json!({"metadata": {"name": name, "labels": {"l": label}}}))
}

fn shown(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(o) => format!("added {}", o.name_any()),
        WatchEvent::Modified(o) => format!("modified {}", o.name_any()),
        WatchEvent::Deleted(o) => format!("deleted {}", o.name_any()),
        WatchEvent::Bookmark(b) => {
            format!("bookmark {}", b.metadata.annotations.contains_key("k8s.io/initial-events-end"))
        }
        WatchEvent::Error(e) => format!("error {} {}", e.code, e.reason),
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_every_change_since_a_list_as_its_selector_sees_it() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    api.create(&PostParams::default(), &map("a", "x")).await.unwrap();
    api.create(&PostParams::default(), &map("b", "y")).await.unwrap();
    let mut stream = pin!(api.watch(&WatchParams::default().labels("l=x"), &version).await.unwrap());
    let relabel = |label: &str| Patch::Merge(json!({"metadata": {"labels": {"l": label}}}));
    let params = PatchParams::default();
    api.patch("b", &params, &relabel("x")).await.unwrap();
    api.patch("a", &params, &Patch::Merge(json!({"data": {"k": "v"}}))).await.unwrap();
    api.patch("a", &params, &relabel("z")).await.unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let mut events = Vec::new();
    while events.len() < 5 {
        events.push(shown(&stream.try_next().await.unwrap().unwrap()));
    }
    assert_eq!(events, ["added a", "added b", "modified a", "deleted a", "deleted b"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_at_its_timeout_with_a_bookmark() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let start = tokio::time::Instant::now();
    let stream = api.watch(&WatchParams::default().timeout(30), &version).await.unwrap();
    let events: Vec<_> = stream.map(|e| shown(&e.unwrap())).collect().await;
    assert_eq!(events, ["bookmark false"]);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_version_too_old_is_gone() {
    let cluster = builder().watch_history(4).build().await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client(&cluster), "dev");
    for name in ["a", "b", "c", "d", "e", "f"] {
        api.create(&PostParams::default(), &map(name, "x")).await.unwrap();
    }
    let mut stream = pin!(api.watch(&WatchParams::default(), "1").await.unwrap());
    assert_eq!(shown(&stream.try_next().await.unwrap().unwrap()), "error 410 Expired");
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_sends_what_exists_and_marks_its_end() {
    let (_cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    api.create(&PostParams::default(), &map("a", "x")).await.unwrap();
    let params = WatchParams::default().initial_events().labels("l");
    let mut stream = pin!(api.watch(&params, "0").await.unwrap());
    let mut events = Vec::new();
    while events.len() < 2 {
        events.push(shown(&stream.try_next().await.unwrap().unwrap()));
    }
    assert_eq!(events, ["added a", "bookmark true"]);
}

#[tokio::test(start_paused = true)]
async fn watches_end_when_the_cluster_goes_down() {
    let (cluster, client) = cluster().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "dev");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let stream = api.watch(&WatchParams::default(), &version).await.unwrap();
    cluster.set_down(true);
    let left: Vec<Result<_, Error>> = stream.collect().await;
    assert!(left.is_empty());
}
