use axum::body::Body;
use axum::http::Request;
use pilothouse_domain::token::{Permission, Role};
use serde_json::json;

use super::Installation;
use crate::auth::permission_name;
use crate::routes;

#[tokio::test(start_paused = true)]
async fn without_a_valid_token_every_route_but_health_answers_the_same_401() {
    let it = Installation::new().await;
    for route in routes::all().into_iter().filter(|r| r.needs.is_some()) {
        let unknown = it.call("pht_unknown", route.method.as_str(), route.path, "").await;
        let request = Request::builder().method(route.method.clone()).uri(route.path).body(Body::empty());
        let missing = it.send(request.unwrap()).await;
        assert_eq!(missing.refusal(), (401, "unauthorized"), "{}", route.path);
        assert_eq!(missing.body, unknown.body, "{}", route.path);
        assert_eq!(missing.headers["www-authenticate"], "Bearer");
    }
    let health = it.send(Request::builder().uri("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!((health.status.as_u16(), &health.body["status"]), (200, &json!("ok")));
}

#[tokio::test(start_paused = true)]
async fn every_route_refuses_the_roles_that_lack_its_permission_and_names_both() {
    let it = Installation::new().await;
    for role in [Role::Viewer, Role::Operator, Role::Approver, Role::Admin] {
        let token = it.token(&format!("a-{role}"), role).await;
        for route in routes::all() {
            let Some(needs) = route.needs else { continue };
            let path = route.path.replace(['{', '}'], "");
            let answer = it.call(&token, route.method.as_str(), &path, "{}").await;
            let (status, code) = answer.refusal();
            assert_eq!(
                status == 403 && code == "forbidden",
                !role.allows(needs),
                "{role} {} {path}",
                route.method
            );
            if status == 403 {
                let expected =
                    format!("the role `{role}` does not have the permission `{}`", permission_name(needs));
                assert!(answer.message().starts_with(&expected), "{}", answer.message());
            }
        }
    }
}

#[test]
fn whatever_changes_something_needs_more_than_reading() {
    // A link is signed, and made by somebody who may: it needs no token. So is what a webhook's receiver calls back.
    let signed =
        |r: &crate::route::Route| r.path.starts_with("/links/{token}/") || r.path == "/callbacks/{token}";
    let changing =
        |r: &&crate::route::Route| r.method != "GET" && r.path != "/v1/pipelines/validate" && !signed(r);
    for route in routes::all().iter().filter(changing) {
        assert!(route.needs.is_some_and(|p| p != Permission::Read), "{} {}", route.method, route.path);
    }
}

#[tokio::test(start_paused = true)]
async fn whoami_says_what_the_token_may_do() {
    let it = Installation::new().await;
    let token = it.token("ann", Role::Approver).await;
    let who = it.call(&token, "GET", "/v1/whoami", "").await;
    assert_eq!(who.body, json!({ "name": "ann", "role": "approver", "permissions": ["read", "decide"] }));
}
