//! Waits that people end early or shorten, with the warning (T37), and judgments side by side (A24, T35).

use std::time::Duration;

use pilothouse_domain::duration::Span;
use serde_json::{Value, json};

use crate::world::{World, attempt};

/// A pipeline of one environment with these stages.
fn pipeline(stages: &str) -> String {
    let indented: String = stages.lines().map(|l| format!("      {l}\n")).collect();
    format!(
        "application: shop\npipeline: web\nparameters: [{{name: pause, default: 90s}}]\n\
         artifacts: [{{name: web, image: shop/web}}]\n\
         environments:\n  - name: dev\n    namespace: dev\n    stages:\n{indented}"
    )
}

fn stage(view: &Value, name: &str) -> Value {
    let attempt = attempt(view, "dev", 1);
    let stages = attempt["stages"].as_array().unwrap();
    stages.iter().find(|s| s["name"] == name).cloned().unwrap_or_else(|| panic!("no {name}: {attempt:#}"))
}

fn skip_path(release: &str, stage: &str) -> String {
    format!("/v1/releases/{release}/environments/dev/stages/{stage}/skip")
}

/// A release whose stage `settle`, as written, waits.
async fn waiting(world: &World, settle: &str) -> String {
    world.save(&pipeline(settle)).await;
    let release = world.start("1.0.0").await;
    world.until(&release, "the wait", |v| stage(v, "settle")["status"] == "awaitingAnswer").await;
    release
}

fn seconds_between(from: &Value, to: &Value) -> i64 {
    let at = |v: &Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    at(to).duration_since(at(from)).as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_shortened_and_never_lengthened() {
    let world = World::new().await;
    let release = waiting(&world, "- {name: settle, type: wait, duration: 1h}").await;
    let path = skip_path(&release, "settle");
    let longer = world.post(&path, &json!({ "remaining": "2h" })).await;
    assert_eq!(longer.status, 409, "{:#}", longer.body);
    assert!(
        longer.body["error"]["message"].as_str().unwrap().contains("waits no longer"),
        "{:#}",
        longer.body
    );
    let shorter = world.post(&path, &json!({ "remaining": "30s" })).await;
    assert_eq!(shorter.status, 202, "{:#}", shorter.body);
    let view = world.release(&release).await;
    assert_eq!(stage(&view, "settle")["waits"]["until"], shorter.body["until"]);
    let view = world.at_rest(&release).await;
    let settled = stage(&view, "settle");
    assert_eq!(
        (&settled["status"], &settled["output"]["shortenedBy"]),
        (&json!("succeeded"), &json!("admin"))
    );
    let took = seconds_between(&settled["startedAt"], &settled["endedAt"]);
    assert!((30..=35).contains(&took), "{took} s: {settled:#}");
    let events = world.events(&release).await;
    assert!(events.iter().any(|e| e["type"] == "WaitShortened" && e["actor"] == "admin"), "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_shown_and_has_to_be_acknowledged() {
    let world = World::new().await;
    let settle = "- {name: settle, type: wait, duration: 1h, warning: Caches are cold.}";
    let release = waiting(&world, settle).await;
    let waits = stage(&world.release(&release).await, "settle")["waits"].clone();
    assert_eq!(
        (&waits["for"], &waits["skippable"], &waits["warning"]),
        (&json!("time"), &json!(true), &json!("Caches are cold."))
    );
    let path = skip_path(&release, "settle");
    for ask in [json!({}), json!({ "remaining": "30s" })] {
        let refused = world.post(&path, &ask).await;
        let message = refused.body["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(refused.status, 409);
        assert!(message.contains("Caches are cold.") && message.contains("acknowledged"), "{message}");
    }
    assert_eq!(world.post(&path, &json!({ "acknowledged": true })).await.status, 202);
    let view = world.at_rest(&release).await;
    assert_eq!(stage(&view, "settle")["output"]["skippedBy"], "admin");
    let events = world.events(&release).await;
    let skipped = events.iter().find(|e| e["type"] == "WaitSkipped").unwrap();
    assert_eq!(skipped["warning"], "Caches are cold.", "the record says what was set aside");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_wait_cannot_be_skipped_and_says_why() {
    let world = World::new().await;
    let stages = "- {name: settle, type: wait, duration: 1h, skippable: false}\n\
                  - {name: later, type: wait, duration: 1s, dependsOn: [settle]}";
    let release = waiting(&world, stages).await;
    for (name, status, says) in [
        ("settle", 409, "is not skippable"),
        ("later", 409, "has not begun yet"),
        ("latre", 404, "its stages are `settle`, `later`"),
    ] {
        let refused = world.post(&skip_path(&release, name), &json!({})).await;
        assert_eq!(refused.status.as_u16(), status, "{:#}", refused.body);
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duration_is_an_expression_of_the_parameters() {
    let world = World::new().await;
    world.save(&pipeline("- {name: settle, type: wait, duration: '${ params.pause }'}")).await;
    let ask = json!({
        "application": "shop", "pipeline": "web", "parameters": { "pause": "40s" },
        "artifacts": { "web": { "tag": "1.0.0" } },
    });
    let release = world.post("/v1/releases", &ask).await.body["id"].as_str().unwrap().to_owned();
    let view = world.at_rest(&release).await;
    assert_eq!(stage(&view, "settle")["output"]["waited"], "40s");
}

/// The wake of a shortened wait is lost: the sweep finds that its time is over.
#[tokio::test(start_paused = true)]
async fn a_shortened_wait_whose_wake_was_lost_is_ended_by_the_sweep() {
    let world = World::new().await;
    let release = waiting(&world, "- {name: settle, type: wait, duration: 10h}").await;
    let context = world.system.context();
    let at = pilothouse_domain::attempt::AttemptRef {
        release: release.parse().unwrap(),
        environment: "dev".to_owned(),
        number: 1,
    };
    // What `skip_wait` writes before it wakes.
    let run = context.store.stage_run(&at, "settle").await.unwrap().unwrap();
    let mut next = run.record.clone();
    next.deadline = Span::from_secs(30).after(context.now());
    next.action = json!({ "shortenedBy": "admin" });
    context.store.commit(pilothouse_store::Transaction::new().replace(&run, &next)).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(stage(&world.release(&release).await, "settle")["status"], "awaitingAnswer");
    pilothouse_operations::sweep(context, Span::from_secs(0)).await.unwrap();
    let view = world.at_rest(&release).await;
    assert_eq!(stage(&view, "settle")["output"]["shortenedBy"], "admin");
}

/// A24: two judgments at once; the attempt waits for people until the last of them is answered.
#[tokio::test(start_paused = true)]
async fn two_judgments_side_by_side_keep_the_attempt_pending_until_the_last_is_answered() {
    let world = World::new().await;
    world
        .save(&pipeline(
            "- {name: left, type: manual-judgment, instructions: Left?}\n\
             - {name: right, type: manual-judgment, instructions: Right?, inputs: [go, hold]}\n\
             - {name: after, type: wait, duration: 10s, dependsOn: [left, right]}",
        ))
        .await;
    let release = world.start("1.0.0").await;
    let both = |v: &Value| ["left", "right"].iter().all(|name| stage(v, name)["waits"]["for"] == "answer");
    let view = world.until(&release, "both questions", both).await;
    assert_eq!(attempt(&view, "dev", 1)["operationStatus"], "ManualInterventionPending");
    assert_eq!(view["outcome"], "awaitingPerson");
    let decide = |view: &Value, name: &str, ask: Value| {
        let approval = stage(view, name)["waits"]["approval"].as_str().unwrap().to_owned();
        let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
        let world = &world;
        async move { world.post(&path, &ask).await }
    };
    let one = decide(&view, "left", json!({ "comment": "fine" })).await;
    assert!(one.status.is_success(), "{:#}", one.body);
    let left = world.until(&release, "left done", |v| stage(v, "left")["status"] == "succeeded").await;
    assert_eq!(attempt(&left, "dev", 1)["operationStatus"], "ManualInterventionPending", "right is open");
    let two = decide(&view, "right", json!({ "input": "go" })).await;
    assert!(two.status.is_success(), "{:#}", two.body);
    let gone_on = |v: &Value| attempt(v, "dev", 1)["operationStatus"] == "PhaseInProgress";
    world.until(&release, "the stages go on", gone_on).await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "Succeeded");
    assert_eq!(stage(&view, "right")["output"]["input"], "go");
}
