//! The Gateway API's part of a controller: routes whose Gateway exists are accepted, and told when a Service that they name does not.

use serde_json::{Value, json};

use super::{
    conditions::{self, Condition},
    pods,
};
use crate::{
    json,
    store::{Key, Tx},
};

pub(super) const ROUTES: &str = "httproutes.gateway.networking.k8s.io";
pub(super) const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";

const CONTROLLER: &str = "sim-cluster/gateway";

pub(super) fn reconcile(tx: &mut Tx<'_>, key: &Key) {
    let Some(route) = tx.get_key(key) else { return };
    let generation = json::count(&route, "/metadata/generation");
    let missing = missing_backend(tx, &route);
    let now = tx.stamp();
    let mut parents = Vec::new();
    for parent in json::items(&route, "/spec/parentRefs") {
        let ns = match json::text(parent, "/namespace") {
            "" => key.ns.as_str(),
            ns => ns,
        };
        // Nobody answers for a Gateway that there is not, as in a cluster without a controller for it.
        if tx.get(GATEWAYS, ns, json::text(parent, "/name")).is_none() {
            continue;
        }
        let known = json::items(&route, "/status/parents").iter().find(|p| p["parentRef"] == *parent);
        let mut status = json!({ "conditions": known.map_or(Value::Null, |p| p["conditions"].clone()) });
        let accepted =
            Condition { kind: "Accepted", status: "True", reason: "Accepted", message: "Route is accepted" };
        conditions::set(&mut status, accepted, &now, false);
        let resolved = match &missing {
            None => Condition {
                kind: "ResolvedRefs",
                status: "True",
                reason: "ResolvedRefs",
                message: "All references are resolved",
            },
            Some(message) => {
                Condition { kind: "ResolvedRefs", status: "False", reason: "BackendNotFound", message }
            }
        };
        conditions::set(&mut status, resolved, &now, false);
        for condition in json::items_mut(&mut status, "/conditions") {
            json::set(condition, "/observedGeneration", generation);
        }
        parents.push(
            json!({ "parentRef": parent, "controllerName": CONTROLLER, "conditions": status["conditions"] }),
        );
    }
    if !parents.is_empty() || route.get("status").is_some() {
        pods::write_status(tx, &route, json!({ "parents": parents }));
    }
}

/// What a route says of the first Service that it names and that does not exist.
fn missing_backend(tx: &Tx<'_>, route: &Value) -> Option<String> {
    let ns = json::namespace(route);
    let backends = json::items(route, "/spec/rules").iter().flat_map(|r| json::items(r, "/backendRefs"));
    backends.filter(|b| matches!(json::text(b, "/kind"), "" | "Service")).find_map(|backend| {
        let home = match json::text(backend, "/namespace") {
            "" => ns,
            other => other,
        };
        let name = json::text(backend, "/name");
        tx.get("services", home, name).is_none().then(|| format!("backend Service {home}/{name} not found"))
    })
}
