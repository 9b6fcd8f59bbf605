use pilothouse_operations::tokens::first_admin_token;
use serde_json::json;

use super::Installation;

#[tokio::test(start_paused = true)]
async fn a_token_works_until_it_is_revoked_and_is_shown_once() {
    let it = Installation::new().await;
    let made = it.post("/v1/tokens", json!({ "name": "ci", "role": "operator" })).await;
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert!(made.status == 201 && secret.starts_with("pht_") && secret.len() > 40);
    assert_eq!(it.call(&secret, "GET", "/v1/whoami", "").await.body["name"], "ci");
    let listed = it.get("/v1/tokens").await;
    let names: Vec<_> = listed.body["items"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(names, ["admin", "ci"]);
    assert!(!listed.body.to_string().contains("hash") && !listed.body.to_string().contains(&secret));
    assert_eq!(it.delete("/v1/tokens/ci").await.status, 204);
    assert_eq!(it.call(&secret, "GET", "/v1/whoami", "").await.refusal(), (401, "unauthorized"));
    assert_eq!(it.delete("/v1/tokens/ci").await.refusal(), (404, "not_found"));
}

#[tokio::test(start_paused = true)]
async fn names_are_unique_and_the_last_admin_stays() {
    let it = Installation::new().await;
    let taken = it.post("/v1/tokens", json!({ "name": "admin", "role": "viewer" })).await;
    assert_eq!(taken.refusal(), (409, "conflict"));
    let odd = it.post("/v1/tokens", json!({ "name": "a b", "role": "viewer" })).await;
    assert_eq!(
        (odd.refusal(), &odd.body["error"]["problems"][0]["path"]),
        ((422, "invalid"), &json!("name"))
    );
    assert_eq!(
        it.post("/v1/tokens", json!({ "name": "x", "role": "king" })).await.refusal(),
        (422, "invalid")
    );
    let last = it.delete("/v1/tokens/admin").await;
    assert_eq!(last.refusal(), (409, "conflict"));
    it.post("/v1/tokens", json!({ "name": "root", "role": "admin" })).await;
    assert_eq!(it.delete("/v1/tokens/admin").await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn the_first_admins_token_is_made_once() {
    let it = Installation::new().await;
    assert_eq!(first_admin_token(&it.context).await.unwrap(), None);
}
