use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::StageStatus;
use serde_json::json;

use super::Scene;
use crate::stages::wait::Wait;
use crate::stages::{Answer, Begun, StageType};

#[tokio::test(start_paused = true)]
async fn a_wait_asks_nobody_and_its_end_is_success() {
    let scene = Scene::new().await;
    let run = scene.run(&Wait, "Settle", json!({"duration": "30s"}));
    assert_eq!(run.deadline, Span::from_secs(30).after(run.started_at));
    let Begun::Await { question: None, progress } = Wait.begin(&scene.stage(&run)).await.unwrap() else {
        panic!("it waits")
    };
    assert_eq!(progress, format!("waits until {}", run.deadline));
    let end = Wait.answered(&scene.stage(&run), Answer::TimedOut);
    assert_eq!(
        (end.status, end.output),
        (StageStatus::Succeeded, json!({"waited": "30s", "skippedBy": null, "shortenedBy": null}))
    );
    tokio::time::advance(std::time::Duration::from_secs(7)).await;
    let end = Wait.answered(&scene.stage(&run), Answer::Skipped { by: "ann".into() });
    assert_eq!(
        (end.status, end.output),
        (StageStatus::Succeeded, json!({"waited": "7s", "skippedBy": "ann", "shortenedBy": null}))
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_is_shorter_than_the_wait_is_a_failure() {
    let scene = Scene::new().await;
    let mut run = scene.run(&Wait, "Settle", json!({"duration": "30s"}));
    run.deadline = Wait.limit(&run.options, Some(Span::from_secs(10))).after(run.started_at);
    let end = Wait.answered(&scene.stage(&run), Answer::TimedOut);
    assert_eq!(end.status.reason(), Some("its timeout passed before the wait of 30s did"));
    // T37: a person brought its end nearer still; that is no failure.
    run.action = json!({"shortenedBy": "ann"});
    tokio::time::advance(std::time::Duration::from_secs(4)).await;
    let end = Wait.answered(&scene.stage(&run), Answer::TimedOut);
    assert_eq!(end.output, json!({"waited": "4s", "skippedBy": null, "shortenedBy": "ann"}));
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_nothing_is_over_and_one_that_cannot_be_read_fails() {
    let scene = Scene::new().await;
    let begun = |options| {
        let scene = &scene;
        async move {
            let run = scene.run(&Wait, "Settle", options);
            match Wait.begin(&scene.stage(&run)).await.unwrap() {
                Begun::Ended(end) => end.status,
                other => panic!("it is over: {other:?}"),
            }
        }
    };
    assert_eq!(begun(json!({"duration": 0})).await, StageStatus::Succeeded);
    let failed = begun(json!({"duration": "soon"})).await;
    assert!(failed.reason().unwrap().starts_with("duration: `soon` is not a duration"), "{failed:?}");
}
