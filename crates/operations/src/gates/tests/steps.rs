use std::time::Duration;

use pilothouse_domain::gate::GateStatus;
use serde_json::json;

use super::*;

/// A gate that passes outside a freeze from 10:05 to 10:10.
fn freeze(stable_for: &str, timeout: &str) -> Value {
    json!({
        "checks": [{"name": "calendar", "type": "window", "freeze": [{"from": "10:05", "to": "10:10"}]}],
        "interval": "1m", "stableFor": stable_for, "timeout": timeout,
    })
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_passes_at_once_takes_one_sample_and_says_so() {
    let scene = Scene::new(freeze("0s", "1h")).await;
    scene.open().await;
    assert_eq!(scene.step().await, GateStep::Passed);
    assert_eq!(scene.step().await, GateStep::Passed, "called again it takes none");
    assert_eq!(scene.samples().await.len(), 1);
    let events = serde_json::to_value(scene.events().await).unwrap();
    let told: Vec<(&str, &Value)> =
        events.as_array().unwrap().iter().map(|e| (e["type"].as_str().unwrap(), &e["passed"])).collect();
    assert_eq!(told, [("GatesOpened", &Value::Null), ("GatesEnded", &json!(true))]);
}

#[tokio::test(start_paused = true)]
async fn a_sample_is_taken_when_it_is_due_and_the_stable_time_begins_anew_after_a_failure() {
    let scene = Scene::new(freeze("7m", "1h")).await;
    scene.open().await;
    let mut waited = 0;
    while let GateStep::Wait { seconds } = scene.step().await {
        assert_eq!(scene.step().await, GateStep::Wait { seconds }, "no second sample before it is due");
        waited += seconds;
        tokio::time::advance(Duration::from_secs(u64::try_from(seconds).unwrap())).await;
    }
    // From 10:00 to 10:04 it passes, then it is frozen until 10:10, and seven minutes later it is stable.
    assert_eq!(waited, 17 * 60);
    let run = scene.run().await;
    assert_eq!((run.status, run.samples), (GateStatus::Passed, 18));
    let samples = scene.samples().await;
    assert_eq!(samples[0].sample, 18, "the latest first");
    assert_eq!(samples.iter().filter(|sample| !sample.passed).count(), 5);
    let told: Vec<String> = scene
        .events()
        .await
        .iter()
        .map(|e| serde_json::to_value(&e.what).unwrap())
        .map(|e| format!("{} {} {}", e["type"].as_str().unwrap(), e["passed"], e["reason"]))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    GatesOpened null null
    GatesChanged true null
    GatesChanged false "calendar: frozen until 2026-11-21T10:10:00Z"
    GatesChanged true null
    GatesEnded true null
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_gate_fails_at_its_deadline_and_says_which_check_did_not_pass() {
    let mut gate = freeze("20m", "15m");
    gate["onFailure"] = json!("ask");
    let scene = Scene::new(gate).await;
    scene.open().await;
    while let GateStep::Wait { seconds } = scene.step().await {
        tokio::time::advance(Duration::from_secs(u64::try_from(seconds).unwrap())).await;
    }
    let GateStep::Failed { reason, ask } = scene.step().await else { panic!("it fails") };
    assert!(ask);
    assert_eq!(
        reason,
        "the gate did not pass within 15m: all checks passed since 2026-11-21T10:10:00Z only, which is less than 20m"
    );
    assert_eq!(scene.run().await.ended_at, Some(scene.test.context.now()));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_nobody_looked_at_in_time_fails_without_a_sample() {
    let scene = Scene::new(freeze("0s", "1m")).await;
    scene.open().await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let GateStep::Failed { reason, ask: false } = scene.step().await else { panic!("it fails") };
    assert_eq!(reason, "the gate did not pass within 1m: no sample was taken");
    assert!(scene.samples().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_checks_must_pass_in_the_same_sample() {
    let freeze = |name: &str, from: &str, to: &str| json!({"name": name, "type": "window", "freeze": [{"from": from, "to": to}]});
    // Each of them passes half of the time, and both only from 10:06 on.
    let checks = [freeze("even", "10:00", "10:03"), freeze("odd", "10:03", "10:06")];
    let scene = Scene::new(json!({"checks": checks})).await;
    scene.open().await;
    let mut samples = 0;
    while let GateStep::Wait { seconds } = scene.step().await {
        samples += 1;
        tokio::time::advance(Duration::from_secs(u64::try_from(seconds).unwrap())).await;
    }
    assert_eq!((samples, scene.step().await), (6, GateStep::Passed));
    assert!(scene.samples().await.iter().skip(1).all(|s| s.checks.iter().filter(|c| c.passed).count() == 1));
}

#[tokio::test(start_paused = true)]
async fn two_calls_at_once_record_one_sample() {
    let scene = Scene::new(freeze("10m", "1h")).await;
    scene.open().await;
    let (one, two) = tokio::join!(scene.step(), scene.step());
    assert_eq!((one, two), (GateStep::Wait { seconds: 60 }, GateStep::Wait { seconds: 60 }));
    assert_eq!((scene.run().await.samples, scene.samples().await.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_template_without_a_value_fails_the_gate_from_the_start() {
    let check = json!({"type": "http", "url": "http://${ artifacts.web.digest }/"});
    let scene = Scene::new(gate_of(check)).await;
    scene.open().await;
    let GateStep::Failed { reason, .. } = scene.step().await else { panic!("it fails") };
    assert!(reason.starts_with("it: url: "), "{reason}");
    assert_eq!(scene.events().await.len(), 2);
}
