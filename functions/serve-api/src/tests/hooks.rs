use serde_json::json;

use super::Installation;

#[tokio::test(start_paused = true)]
async fn a_hook_is_made_rotated_and_deleted_and_its_secret_shown_once() {
    let it = Installation::new().await;
    let made = it.put("/v1/hooks/shop", json!({ "sender": "distribution" })).await;
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made.body["path"], &made.body["auth"], &made.body["secrets"]),
        (&json!("/webhooks/distribution/shop"), &json!("bearer"), &json!(1))
    );
    let again = it.put("/v1/hooks/shop", json!({ "sender": "distribution" })).await;
    assert_eq!((again.status.as_u16(), again.body.get("secret")), (200, None));
    let rotated = it.post("/v1/hooks/shop/rotate", json!({})).await;
    assert_ne!(rotated.body["secret"], secret.as_str());
    assert_eq!(rotated.body["secrets"], 2);
    let shown = it.get("/v1/hooks/shop").await;
    let listed = it.get("/v1/hooks").await;
    assert_eq!(listed.body["items"][0], shown.body);
    assert!(!listed.body.to_string().contains(&secret));
    assert_eq!(it.delete("/v1/hooks/shop").await.status, 204);
    assert_eq!(it.get("/v1/hooks/shop").await.refusal(), (404, "not_found"));
    assert_eq!(it.delete("/v1/hooks/shop").await.refusal(), (404, "not_found"));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_cannot_be_is_refused() {
    let it = Installation::new().await;
    let unproven = it.put("/v1/hooks/shop", json!({ "sender": "distribution", "auth": "constraints" })).await;
    assert_eq!(
        (unproven.refusal(), &unproven.body["error"]["problems"][0]["path"]),
        ((422, "invalid"), &json!("auth"))
    );
    assert_eq!(it.put("/v1/hooks/Shop", json!({ "sender": "generic" })).await.refusal(), (422, "invalid"));
    assert_eq!(
        it.put("/v1/hooks/shop", json!({ "sender": "carrier-pigeon" })).await.refusal(),
        (422, "invalid")
    );
    it.put("/v1/hooks/shop", json!({ "sender": "generic" })).await;
    assert_eq!(
        it.put("/v1/hooks/shop", json!({ "sender": "distribution" })).await.refusal(),
        (409, "conflict")
    );
    assert_eq!(it.post("/v1/hooks/shop/rotate", json!({})).await.refusal(), (422, "invalid"));
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_listed_and_those_of_no_hook_are_404() {
    let it = Installation::new().await;
    it.put("/v1/hooks/shop", json!({ "sender": "distribution" })).await;
    assert_eq!(it.get("/v1/hooks/shop/deliveries").await.body, json!({ "items": [] }));
    let delivery = serde_json::from_value::<pilothouse_domain::intake::Delivery>(json!({
        "id": "dlv_00000000000000000000000001", "hook": "shop", "key": "k", "receivedAt": "2026-11-21T10:00:00Z",
        "httpStatus": 202, "expiresAt": "2026-11-23T10:00:00Z",
        "verdicts": [{ "pipeline": "shop/web", "started": false, "reason": "the tag `latest` is not wanted" }],
    }));
    let tx = pilothouse_store::Transaction::new().create(&delivery.unwrap());
    it.context.store.commit(tx).await.unwrap();
    let listed = it.get("/v1/hooks/shop/deliveries").await;
    assert_eq!(listed.body["items"][0]["verdicts"][0]["reason"], "the tag `latest` is not wanted");
    assert_eq!(it.get("/v1/hooks/none/deliveries").await.refusal(), (404, "not_found"));
}
