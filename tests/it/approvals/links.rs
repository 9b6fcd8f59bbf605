//! Single-use links: opened by anybody, decided with once.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};

use super::{PAUSE, code, pipeline};
use crate::world::{Answer, World, environment_status};

/// A release that waits for one approval of an approver, Ann's token, and a link for her.
async fn linked(world: &World, policy: &str) -> (String, String) {
    world.save(&pipeline(policy, PAUSE)).await;
    world.person("ann", "approver").await;
    let release = world.start("1.0.0").await;
    let link = link(world, &release, json!({ "for": "ann" })).await;
    (release, link)
}

const ONE: &str = "{before: {approvers: [{role: approver}], instructions: 'Mind <the> gap.'}}";

async fn link(world: &World, release: &str, ask: Value) -> String {
    let made = world.about(&world.token, release, "links", ask).await;
    assert_eq!(made.status, 201, "{:#}", made.body);
    made.body["url"].as_str().unwrap().to_owned()
}

/// A request without any token, as a browser, a chat or curl sends it.
async fn open(world: &World, method: Method, path: &str, accept: &str, form: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, accept)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    world.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

async fn post(world: &World, path: &str, form: &str) -> Answer {
    open(world, Method::POST, path, "application/json", form).await
}

#[tokio::test(start_paused = true)]
async fn opening_a_link_decides_nothing_and_posting_to_it_decides_once() {
    let world = World::new().await;
    let (release, link) = linked(&world, ONE).await;
    for _ in 0..3 {
        let page = open(&world, Method::GET, &link, "text/html", "").await;
        let html = page.body.as_str().unwrap();
        assert!(
            html.contains("Deploy shop/web to prod?") && html.contains("Mind &lt;the&gt; gap."),
            "{html}"
        );
        assert!(html.contains("/approve\"") && html.contains("/reject\""), "{html}");
    }
    let text = open(&world, Method::GET, &link, "*/*", "").await;
    assert!(text.body.as_str().unwrap().contains("POST to it: add /approve or /reject"), "{:#}", text.body);
    let shown = open(&world, Method::GET, &link, "application/json", "").await;
    assert_eq!(shown.body["standing"], "pending (0 of 1 given)");
    assert_eq!(world.approval(&release).await["pending"], true, "nobody has decided");
    let put = open(&world, Method::GET, &format!("{link}/approve"), "*/*", "").await;
    assert_eq!(put.status, 405);

    let approved = post(&world, &format!("{link}/approve"), "comment=from+chat&input=").await;
    assert_eq!(approved.body, json!({ "standing": "approved by ann" }));
    let again = post(&world, &format!("{link}/reject"), "").await;
    assert_eq!(code(&again), (409, "link_used"), "{:#}", again.body);
    let late = open(&world, Method::GET, &link, "text/html", "").await;
    assert_eq!(late.status, 409);
    assert!(late.body.as_str().unwrap().contains("Nothing was decided"));
    assert_eq!(environment_status(&world.at_rest(&release).await, "prod"), "Succeeded");

    let decision = world.approval(&release).await["decisions"][0].clone();
    assert_eq!((&decision["by"], &decision["comment"]), (&json!("ann"), &json!("from chat")));
    assert_eq!((&decision["via"]["channel"], &decision["via"]["madeBy"]), (&json!("link"), &json!("admin")));
    assert_eq!(decision["saw"], world.approval(&release).await["shownHash"], "bound to what was shown");
    let made = world.told(&release, "ApprovalLinkMade").await;
    assert_eq!((&made[0]["actor"], &made[0]["person"]), (&json!("admin"), &json!("ann")));
    assert!(made[0]["until"].as_str().unwrap().starts_with("2026-11-21T10:00:0"), "an hour: {made:#?}");
    let token = link.rsplit('/').next().unwrap();
    let everything = format!("{:?}{}", world.events(&release).await, world.release(&release).await);
    assert!(!everything.contains(token) && !everything.contains(token.split_once('.').unwrap().1));
}

#[tokio::test(start_paused = true)]
async fn two_uses_at_once_decide_once() {
    let world = World::new().await;
    let (release, link) = linked(&world, "{before: {approvers: [{role: approver}], required: 2}}").await;
    let path = format!("{link}/approve");
    let (one, two) = tokio::join!(post(&world, &path, ""), post(&world, &path, ""));
    let mut codes = [code(&one), code(&two)];
    codes.sort_unstable();
    assert_eq!(codes[0], (200, "none"));
    assert_eq!(codes[1], (409, "link_used"));
    assert_eq!(world.approval(&release).await["standing"], "pending (1 of 2 given)");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_late_changed_of_another_action_or_of_a_revoked_person_decides_nothing() {
    let world = World::new().await;
    let (release, _) = linked(&world, ONE).await;
    let reject = json!({ "for": "ann", "actions": ["reject"], "expiresIn": "10m" });
    let link = link(&world, &release, reject).await;
    assert_eq!(code(&post(&world, &format!("{link}/approve"), "").await), (403, "link_not_for_this"));
    let (head, tail) = link.split_at(link.len() - 6);
    for forged in [format!("{head}AAAAAA"), "/links/x".to_owned(), format!("{link}{tail}")] {
        assert_eq!(code(&post(&world, &format!("{forged}/reject"), "").await), (404, "link_unknown"));
    }
    assert_eq!(code(&post(&world, &format!("{link}/reject"), "input=nonsense").await), (422, "invalid"));
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(code(&post(&world, &format!("{link}/reject"), "").await), (410, "link_expired"));

    let fresh = super::links::link(&world, &release, json!({ "for": "ann" })).await;
    let revoked = world.call_as(&world.token, Method::DELETE, "/v1/tokens/ann", &Value::Null).await;
    assert!(revoked.status.is_success(), "{:#}", revoked.body);
    assert_eq!(code(&post(&world, &format!("{fresh}/approve"), "").await), (403, "link_not_for_this"));
    assert_eq!(world.approval(&release).await["pending"], true);
    world.post(&format!("/v1/releases/{release}/environments/prod/cancel"), &json!({})).await;
    let over = open(&world, Method::GET, &fresh, "application/json", "").await;
    assert_eq!(code(&over), (409, "approval_ended"), "{:#}", over.body);
}

#[tokio::test(start_paused = true)]
async fn a_link_for_another_is_made_by_an_admin_only_and_for_an_approver_only() {
    let world = World::new().await;
    world.save(&pipeline("{before: {approvers: [{role: approver}], required: 2}}", PAUSE)).await;
    let (ann, cat) = (world.person("ann", "approver").await, world.person("cat", "operator").await);
    world.person("bob", "approver").await;
    let release = world.start("1.0.0").await;
    // Ann could otherwise give Bob's approval beside her own.
    let of_bob = world.about(&ann, &release, "links", json!({ "for": "bob" })).await;
    assert_eq!(code(&of_bob), (403, "not_an_approver"), "{:#}", of_bob.body);
    let of_cat = world.about(&cat, &release, "links", json!({ "for": "cat" })).await;
    assert_eq!(code(&of_cat), (403, "not_an_approver"));
    let nobody = world.about(&world.token, &release, "links", json!({ "for": "nobody" })).await;
    assert_eq!(nobody.body["error"]["problems"][0]["path"], "for", "{:#}", nobody.body);
    let hers = world.about(&ann, &release, "links", json!({ "for": "ann", "expiresIn": "30d" })).await;
    assert_eq!(hers.status, 201, "{:#}", hers.body);
    assert_eq!(hers.body["expiresAt"], world.approval(&release).await["deadline"], "no longer than it waits");
}

#[tokio::test(start_paused = true)]
async fn who_started_the_release_makes_no_links_for_it_where_that_is_forbidden_and_hears_who_can() {
    let world = World::new().await;
    let strict = "{before: {approvers: [{role: approver}], selfApproval: false}}";
    world.save(&pipeline(strict, PAUSE)).await;
    let ann = world.person("ann", "approver").await;
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    let refused = world.about(&world.token, &release, "links", json!({ "for": "ann" })).await;
    assert_eq!(code(&refused), (403, "own_release"), "{:#}", refused.body);
    let message = refused.body["error"]["message"].as_str().unwrap();
    let expected = "`admin` may not make links for this approval, having started the release or the deployment; \
                    `ann` or another admin can";
    assert_eq!(message, expected);
    let own = world.about(&ann, &release, "links", json!({ "for": "ann" })).await;
    assert_eq!(own.status, 201, "{:#}", own.body);
}
