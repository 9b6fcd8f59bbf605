use pilothouse_domain::token::Role;
use pilothouse_operations::advance::advance;
use pilothouse_operations::executions::ExecutionInput;
use serde_json::json;

use super::Installation;

/// A release whose dev waits for approval, and that approval's path.
async fn waiting(it: &Installation) -> (String, String) {
    let id = it.release().await;
    let input: ExecutionInput =
        serde_json::from_value(json!({ "release": id, "environment": "dev", "number": 1, "restarts": 0 }))
            .unwrap();
    // What the engine does first: the attempt enters its lane, and asks.
    advance(&it.context, &input).await.unwrap();
    let release = it.get(&format!("/v1/releases/{id}")).await;
    let approval = release.body["environments"][0]["attempts"][0]["approvals"][0]["id"].as_str().unwrap();
    let path = format!("/v1/releases/{id}/approvals/{approval}");
    (id, path)
}

#[tokio::test(start_paused = true)]
async fn those_who_may_decide_see_it_decide_it_and_find_it_decided() {
    let it = Installation::new().await;
    let (id, path) = waiting(&it).await;
    let ann = it.token("ann", Role::Approver).await;
    let bob = it.token("bob", Role::Operator).await;
    let inbox = it.call(&ann, "GET", "/v1/approvals", "").await;
    assert_eq!(inbox.body["items"][0]["standing"], "pending (0 of 1 given)");
    assert_eq!(it.call(&bob, "GET", "/v1/approvals", "").await.body, json!({ "items": [] }));
    assert_eq!(it.get(&format!("/v1/releases/{id}")).await.body["outcome"], "awaitingPerson");

    let not_his = it.call(&bob, "POST", &format!("{path}/approve"), "").await;
    assert_eq!(not_his.refusal(), (403, "not_an_approver"));
    let body = json!({ "comment": "looks fine" }).to_string();
    let approved = it.call(&ann, "POST", &format!("{path}/approve"), body).await;
    assert_eq!((approved.status.as_u16(), &approved.body["standing"]), (200, &json!("approved by ann")));
    assert_eq!(approved.body["decisions"][0]["comment"], "looks fine");
    assert_eq!(it.call(&ann, "GET", "/v1/approvals", "").await.body, json!({ "items": [] }));

    let late = it.call(&ann, "POST", &format!("{path}/reject"), "").await;
    assert_eq!(late.refusal(), (409, "approval_ended"));
    assert_eq!(late.body["error"]["current"]["approval"], "approved by ann");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_ends_the_attempt_and_a_decision_after_a_cancel_is_refused() {
    let it = Installation::new().await;
    let (id, path) = waiting(&it).await;
    let rejected = it.post(&format!("{path}/reject"), json!({})).await;
    assert_eq!(rejected.body["standing"], "rejected by admin");
    let release = it.get(&format!("/v1/releases/{id}")).await;
    assert_eq!(release.body["environments"][0]["status"], "Rejected");

    let (id, path) = waiting_second(&it, &id).await;
    it.post(&format!("/v1/releases/{id}/environments/dev/cancel"), json!({})).await;
    let late = it.post(&format!("{path}/approve"), json!({})).await;
    assert_eq!(late.refusal(), (409, "approval_ended"));
    assert_eq!(late.body["error"]["current"]["operationStatus"], "Canceled");
}

/// The same again, once the first release has left the lane.
async fn waiting_second(it: &Installation, first: &str) -> (String, String) {
    let input: ExecutionInput =
        serde_json::from_value(json!({ "release": first, "environment": "dev", "number": 1, "restarts": 0 }))
            .unwrap();
    pilothouse_operations::advance::complete(&it.context, &input).await.unwrap();
    waiting(it).await
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_does_not_exist_is_404() {
    let it = Installation::new().await;
    let id = it.release().await;
    for approval in ["nonsense", "apr_00000000000000000000000000"] {
        let answer = it.post(&format!("/v1/releases/{id}/approvals/{approval}/approve"), json!({})).await;
        assert_eq!(answer.refusal(), (404, "not_found"), "{approval}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_key_there_are_no_links() {
    let it = Installation::new().await;
    let (_, path) = waiting(&it).await;
    it.token("ann", Role::Approver).await;
    let refused = it.post(&format!("{path}/links"), json!({ "for": "ann" })).await;
    assert_eq!(refused.refusal(), (409, "conflict"));
    assert!(refused.message().contains("PILOTHOUSE_LINK_KEY"), "{}", refused.message());
    let request = axum::http::Request::get("/links/anything").header("accept", "application/json");
    let opened = it.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(opened.refusal(), (409, "conflict"));
}
