//! What clusters share with other deployments: their slots (A19, A26) and freezes (X14), of each cluster by itself.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Fleet, fleet, tag};
use crate::world::{World, attempt};

/// A pipeline of `application` that asks somebody, and then passes through these clusters.
fn asks(application: &str, clusters: &[&str]) -> String {
    let stages = json!([
        { "name": "Ask", "type": "manual-judgment", "cluster": clusters[0] },
        { "name": "Pause", "type": "wait", "duration": "1s", "dependsOn": ["Ask"], "clusters": clusters },
    ]);
    json!({ "application": application, "pipeline": "web",
        "environments": [{ "name": "prod", "namespace": "prod", "stages": stages }] })
    .to_string()
}

async fn start(world: &World, application: &str) -> String {
    let answer = world.post("/v1/releases", &json!({ "application": application, "pipeline": "web" })).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

fn state(view: &Value) -> String {
    attempt(view, "prod", 1)["operationStatus"].as_str().unwrap_or_default().to_owned()
}

async fn reaches(world: &World, release: &str, wanted: &str) -> Value {
    world.until(release, wanted, |view| state(view) == wanted).await
}

async fn holders(world: &World, cluster: &str) -> usize {
    let lanes = world.get("/v1/lanes").await.body["items"].as_array().unwrap().clone();
    let lane = lanes.iter().find(|lane| lane["name"] == cluster);
    lane.map_or(0, |lane| lane["holders"].as_array().unwrap().len())
}

/// Two that want the slots of both clusters, in whatever order they name them, never wait for each other.
#[tokio::test(start_paused = true)]
async fn a_deployment_over_several_clusters_takes_a_slot_of_each_and_gives_all_back() {
    let Fleet { world, .. } = fleet().await;
    for cluster in ["eu", "us"] {
        let limited = world.put(&format!("/v1/limits/clusters/{cluster}"), &json!({ "atOnce": 1 })).await;
        assert!(limited.status.is_success(), "{:#}", limited.body);
    }
    for (application, clusters) in
        [("first", ["eu", "us"]), ("second", ["us", "eu"]), ("third", ["us", "us2"])]
    {
        world.add_cluster(clusters[1]).await;
        world.save(&asks(application, &clusters)).await;
    }
    let first = start(&world, "first").await;
    reaches(&world, &first, "ManualInterventionPending").await;
    assert_eq!((holders(&world, "eu").await, holders(&world, "us").await), (1, 1));
    // It waits for eu, the first by name; the third waits for us, and takes it before.
    let second = start(&world, "second").await;
    reaches(&world, &second, "QueuedForAgent").await;
    let third = start(&world, "third").await;
    let view = reaches(&world, &third, "QueuedForAgent").await;
    let reason = attempt(&view, "prod", 1)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("the slots of the cluster `us`, 1 of 1 taken"), "{reason}");
    world.approve(&first).await;
    world.at_rest(&first).await;
    reaches(&world, &third, "ManualInterventionPending").await;
    let view = world.release(&second).await;
    assert_eq!(state(&view), "QueuedForAgent", "it has eu, and waits for us");
    let reason = attempt(&view, "prod", 1)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("the slots of the cluster `us`"), "{reason}");
    // A restart loses nothing of that.
    let world = world.restarted(11).await;
    assert_eq!((holders(&world, "eu").await, holders(&world, "us").await), (1, 1));
    world.approve(&third).await;
    world.at_rest(&third).await;
    reaches(&world, &second, "ManualInterventionPending").await;
    // A pause gives both back, and a resume takes both again.
    let control = |what: &str| format!("/v1/releases/{second}/environments/prod/{what}");
    assert!(world.post(&control("pause"), &json!({})).await.status.is_success());
    world.approve(&second).await;
    world.until(&second, "paused", |v| attempt(v, "prod", 1)["control"] == "paused").await;
    assert_eq!((holders(&world, "eu").await, holders(&world, "us").await), (0, 0));
    assert!(world.post(&control("resume"), &json!({})).await.status.is_success());
    let view = world.at_rest(&second).await;
    assert_eq!(attempt(&view, "prod", 1)["status"], "Succeeded", "{view:#}");
    assert_eq!((holders(&world, "eu").await, holders(&world, "us").await), (0, 0));
}

/// What waits for one cluster's slot and is cancelled gives back those that it has of others.
#[tokio::test(start_paused = true)]
async fn who_is_cancelled_between_two_clusters_keeps_no_slot() {
    let Fleet { world, .. } = fleet().await;
    for cluster in ["eu", "us"] {
        world.put(&format!("/v1/limits/clusters/{cluster}"), &json!({ "atOnce": 1 })).await;
    }
    world.save(&asks("first", &["us"])).await;
    world.save(&asks("second", &["eu", "us"])).await;
    let first = start(&world, "first").await;
    reaches(&world, &first, "ManualInterventionPending").await;
    let second = start(&world, "second").await;
    reaches(&world, &second, "QueuedForAgent").await;
    assert_eq!((holders(&world, "eu").await, holders(&world, "us").await), (1, 1));
    let cancel = format!("/v1/releases/{second}/environments/prod/cancel");
    assert!(world.post(&cancel, &json!({})).await.status.is_success());
    world.at_rest(&second).await;
    assert_eq!((holders(&world, "eu").await, holders(&world, "us").await), (0, 1));
    // The limit that is lifted while somebody stands there lets it through.
    world.save(&asks("third", &["eu", "us"])).await;
    let third = start(&world, "third").await;
    reaches(&world, &third, "QueuedForAgent").await;
    let lifted = world.call_as(&world.token, Method::DELETE, "/v1/limits/clusters/us", &Value::Null).await;
    assert!(lifted.status.is_success());
    reaches(&world, &third, "ManualInterventionPending").await;
    assert_eq!(holders(&world, "eu").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_of_one_cluster_holds_what_deploys_to_it_among_others() {
    let Fleet { world, eu, .. } = fleet().await;
    world.save(&super::pipeline(&json!({ "clusters": ["eu", "us"] }), &json!({}), &[])).await;
    let ask = json!({ "cluster": "us", "reason": "the network there" });
    let freeze = world.post("/v1/freezes", &ask).await;
    assert_eq!(freeze.status, StatusCode::CREATED, "{:#}", freeze.body);
    let release = world.start("1.0.0").await;
    world.until(&release, "frozen", |v| attempt(v, "prod", 1)["frozen"].is_object()).await;
    assert_eq!(tag(&eu), None);
    let path = format!("/v1/freezes/{}", freeze.body["id"].as_str().unwrap());
    world.call_as(&world.token, Method::DELETE, &path, &Value::Null).await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "prod", 1)["status"], "Succeeded", "{view:#}");
    assert_eq!(tag(&eu).as_deref(), Some("1.0.0"));
}
