use serde_json::json;

use super::Installation;

fn path(id: &str, environment: &str, action: &str) -> String {
    format!("/v1/releases/{id}/environments/{environment}/{action}")
}

#[tokio::test(start_paused = true)]
async fn canceling_twice_is_a_conflict_that_says_how_things_stand() {
    let it = Installation::new().await;
    let id = it.release().await;
    let canceled = it.post(&path(&id, "dev", "cancel"), json!({})).await;
    assert_eq!(canceled.status, 202);
    assert_eq!(
        (&canceled.body["status"], &canceled.body["operationStatus"]),
        (&json!("NotDeployed"), &json!("Canceled"))
    );
    let again = it.post(&path(&id, "dev", "cancel"), json!({})).await;
    assert_eq!(again.refusal(), (409, "illegal_transition"));
    assert_eq!(
        again.body["error"]["current"],
        json!({ "environment": "dev", "environmentStatus": "Canceled", "attempt": 1,
            "status": "NotDeployed", "operationStatus": "Canceled" })
    );
}

#[tokio::test(start_paused = true)]
async fn an_environment_is_deployed_by_hand_once_at_a_time() {
    let it = Installation::new().await;
    let id = it.release().await;
    let started = it.post(&path(&id, "prod", "deploy"), json!({})).await;
    assert_eq!((started.status.as_u16(), &started.body["attempt"], it.started()), (202, &json!(1), 2));
    let again = it.post(&path(&id, "prod", "deploy"), json!({})).await;
    assert_eq!(again.refusal(), (409, "conflict"));
    assert_eq!(again.body["error"]["current"]["environmentStatus"], "Queued");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_cannot_be_acted_on() {
    let it = Installation::new().await;
    let id = it.release().await;
    for action in ["deploy", "cancel", "rollback", "stages/Pause/skip"] {
        assert_eq!(
            it.post(&path(&id, "mars", action), json!({})).await.refusal(),
            (404, "not_found"),
            "{action}"
        );
        assert_eq!(
            it.post(&path("rel_0", "dev", action), json!({})).await.refusal(),
            (404, "not_found"),
            "{action}"
        );
    }
    let never = it.post(&path(&id, "prod", "cancel"), json!({})).await;
    assert_eq!(
        (never.refusal(), &never.body["error"]["current"]["environmentStatus"]),
        ((409, "conflict"), &json!("NotStarted"))
    );
    assert_eq!(it.post(&path(&id, "dev", "stages/Pause/skip"), json!({})).await.refusal(), (409, "conflict"));
    let waited = it.post(&path(&id, "dev", "rollback"), json!({})).await;
    assert_eq!((waited.status.as_u16(), &waited.body["operationStatus"]), (202, &json!("Canceled")));
    let nothing = it.post(&path(&id, "dev", "rollback"), json!({})).await;
    assert_eq!(nothing.refusal(), (409, "conflict"));
    assert!(nothing.message().contains("it never started"), "{}", nothing.message());
    let no_stage = it.post(&path(&id, "dev", "stages/Puase/skip"), json!({})).await;
    assert_eq!(no_stage.refusal(), (404, "not_found"));
    assert!(no_stage.message().contains("its stages are"), "{}", no_stage.message());
}

#[tokio::test(start_paused = true)]
async fn the_history_of_an_environment_lists_attempts_with_what_they_carried() {
    let it = Installation::new().await;
    let first = it.release().await;
    let second = it.release().await;
    it.post(&path(&first, "dev", "cancel"), json!({})).await;
    let history = it.get("/v1/environments/shop/dev/history").await;
    let rows: Vec<_> = history.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            (
                r["release"].as_str().unwrap(),
                r["operationStatus"].as_str().unwrap(),
                r["artifacts"][0]["tag"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(rows, [(second.as_str(), "Queued", "1.0"), (first.as_str(), "Canceled", "1.0")]);
    let page = it.get("/v1/environments/shop/dev/history?limit=1").await;
    let next = page.body["next"].as_str().unwrap();
    let rest = it.get(&format!("/v1/environments/shop/dev/history?limit=1&cursor={next}")).await;
    assert_eq!(rest.body["items"][0]["release"], first.as_str());
    assert_eq!(it.get("/v1/environments/shop/mars/history").await.body, json!({ "items": [] }));
}
