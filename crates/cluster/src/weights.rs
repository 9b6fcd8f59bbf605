//! Shares of traffic: the weights of two Services in an HTTPRoute of the Gateway API or a VirtualService of Istio.
//!
//! Both keep their rules in lists that are owned as a whole, so the whole list of the live object is applied again, with other
//! weights and nothing else changed. Of an object that others made, we come to own this list alone.

use serde_json::Value;

use crate::apply::{Applied, ApplyOptions};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::ObjectRef;

/// Two Services that share the traffic of a route, and how much of it the second one gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split<'a> {
    /// The Service of what has proved itself.
    pub stable: &'a str,
    /// The Service of what is tried.
    pub canary: &'a str,
    /// The canary's share, 0 to 100.
    pub percent: u32,
}

impl Cluster {
    /// Gives the canary its share in every rule of the route that names both Services.
    ///
    /// # Errors
    /// `NotFound` without the route; `Invalid` when no rule names both, or one names further Services; else as for
    /// [`Cluster::edit`].
    pub async fn split(
        &self,
        route: &ObjectRef,
        split: Split<'_>,
        options: &ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        self.edit(route, options, |ours, live| {
            ours["spec"][list_of(route)?] = weighed(route, live, split)?;
            Ok(())
        })
        .await
    }
}

/// Whether the weights of this route can be set, without setting them.
///
/// # Errors
/// Why not, in words.
pub fn can_split(route: &ObjectRef, live: &Value, stable: &str, canary: &str) -> Result<(), String> {
    weighed(route, live, Split { stable, canary, percent: 0 }).map(drop)
}

/// The list of rules: `rules` of an HTTPRoute, `http` of a VirtualService.
fn list_of(route: &ObjectRef) -> Result<&'static str, String> {
    match route.kind.as_str() {
        "HTTPRoute" => Ok("rules"),
        "VirtualService" => Ok("http"),
        _ => Err(format!("{route} has no weights: name an HTTPRoute or a VirtualService")),
    }
}

fn backends_of(list: &str) -> &'static str {
    if list == "rules" { "backendRefs" } else { "route" }
}

/// The rules of the live route with the weights set.
fn weighed(route: &ObjectRef, live: &Value, split: Split<'_>) -> Result<Value, String> {
    let list = list_of(route)?;
    let Split { stable, canary, percent } = split;
    let mut rules = live["spec"][list].as_array().cloned().unwrap_or_default();
    let mut found = false;
    for (index, rule) in rules.iter_mut().enumerate() {
        let Some(backends) = rule[backends_of(list)].as_array_mut() else { continue };
        let Some((stable_at, canary_at)) = places(route, backends, split) else { continue };
        if backends.len() > 2 {
            return Err(format!(
                "rule {index} of {route} sends traffic to others than {stable} and {canary}, whose share cannot be told: \
                 give it a rule of its own"
            ));
        }
        backends[stable_at]["weight"] = Value::from(100 - percent.min(100));
        backends[canary_at]["weight"] = Value::from(percent.min(100));
        found = true;
    }
    match found {
        true => Ok(Value::Array(rules)),
        false => Err(format!(
            "no rule of {route} names both {stable} and {canary}: add the missing one with weight 0"
        )),
    }
}

/// Where the two Services stand among the backends of a rule.
fn places(route: &ObjectRef, backends: &[Value], split: Split<'_>) -> Option<(usize, usize)> {
    let at = |service: &str| backends.iter().position(|backend| names(route, backend, service));
    Some((at(split.stable)?, at(split.canary)?))
}

/// Whether a backend is that Service of the route's namespace.
fn names(route: &ObjectRef, backend: &Value, service: &str) -> bool {
    let namespace = route.namespace.as_deref().unwrap_or_default();
    if route.kind == "HTTPRoute" {
        let is = |key: &str, default: &str| backend[key].as_str().unwrap_or(default).to_owned();
        return backend["name"] == service
            && is("kind", "Service") == "Service"
            && is("group", "").is_empty()
            && is("namespace", namespace) == namespace;
    }
    let Some(host) = backend["destination"]["host"].as_str() else { return false };
    let mut parts = host.splitn(3, '.');
    parts.next() == Some(service)
        && parts.next().is_none_or(|part| part == namespace)
        && parts.next().is_none_or(|rest| rest == "svc" || rest.starts_with("svc."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route(kind: &str) -> ObjectRef {
        ObjectRef::namespaced("gateway.networking.k8s.io/v1", kind, "prod", "web")
    }

    fn split(percent: u32) -> Split<'static> {
        Split { stable: "web", canary: "web-canary", percent }
    }

    #[test]
    fn only_the_weights_of_an_http_route_change() {
        let live = json!({"spec": {"rules": [
            {"matches": [{"path": {"value": "/"}}], "backendRefs": [
                {"name": "web", "port": 80, "filters": [{"type": "RequestHeaderModifier"}]},
                {"name": "web-canary", "port": 80, "weight": 0}]},
            {"backendRefs": [{"name": "api", "port": 80}]},
        ]}});
        assert_eq!(
            weighed(&route("HTTPRoute"), &live, split(20)).unwrap(),
            json!([
                {"matches": [{"path": {"value": "/"}}], "backendRefs": [
                    {"name": "web", "port": 80, "filters": [{"type": "RequestHeaderModifier"}], "weight": 80},
                    {"name": "web-canary", "port": 80, "weight": 20}]},
                {"backendRefs": [{"name": "api", "port": 80}]},
            ])
        );
    }

    #[test]
    fn a_virtual_service_names_its_services_by_host() {
        let live = json!({"spec": {"http": [{"route": [
            {"destination": {"host": "web.prod.svc.cluster.local", "port": {"number": 80}}, "weight": 100},
            {"destination": {"host": "web-canary"}, "weight": 0}]}]}});
        let rules = weighed(&route("VirtualService"), &live, split(5)).unwrap();
        assert_eq!(
            (&rules[0]["route"][0]["weight"], &rules[0]["route"][1]["weight"]),
            (&json!(95), &json!(5))
        );
        assert_eq!(rules[0]["route"][0]["destination"]["port"]["number"], 80);
        let elsewhere = json!({"spec": {"http": [{"route": [
            {"destination": {"host": "web.dev.svc.cluster.local"}}, {"destination": {"host": "web-canary"}}]}]}});
        assert!(weighed(&route("VirtualService"), &elsewhere, split(5)).is_err());
    }

    #[test]
    fn what_cannot_be_shared_between_the_two_is_refused_with_what_to_do() {
        let one = json!({"spec": {"rules": [{"backendRefs": [{"name": "web"}]}]}});
        let backends = [json!({"name": "web"}), json!({"name": "web-canary"}), json!({"name": "old"})];
        let three = json!({"spec": {"rules": [{"backendRefs": backends}]}});
        let refused =
            |kind: &str, live: &Value| can_split(&route(kind), live, "web", "web-canary").unwrap_err();
        assert_eq!(
            [refused("HTTPRoute", &one), refused("HTTPRoute", &three), refused("Ingress", &one)],
            [
                "no rule of HTTPRoute prod/web names both web and web-canary: add the missing one with weight 0",
                "rule 0 of HTTPRoute prod/web sends traffic to others than web and web-canary, whose share cannot be told: give it a \
                 rule of its own",
                "Ingress prod/web has no weights: name an HTTPRoute or a VirtualService",
            ]
        );
    }
}
