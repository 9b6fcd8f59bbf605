//! Rolling back by hand, and retrying (H5, H6, H7).

mod any_time;
mod chain;
mod holds;
mod objects;
mod pipelines;
mod races;
mod retry;

use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};

use crate::main_story::{WEB, crash_in_prod, running};
use crate::world::{World, attempt};

/// An environment: a ConfigMap with the version, then a Deployment of the image.
fn environment(name: &str, rollback: &Value) -> Value {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"},
        "data": {"VERSION": "${ artifacts.web.tag }"}});
    let pod = json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "shop/web"}]}});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": pod}});
    json!({"name": name, "namespace": name, "rollback": rollback, "stages": [
        {"name": "Config", "type": "deploy-manifest", "render": true, "manifests": config.to_string()},
        {"name": "Deploy", "type": "deploy-manifest", "dependsOn": ["Config"], "timeout": "2m",
            "manifests": web.to_string()},
    ]})
}

/// The pipeline `shop/web` of these environments.
fn pipeline(environments: &[Value]) -> String {
    let artifacts = json!([{"name": "web", "image": "shop/web"}]);
    json!({"application": "shop", "pipeline": "web", "artifacts": artifacts, "environments": environments})
        .to_string()
}

/// Starts a release without approvals, and waits for its end.
async fn run(world: &World, tag: &str) -> (String, Value) {
    let release = world.start(tag).await;
    let view = world.at_rest(&release).await;
    (release, view)
}

/// Does something in `prod`, which is accepted, and waits for what it comes to.
async fn act(world: &World, release: &str, action: &str) -> Value {
    let answer = world.post(&format!("/v1/releases/{release}/environments/prod/{action}"), &json!({})).await;
    assert_eq!(answer.status, 202, "{:#}", answer.body);
    world.at_rest(release).await
}

/// The attempt's pair.
fn pair(attempt: &Value) -> (&str, &str) {
    let text = |key: &str| attempt[key].as_str().unwrap_or_default();
    (text("status"), text("operationStatus"))
}

fn stage_names(attempt: &Value) -> Vec<&str> {
    attempt["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect()
}

async fn deployed(world: &World, tag: &str) -> String {
    let release = world.start(tag).await;
    assert!(world.approve(&release).await.status.is_success());
    world.at_rest(&release).await;
    release
}

#[tokio::test(start_paused = true)]
async fn a_release_that_succeeded_can_be_taken_back_by_hand() {
    let world = World::new().await;
    world.save(WEB).await;
    deployed(&world, "1.0.0").await;
    let before = running(&world, "prod");
    let second = deployed(&world, "1.1.0").await;
    assert_eq!(running(&world, "prod").1, "1.1.0");
    let path = format!("/v1/releases/{second}/environments/prod/rollback");
    let answer = world.post(&path, &json!({})).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    let view = world.at_rest(&second).await;
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "{view:#}");
    assert_eq!(running(&world, "prod"), before);
    assert_eq!(world.post(&path, &json!({})).await.status, 409, "it was taken back already");
}

#[tokio::test(start_paused = true)]
async fn an_older_release_is_not_taken_back_under_a_newer_one() {
    let world = World::new().await;
    world.save(WEB).await;
    let first = deployed(&world, "1.0.0").await;
    deployed(&world, "1.1.0").await;
    let answer = world.post(&format!("/v1/releases/{first}/environments/prod/rollback"), &json!({})).await;
    assert_eq!(answer.status, 409);
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("since"), "{:#}", answer.body);
    assert_eq!(running(&world, "prod").1, "1.1.0");
}

#[tokio::test(start_paused = true)]
async fn rolling_back_a_running_deployment_cancels_it_first() {
    let world = World::new().await;
    world.save(WEB).await;
    deployed(&world, "1.0.0").await;
    let before = running(&world, "prod");
    world.sim.set_rules(vec![
        ImageRule::new("*:1.1.0@*", Behaviour::NeverReady { message: None }).in_namespace("prod"),
    ]);
    let second = world.start("1.1.0").await;
    world.approve(&second).await;
    let runs = |v: &serde_json::Value| attempt(v, "prod", 1)["stages"][0]["status"] == "running";
    world.until(&second, "the stage running in prod", runs).await;
    let path = format!("/v1/releases/{second}/environments/prod/rollback");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let view = world.at_rest(&second).await;
    let canceled = attempt(&view, "prod", 1);
    assert_eq!((&canceled["status"], &canceled["operationStatus"]), (&json!("Failed"), &json!("Canceled")));
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded");
    assert_eq!(running(&world, "prod"), before);
}

#[tokio::test(start_paused = true)]
async fn a_failed_deployment_is_retried_as_a_new_attempt() {
    let world = World::new().await;
    world.save(WEB).await;
    deployed(&world, "1.0.0").await;
    crash_in_prod(&world, "1.1.0");
    let second = deployed(&world, "1.1.0").await;
    assert_eq!(running(&world, "prod").1, "1.0.0", "rolled back");
    world.sim.set_rules(Vec::new());
    let path = format!("/v1/releases/{second}/environments/prod/deploy");
    let answer = world.post(&path, &json!({})).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    world.approve(&second).await;
    let view = world.at_rest(&second).await;
    assert_eq!(attempt(&view, "prod", 1)["status"], "Failed", "the first attempt stays as it ended");
    assert_eq!(attempt(&view, "prod", 3)["kind"], "redeploy");
    assert_eq!(attempt(&view, "prod", 3)["status"], "Succeeded");
    assert_eq!(running(&world, "prod").1, "1.1.0");
}

#[tokio::test(start_paused = true)]
async fn the_first_deployment_is_taken_back_to_nothing() {
    let world = World::new().await;
    world.save(WEB).await;
    crash_in_prod(&world, "1.0.0");
    let release = world.start("1.0.0").await;
    world.approve(&release).await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "{:#}", attempt(&view, "prod", 2));
    for kind in ["Deployment", "ConfigMap", "Service"] {
        assert!(world.sim.get(kind, "prod", "web").is_none(), "{kind} is still there");
    }
}
