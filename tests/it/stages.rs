//! Stages in a graph: order, failure policies, conditions, judgments, waits.

use serde_json::json;

use crate::world::{World, attempt};

/// A pipeline of one environment with these stages.
fn pipeline(stages: &str) -> String {
    let indented: String = stages.lines().map(|l| format!("      {l}\n")).collect();
    format!(
        "application: shop\npipeline: web\nparameters: [{{name: skip, default: 'no'}}]\n\
         artifacts: [{{name: web, image: shop/web}}]\n\
         environments:\n  - name: dev\n    namespace: dev\n    stages:\n{indented}"
    )
}

fn status(view: &serde_json::Value, stage: &str) -> String {
    let attempt = attempt(view, "dev", 1);
    let stages = attempt["stages"].as_array().unwrap();
    let found =
        stages.iter().find(|s| s["name"] == stage).unwrap_or_else(|| panic!("no {stage}: {attempt:#}"));
    found["status"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_diamond_joins_when_both_sides_are_done() {
    let world = World::new().await;
    world
        .save(&pipeline(
            "- {name: a, type: wait, duration: 1s}\n\
         - {name: slow, type: wait, duration: 30s, dependsOn: [a]}\n\
         - {name: quick, type: wait, duration: 2s, dependsOn: [a]}\n\
         - {name: join, type: wait, duration: 1s, dependsOn: [slow, quick]}",
        ))
        .await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "Succeeded", "{view:#}");
    let events = world.events(&release).await;
    let order: Vec<String> = events
        .iter()
        .filter(|e| e["type"] == "StageStarted" || e["type"] == "StageEnded")
        .map(|e| format!("{} {}", e["type"].as_str().unwrap(), e["stage"].as_str().unwrap()))
        .collect();
    let place = |what: &str| order.iter().position(|o| o == what).unwrap();
    assert!(place("StageEnded quick") < place("StageEnded slow"), "{order:?}");
    assert!(place("StageEnded slow") < place("StageStarted join"), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn fifty_stages_in_a_row_do_not_starve_the_map() {
    let world = World::new().await;
    let stages: Vec<String> = (0..50)
        .rev()
        .map(|n| match n {
            0 => "- {name: s0, type: wait, duration: 1s}".to_owned(),
            n => format!("- {{name: s{n}, type: wait, duration: 1s, dependsOn: [s{}]}}", n - 1),
        })
        .collect();
    world.save(&pipeline(&stages.join("\n"))).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_false_condition_skips_the_stage_and_goes_on() {
    let world = World::new().await;
    world
        .save(&pipeline(
            "- {name: a, type: wait, duration: 1s, if: '${ params.skip == \"yes\" }'}\n\
         - {name: b, type: wait, duration: 1s, dependsOn: [a]}",
        ))
        .await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!((status(&view, "a"), status(&view, "b")), ("skipped".to_owned(), "succeeded".to_owned()));
    assert_eq!(attempt(&view, "dev", 1)["status"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_judgment_fails_the_deployment_and_its_dependents_do_not_run() {
    let world = World::new().await;
    world
        .save(&pipeline(
            "- {name: look, type: manual-judgment, instructions: Fine?, inputs: [go, stop]}\n\
         - {name: after, type: wait, duration: 1s, dependsOn: [look]}",
        ))
        .await;
    let release = world.start("1.0.0").await;
    let approval = world.pending_approval(&release).await;
    let view = world.release(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["operationStatus"], "ManualInterventionPending");
    let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
    assert_eq!(world.post(&path, &json!({ "input": "perhaps" })).await.status, 422, "no such answer");
    let path = format!("/v1/releases/{release}/approvals/{approval}/reject");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!((status(&view, "look"), status(&view, "after")), ("failed".to_owned(), "notRun".to_owned()));
    assert_eq!(attempt(&view, "dev", 1)["operationStatus"], "PhaseFailed");
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_judgment_steers_later_stages() {
    let world = World::new().await;
    world.save(&pipeline(
        "- {name: look, type: manual-judgment, inputs: [go, hold]}\n\
         - {name: only if go, type: wait, duration: 1s, dependsOn: [look], if: '${ stages[\"look\"].output.input == \"go\" }'}",
    ))
    .await;
    let release = world.start("1.0.0").await;
    let approval = world.pending_approval(&release).await;
    let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
    assert!(world.post(&path, &json!({ "input": "hold" })).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!(status(&view, "only if go"), "skipped");
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_a_day_can_be_skipped() {
    let world = World::new().await;
    world.save(&pipeline("- {name: settle, type: wait, duration: 1d}")).await;
    let release = world.start("1.0.0").await;
    let waits = |v: &serde_json::Value| status_or_none(v) == Some("awaitingAnswer".to_owned());
    world.until(&release, "the wait", waits).await;
    let path = format!("/v1/releases/{release}/environments/dev/stages/settle/skip");
    let answer = world.post(&path, &json!({})).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    let view = world.at_rest(&release).await;
    assert_eq!(status(&view, "settle"), "succeeded");
    assert_eq!(world.post(&path, &json!({})).await.status, 409);
}

fn status_or_none(view: &serde_json::Value) -> Option<String> {
    attempt(view, "dev", 1)["stages"][0]["status"].as_str().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_outlasts_its_timeout_fails_with_what_it_waited_for() {
    let world = World::new().await;
    world.save(&crate::main_story::WEB.replace("timeout: 5m", "timeout: 40s")).await;
    let never = pilothouse_sim_cluster::Behaviour::NeverReady { message: Some("503 from /ready".to_owned()) };
    world.sim.set_rules(vec![pilothouse_sim_cluster::ImageRule::new("*", never)]);
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    let stage = attempt(&view, "dev", 1)["stages"][0].clone();
    assert_eq!(stage["status"], "failed");
    assert!(stage["reason"].as_str().unwrap().contains("longer than its timeout"), "{stage:#}");
    assert!(stage["evidence"]["pod"].as_str().unwrap().starts_with("web-"), "{stage:#}");
}
