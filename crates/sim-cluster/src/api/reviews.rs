//! Questions about permissions, and tokens of service accounts: what is asked and answered, but never stored.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Api, Reply, call::Call};
use crate::{
    access::{self, Identity},
    clock, json, kinds,
    requests::Asked,
    status::{ApiError, ApiResult},
};

/// The group of the questions.
pub(super) const GROUP: &str = "authorization.k8s.io";

/// What can be posted: plural and kind, per group.
pub(super) const KINDS: [(&str, &str, &str, bool); 5] = [
    (GROUP, "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
    (GROUP, "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
    (GROUP, "subjectaccessreviews", "SubjectAccessReview", false),
    (GROUP, "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
];

fn answered(body: Value) -> Reply {
    Reply::Json { code: StatusCode::CREATED, body, warnings: Vec::new() }
}

/// Answers a review of this kind (its plural).
pub(super) fn answer(api: &Api, call: &Call, plural: &str) -> ApiResult<Reply> {
    let mut body = call.body_value()?;
    if !body.is_object() {
        return Err(ApiError::bad_request("the object provided is not an object"));
    }
    let Some((group, _, kind, _)) = KINDS.iter().find(|(_, p, _, _)| *p == plural) else {
        return Err(ApiError::no_resource());
    };
    json::set(&mut body, "/kind", *kind);
    json::set(&mut body, "/apiVersion", format!("{group}/v1"));
    let who = match plural {
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            let mut who = Identity::named(json::text(&body, "/spec/user"));
            let groups = json::items(&body, "/spec/groups").iter().filter_map(Value::as_str);
            who.groups.extend(groups.map(str::to_owned));
            who
        }
        _ => call.identity.clone(),
    };
    let status = match plural {
        "selfsubjectreviews" => json!({ "userInfo": { "username": who.user, "groups": who.groups } }),
        "selfsubjectrulesreviews" => rules(api, &who, json::text(&body, "/spec/namespace"))?,
        _ => access(api, &who, &body["spec"])?,
    };
    json::set_default(&mut body, "/metadata", json!({}));
    json::set(&mut body, "/status", status);
    Ok(answered(body))
}

fn access(api: &Api, who: &Identity, spec: &Value) -> ApiResult<Value> {
    let Some(attributes) = spec.get("resourceAttributes").filter(|a| a.is_object()) else {
        if spec.get("nonResourceAttributes").is_some_and(Value::is_object) {
            return Ok(json!({ "allowed": true }));
        }
        let kind = "SelfSubjectAccessReview.authorization.k8s.io";
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Err(ApiError::new(
            422,
            "Invalid",
            format!("{kind} \"\" is invalid: spec.resourceAttributes: Invalid value: null: {why}"),
        ));
    };
    let text = |field: &str| json::text(attributes, &format!("/{field}")).to_owned();
    let (group, resource) = (text("group"), text("resource"));
    let asked = Asked {
        verb: text("verb"),
        resource: if group.is_empty() { resource } else { format!("{resource}.{group}") },
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        ..Asked::default()
    };
    let denials = api.shared.denials();
    let verdict = api.shared.core.transact(|tx| access::decide(tx, &denials, who, &asked));
    Ok(match verdict {
        Ok(reason) if reason.is_empty() => json!({ "allowed": true }),
        Ok(reason) => json!({ "allowed": true, "reason": reason }),
        Err(()) => json!({ "allowed": false }),
    })
}

/// What somebody may do in a namespace. Denials of a test cannot be told this way, as little as a webhook authorizer's.
fn rules(api: &Api, who: &Identity, ns: &str) -> ApiResult<Value> {
    if ns.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let rules = api.shared.core.transact(|tx| access::rules_of(tx, who, ns));
    let resource: Vec<Value> = rules.into_iter().map(|(_, rule)| rule).collect();
    let paths = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/readyz",
        "/openapi",
        "/openapi/*",
        "/version",
    ];
    Ok(json!({
        "resourceRules": resource, "nonResourceRules": [{ "verbs": ["get"], "nonResourceURLs": paths }], "incomplete": false,
    }))
}

/// `POST .../serviceaccounts/{name}/token`: a token that this cluster's listeners accept.
pub(super) fn token(api: &Api, call: &Call, ns: &str, name: &str) -> ApiResult<Reply> {
    let account = api.shared.core.transact(|tx| tx.get("serviceaccounts", ns, name));
    let account = account.ok_or_else(|| ApiError::not_found(kinds::of("serviceaccounts"), name))?;
    let mut body = match call.body_value()? {
        Value::Object(map) => Value::Object(map),
        _ => json!({}),
    };
    let seconds = json::int(&body, "/spec/expirationSeconds").unwrap_or(3600);
    let end = api.shared.core.now().checked_add(jiff::SignedDuration::from_secs(seconds));
    let end = end.map_or_else(|_| String::new(), clock::stamp);
    json::set(&mut body, "/kind", "TokenRequest");
    json::set(&mut body, "/apiVersion", "authentication.k8s.io/v1");
    json::set(&mut body, "/metadata", json!({ "name": name, "namespace": ns }));
    let token = format!("{TOKEN}{ns}.{name}.{}", json::uid(&account));
    json::set(&mut body, "/status", json!({ "token": token, "expirationTimestamp": end }));
    Ok(answered(body))
}

/// What the tokens of service accounts begin with.
const TOKEN: &str = "sim-sa.";

/// Whose token this is, if its service account still exists.
pub(super) fn holder(api: &Api, token: &str) -> Option<Identity> {
    let (rest, uid) = token.strip_prefix(TOKEN)?.rsplit_once('.')?;
    let (ns, name) = rest.split_once('.')?;
    let account = api.shared.core.transact(|tx| tx.get("serviceaccounts", ns, name))?;
    (json::uid(&account) == uid).then(|| Identity::named(&format!("system:serviceaccount:{ns}:{name}")))
}
