//! What stands around workloads: the ConfigMaps and Secrets that they name, and the Services, routes, autoscalers and
//! disruption budgets that name them (X4).
//!
//! What names a workload cannot be asked for by a selector, since the reference is in a specification: each of these kinds
//! is listed once in each namespace concerned, and never over the whole cluster.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::pod_spec;
use crate::references;

/// What was found around some objects.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// Objects that are named, and are still to be read.
    pub(crate) named: Vec<ObjectRef>,
    /// Objects that name one of them, as they are.
    pub(crate) naming: Vec<(ObjectRef, Value)>,
    /// What could not be looked at, and why.
    pub(crate) missed: Vec<String>,
}

/// The kinds that may name a workload or its Services, each with the versions it is served in, newest first.
const KINDS: [(&[&str], &str); 6] = [
    (&["v1"], "Service"),
    (&["autoscaling/v2"], "HorizontalPodAutoscaler"),
    (&["policy/v1"], "PodDisruptionBudget"),
    (&["networking.k8s.io/v1"], "Ingress"),
    (&["gateway.networking.k8s.io/v1"], "HTTPRoute"),
    (&["networking.istio.io/v1", "networking.istio.io/v1beta1"], "VirtualService"),
];

impl Cluster {
    /// What stands around these objects, as they are now.
    ///
    /// A kind that the cluster does not serve is passed over; one that may not be listed is told in `missed`.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster cannot be read.
    pub(crate) async fn surroundings(&self, live: &[&Value]) -> Result<Surroundings, ClusterError> {
        let mut around = Surroundings::default();
        let workloads = live.iter().filter(|object| pod_spec::of(object).is_some());
        let concerned = live.iter().filter(|object| pod_spec::of(object).is_some() || is_service(object));
        let namespaces: BTreeSet<&str> = concerned.filter_map(|object| namespace(object)).collect();
        for (spec, namespace) in
            workloads.filter_map(|object| Some((pod_spec::of(object)?, namespace(object)?)))
        {
            around.named.extend(references::of_pod(spec, namespace));
        }
        for namespace in namespaces {
            let lists = KINDS.map(|(versions, kind)| self.list_of(versions, kind, namespace));
            let mut all = Vec::new();
            for (listed, (_, kind)) in join_all(lists).await.into_iter().zip(KINDS) {
                match listed {
                    Ok(listed) => all.extend(listed),
                    Err(ClusterError::UnknownKind { .. }) => {}
                    Err(error) if error.is_retryable() => return Err(error),
                    Err(error) => {
                        around.missed.push(format!("{kind} objects of namespace {namespace}: {error}"));
                    }
                }
            }
            around.naming.extend(naming(live, namespace, &all));
        }
        Ok(around)
    }

    async fn list_of(
        &self,
        versions: &[&str],
        kind: &str,
        namespace: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let operation = format!("list {kind} objects of namespace {namespace}");
        let mut unknown = None;
        for version in versions {
            match self.served_kind(&operation, version, kind).await {
                Ok(served) => {
                    let mut items = self.list(&operation, &served.collection(Some(namespace)), &[]).await?;
                    for item in &mut items {
                        // Lists leave out what is the same for all.
                        item["apiVersion"] = Value::from(*version);
                        item["kind"] = Value::from(kind);
                    }
                    return Ok(items);
                }
                Err(error) => unknown = Some(error),
            }
        }
        unknown.map_or(Ok(Vec::new()), Err)
    }
}

/// Which of the objects of a namespace name one of `live`, or a Service that selects one of them.
fn naming(live: &[&Value], namespace: &str, all: &[Value]) -> Vec<(ObjectRef, Value)> {
    let here: Vec<&Value> = live.iter().copied().filter(|o| self::namespace(o) == Some(namespace)).collect();
    let pods: Vec<&Value> = here.iter().filter_map(|object| pod_spec::labels(object)).collect();
    let services: BTreeSet<&str> = all
        .iter()
        .filter(|object| is_service(object) && selects_any(&object["spec"]["selector"], &pods))
        .chain(here.iter().copied().filter(|object| is_service(object)))
        .map(object::name)
        .collect();
    let concerns = |object: &&Value| match object["kind"].as_str() {
        Some("Service") => services.contains(object::name(object)),
        Some("HorizontalPodAutoscaler") => here.iter().any(|live| is_target(object, live)),
        Some("PodDisruptionBudget") => is_under(object, &pods),
        _ => names_any(&object["spec"], &services, namespace),
    };
    all.iter().filter(concerns).filter_map(|object| Some((ObjectRef::of(object)?, object.clone()))).collect()
}

fn namespace(object: &Value) -> Option<&str> {
    object["metadata"]["namespace"].as_str()
}

fn is_service(object: &Value) -> bool {
    object["kind"] == "Service" && object["apiVersion"] == "v1"
}

fn is_target(autoscaler: &Value, live: &Value) -> bool {
    let target = &autoscaler["spec"]["scaleTargetRef"];
    target["kind"] == live["kind"] && target["name"].as_str() == Some(object::name(live))
}

/// Whether a disruption budget is about any of these pods. With an empty selector it is about every pod of its namespace, and
/// without one about none (policy/v1).
fn is_under(budget: &Value, pods: &[&Value]) -> bool {
    let selector = &budget["spec"]["selector"];
    let none = |key: &str| match &selector[key] {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    let every = selector.is_object() && none("matchLabels") && none("matchExpressions");
    (every && !pods.is_empty()) || selects_any(selector, pods)
}

/// Whether a label selector selects any of these pods. An empty one selects none: that of a Service has none behind it.
fn selects_any(selector: &Value, pods: &[&Value]) -> bool {
    let plain = selector["matchLabels"].is_null() && selector["matchExpressions"].is_null();
    let labels = if plain { selector } else { &selector["matchLabels"] }.as_object();
    let expressions = selector["matchExpressions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if labels.is_none_or(serde_json::Map::is_empty) && expressions.is_empty() {
        return false;
    }
    pods.iter().any(|pod| {
        labels.into_iter().flatten().all(|(key, value)| pod.get(key) == Some(value))
            && expressions.iter().all(|expression| holds(expression, pod))
    })
}

fn holds(expression: &Value, pod: &Value) -> bool {
    let value = expression["key"].as_str().and_then(|key| pod.get(key));
    let among = || {
        let values = expression["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        value.is_some_and(|value| values.contains(value))
    };
    match expression["operator"].as_str() {
        Some("In") => among(),
        Some("NotIn") => !among(),
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}

/// Whether a route sends anything to one of the Services: an Ingress (`service.name`), an HTTPRoute (`backendRefs`), a
/// VirtualService (`destination.host`, short or in full).
fn names_any(spec: &Value, services: &BTreeSet<&str>, namespace: &str) -> bool {
    match spec {
        Value::Array(items) => items.iter().any(|item| names_any(item, services, namespace)),
        Value::Object(map) => map.iter().any(|(key, value)| {
            let backend = |value: &Value| {
                let here = value["namespace"].as_str().is_none_or(|other| other == namespace);
                let service = value["kind"].as_str().is_none_or(|kind| kind == "Service");
                here && service && value["name"].as_str().is_some_and(|name| services.contains(name))
            };
            match key.as_str() {
                "service" => backend(value),
                "backendRefs" => value.as_array().is_some_and(|backends| backends.iter().any(backend)),
                "backendRef" => backend(value),
                "destination" => {
                    let host = value["host"].as_str().unwrap_or_default();
                    let (name, rest) = host.split_once('.').unwrap_or((host, ""));
                    services.contains(name) && (rest.is_empty() || rest.split('.').next() == Some(namespace))
                }
                _ => names_any(value, services, namespace),
            }
        }),
        _ => false,
    }
}

#[cfg(test)]
#[path = "surroundings_tests.rs"]
mod tests;
