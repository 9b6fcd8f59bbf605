//! Releases that would wait for each other's environments.

use serde_json::{Value, json};

use super::{child, stage};
use crate::world::{World, attempt, digest_of};

/// A pipeline of shop with one environment of these stages.
fn pipeline(name: &str, environment: &str, stages: &Value) -> String {
    let artifacts = json!([{ "name": "web", "image": "shop/web" }]);
    let environment = json!({ "name": environment, "namespace": "dev", "stages": stages });
    json!({ "application": "shop", "pipeline": name, "artifacts": artifacts, "environments": [environment] })
        .to_string()
}

/// A release to `dev` waits for one that goes to `prod`; meanwhile the one that holds `prod` would wait for one that goes to
/// `dev`. The second is told so, and the first comes to its end.
#[tokio::test(start_paused = true)]
async fn two_releases_do_not_wait_for_each_others_environments() {
    let world = World::new().await;
    let pause = json!({ "name": "Pause", "type": "wait", "duration": "20s" });
    let starts = |other: &str| json!({ "name": "db", "type": "pipeline", "pipeline": other });
    let mut second = starts("to-dev");
    second["dependsOn"] = json!(["Pause"]);
    world.save(&pipeline("to-prod", "prod", &json!([pause]))).await;
    world.save(&pipeline("to-dev", "dev", &json!([pause]))).await;
    world.save(&pipeline("web", "dev", &json!([starts("to-prod")]))).await;
    world.save(&pipeline("other", "prod", &json!([pause, second]))).await;

    let ask = json!({ "application": "shop", "pipeline": "other" });
    let answer = world.post("/v1/releases", &ask).await;
    let other = answer.body["id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned();
    let waits = |view: &Value| attempt(view, "prod", 1)["stages"][0]["status"] == "awaitingAnswer";
    world.until(&other, "prod held", waits).await;
    let release = world.start("1.0.0").await;
    let below = child(&world, &release).await;
    let refused = stage(&world.at_rest(&other).await, "prod", "db");
    assert_eq!(refused["status"], "failed", "{refused:#}");
    let why = refused["reason"].as_str().unwrap();
    assert!(why.contains(&below) && why.contains("the environment `prod`"), "{why}");
    assert_eq!(world.at_rest(&release).await["outcome"], "succeeded");
}

/// What was taken back in one environment never comes to the one after it: whoever waits for it there waits in no circle.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back_on_its_way_does_not_count_where_it_never_comes() {
    let world = World::new().await;
    let pause = |time: &str| json!({ "name": "Pause", "type": "wait", "duration": time });
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } }).to_string();
    let changes = json!({ "name": "Map", "type": "deploy-manifest", "manifests": map });
    let breaks = json!({ "name": "Breaks", "type": "wait", "duration": "1h", "timeout": "2s",
        "dependsOn": ["Map"], "if": "${ artifacts.web.tag != '1.0.0' }" });
    let mut chain: Value =
        serde_json::from_str(&pipeline("chain", "test", &json!([changes, breaks]))).unwrap();
    chain["environments"][0]["rollback"] = json!({ "policy": "on_failure", "pipeline": "back" });
    let after = json!({ "name": "dev", "namespace": "dev", "after": ["test"], "stages": [pause("1s")] });
    chain["environments"].as_array_mut().unwrap().push(after);
    let starts = |other: &str| json!({ "name": "db", "type": "pipeline", "pipeline": other });
    let mut second = starts("to-prod");
    second["dependsOn"] = json!(["Pause"]);
    world.save(&pipeline("back", "test", &json!([pause("10m")]))).await;
    world.save(&chain.to_string()).await;
    world.save(&pipeline("to-prod", "prod", &json!([pause("1s")]))).await;
    world.save(&pipeline("other", "prod", &json!([starts("chain")]))).await;
    world.save(&pipeline("web", "dev", &json!([pause("30s"), second]))).await;
    let start = async |name: &str, tag: &str| {
        let web = json!({ "tag": tag, "digest": digest_of(tag) });
        let ask = json!({ "application": "shop", "pipeline": name, "artifacts": { "web": web } });
        let answer = world.post("/v1/releases", &ask).await;
        answer.body["id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned()
    };
    world.at_rest(&start("chain", "1.0.0").await).await;

    // It holds `prod` and waits for what goes back in `test` for ten minutes.
    let other = start("other", "1.1.0").await;
    let child = |view: &Value| attempt(view, "prod", 1)["stages"][0]["child"].as_str().map(str::to_owned);
    let view = world.until(&other, "what prod waits for", |view| child(view).is_some()).await;
    let chain = child(&view).unwrap();
    let goes_back = |view: &Value| attempt(view, "test", 2)["operationStatus"] == "PhaseInProgress";
    world.until(&chain, "its rollback", goes_back).await;
    let release = world.start("1.0.0").await;
    let done = |view: &Value| {
        let stage = stage(view, "dev", "db");
        !stage["child"].is_null() || stage["status"] == "failed"
    };
    let view = world.until(&release, "its child, or a refusal", done).await;
    let started = stage(&view, "dev", "db");
    assert!(!started["child"].is_null(), "{started:#}");
}
