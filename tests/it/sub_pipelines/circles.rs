//! Releases that would wait for each other's environments.

use serde_json::{Value, json};

use super::{child, stage};
use crate::world::{World, attempt};

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
