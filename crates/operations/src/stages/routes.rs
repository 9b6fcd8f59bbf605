//! Routes that share traffic between two Services by weight: an HTTPRoute of the Gateway API, a VirtualService of Istio, or an
//! Ingress of ingress-nginx with a canary Ingress beside it (T5).

use pilothouse_cluster::{Cluster, ClusterError, DeleteOptions, ObjectRef, can_split};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::StageContext;
use super::steps::{Step, TrafficStep};
use crate::OperationError;

/// Which route shares the traffic between which Services. Exactly one of `httpRoute`, `virtualService` and `ingress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// An HTTPRoute of the Gateway API, by name. It names both Services in `backendRefs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<String>,
    /// A VirtualService of Istio, by name. It names both Services in `http[].route`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<String>,
    /// An Ingress of ingress-nginx, by name. A canary Ingress is made beside it, `NAME-canary`, which takes the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<String>,
    /// The Service of the present version.
    pub stable_service: String,
    /// The Service of the new version.
    pub canary_service: String,
}

/// A route as the cluster has it, and how to set its weights.
pub(super) struct Resolved<'a> {
    route: &'a Route,
    namespace: &'a str,
    how: How,
}

enum How {
    /// Weights are set in this object.
    Split(ObjectRef),
    /// Weights are set by applying this Ingress with an annotation.
    Canary(Value),
}

/// Annotations by which ingress-nginx knows a canary.
const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const CLASS: &str = "kubernetes.io/ingress.class";

impl Route {
    /// What is wrong with it as it is written.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let named = [&self.http_route, &self.virtual_service, &self.ingress].into_iter().flatten().count();
        let mut problems = Vec::new();
        if named != 1 {
            let message = format!("{named} of `httpRoute`, `virtualService` and `ingress` are named");
            problems.push(Problem::new(path, message).with_hint("name one of them"));
        }
        if self.stable_service == self.canary_service {
            problems.push(Problem::new(
                format!("{path}.canaryService"),
                "it is the same Service as `stableService`",
            ));
        }
        problems
    }

    /// Reads the route.
    ///
    /// # Errors
    /// [`OperationError`]; `Ok(Err(..))` when its weights cannot be set, in words.
    pub(super) async fn resolve<'a>(
        &'a self,
        stage: &'a StageContext<'_>,
        cluster: &Cluster,
    ) -> Result<Result<Resolved<'a>, String>, OperationError> {
        let namespace = stage.environment.namespace.as_str();
        let (name, kind, versions): (_, _, &[&str]) =
            match (&self.http_route, &self.virtual_service, &self.ingress) {
                (Some(name), ..) => {
                    let versions = &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"];
                    (name, "HTTPRoute", versions)
                }
                (_, Some(name), _) => {
                    (name, "VirtualService", &["networking.istio.io/v1", "networking.istio.io/v1beta1"])
                }
                (.., Some(name)) => (name, "Ingress", &["networking.k8s.io/v1"]),
                (None, None, None) => return Ok(Err("the route names nothing".to_owned())),
            };
        let Some((object, live)) = served(cluster, namespace, name, kind, versions).await? else {
            return Ok(Err(format!("{kind} {namespace}/{name} does not exist: correct `route`")));
        };
        if kind == "Ingress" {
            let canary = canary_ingress(&object, &live, &self.stable_service, &self.canary_service);
            let canary = match canary {
                Ok(canary) => canary,
                Err(reason) => return Ok(Err(reason)),
            };
            if let Some(object) = ObjectRef::of(&canary)
                && let Some(reason) = super::versions::taken(cluster, &object).await?
            {
                return Ok(Err(reason));
            }
            return Ok(Ok(Resolved { route: self, namespace, how: How::Canary(canary) }));
        }
        let possible = can_split(&object, &live, &self.stable_service, &self.canary_service);
        Ok(possible.map(|()| Resolved { route: self, namespace, how: How::Split(object) }))
    }
}

impl Resolved<'_> {
    /// The steps that give the canary's Service this share, once enough is ready behind both.
    pub(super) fn weigh(&self, stage: &StageContext<'_>, percent: u32) -> Vec<Step> {
        let Route { stable_service, canary_service, .. } = self.route;
        let enough = TrafficStep::Enough {
            namespace: self.namespace.to_owned(),
            stable: stable_service.clone(),
            canary: canary_service.clone(),
            percent,
            least: stage.traffic_guard(),
        };
        let set = match &self.how {
            How::Split(route) => Step::Traffic(TrafficStep::Split {
                route: route.clone(),
                stable: stable_service.clone(),
                canary: canary_service.clone(),
                percent,
            }),
            How::Canary(ingress) => {
                let mut content = ingress.clone();
                content["metadata"]["annotations"][WEIGHT] = Value::from(percent.to_string());
                Step::Apply { content, force: true }
            }
        };
        vec![Step::Traffic(enough), set]
    }

    /// The step that takes away what was made for the route alone: a canary Ingress.
    pub(super) fn clean(&self) -> Option<Step> {
        match &self.how {
            How::Split(_) => None,
            How::Canary(ingress) => ObjectRef::of(ingress)
                .map(|object| Step::Delete { object, options: DeleteOptions::default() }),
        }
    }
}

/// The object under the first of these API versions that the cluster serves.
async fn served(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    kind: &str,
    versions: &[&str],
) -> Result<Option<(ObjectRef, Value)>, OperationError> {
    for (index, version) in versions.iter().enumerate() {
        let object = ObjectRef::namespaced(*version, kind, namespace, name);
        match cluster.get(&object).await {
            Ok(live) => return Ok(live.map(|live| (object, live))),
            Err(ClusterError::UnknownKind { .. }) if index + 1 < versions.len() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// The Ingress that takes the canary's share: the paths of the stable one that lead to the stable Service, leading to the
/// canary's. ingress-nginx takes everything else from the stable one.
fn canary_ingress(object: &ObjectRef, live: &Value, stable: &str, canary: &str) -> Result<Value, String> {
    let leads = |backend: &Value| backend["service"]["name"] == stable;
    let mut rules = Vec::new();
    for rule in live["spec"]["rules"].as_array().into_iter().flatten() {
        let paths = rule["http"]["paths"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut kept: Vec<Value> = paths.iter().filter(|path| leads(&path["backend"])).cloned().collect();
        for path in &mut kept {
            path["backend"]["service"]["name"] = Value::from(canary);
        }
        if !kept.is_empty() {
            let mut rule = rule.clone();
            rule["http"]["paths"] = Value::Array(kept);
            rules.push(rule);
        }
    }
    if rules.is_empty() {
        return Err(format!("no path of {object} leads to Service {stable}: correct `stableService`"));
    }
    let mut annotations = json!({ CANARY: "true", WEIGHT: "0" });
    let mut spec = json!({ "rules": rules });
    if let Some(class) = live["metadata"]["annotations"][CLASS].as_str() {
        annotations[CLASS] = Value::from(class);
    }
    if let Some(class) = live["spec"]["ingressClassName"].as_str() {
        spec["ingressClassName"] = Value::from(class);
    }
    Ok(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
        "metadata": {"name": format!("{}-canary", object.name), "namespace": object.namespace, "annotations": annotations},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_ingress_has_the_paths_of_the_stable_service_alone() {
        let object = ObjectRef::namespaced("networking.k8s.io/v1", "Ingress", "dev", "shop");
        let path = |path: &str, service: &str| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}});
        let live = json!({"metadata": {}, "spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["shop.example"]}], "rules": [
            {"host": "shop.example", "http": {"paths": [path("/", "web"), path("/api", "api")]}},
            {"host": "api.example", "http": {"paths": [path("/", "api")]}}]}});
        let canary = canary_ingress(&object, &live, "web", "web-canary").unwrap();
        assert_eq!(
            canary["spec"],
            json!({"ingressClassName": "nginx", "rules": [
                {"host": "shop.example", "http": {"paths": [path("/", "web-canary")]}}]})
        );
        assert_eq!(canary["metadata"]["name"], "shop-canary");
        assert_eq!(canary["metadata"]["annotations"], json!({CANARY: "true", WEIGHT: "0"}));
        let error = canary_ingress(&object, &live, "cart", "web-canary").unwrap_err();
        assert_eq!(error, "no path of Ingress dev/shop leads to Service cart: correct `stableService`");
    }

    #[test]
    fn a_route_is_one_thing_between_two_services() {
        let route = |value: Value| serde_json::from_value::<Route>(value).unwrap();
        let fine = route(json!({"httpRoute": "web", "stableService": "web", "canaryService": "web-canary"}));
        assert!(fine.problems("route").is_empty());
        let wrong = route(
            json!({"httpRoute": "web", "ingress": "web", "stableService": "web", "canaryService": "web"}),
        );
        let told: Vec<String> = wrong.problems("route").iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "route: 2 of `httpRoute`, `virtualService` and `ingress` are named; name one of them",
                "route.canaryService: it is the same Service as `stableService`",
            ]
        );
    }
}
