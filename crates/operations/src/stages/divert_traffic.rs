//! `divert-traffic`: sends the traffic of a Service, or a share of a route's, to another version (H14).

use std::collections::BTreeMap;

use pilothouse_cluster::{Cluster, ObjectRef};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::patch_image::WorkloadKind;
use super::routes::Route;
use super::steps::{Leaving, Plan, Planned, Step, TrafficStep};
use super::versions::{labels_of, replicas_of, version_of};
use super::{StageContext, StageType, Stepped, check};
use crate::OperationError;

/// The name in `type:`.
pub const NAME: &str = "divert-traffic";

/// What a `divert-traffic` stage says: `service` and `to`, or `route` and `weight`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The Service whose selector is switched, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The workload that gets the Service's traffic, by name. May have `${ … }`:
    /// `${ stages["Start"].output.current.name }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The kind of that workload.
    #[serde(default)]
    pub kind: WorkloadKind,
    /// A route whose weights are set instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// How much of the route's traffic `canaryService` gets, in per cent; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// Moves traffic.
#[derive(Debug, Clone, Copy)]
pub struct DivertTraffic;

impl StageType for DivertTraffic {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Sends the traffic of a Service, or a share of a route's, to another version, once that has ready pods enough.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "H14, H17, T15, V5, X8"
    }

    fn undone(&self) -> &'static str {
        "Puts the Service's selector or the route's weights back, once the version that gets the traffic is ready."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    match (&parsed.service, &parsed.to, &parsed.route) {
        (Some(_), Some(_), None) if parsed.weight.is_some() => problems.push(
            Problem::new("weight", "a Service sends its traffic to one version only")
                .with_hint("share it by a `route`, or leave `weight` out"),
        ),
        (Some(_), Some(_), None) => {}
        (None, None, Some(route)) => problems.extend(route.problems("route")),
        _ => problems.push(Problem::new("", "it is not told what is diverted").with_hint(
            "name a `service` and the workload `to` which its traffic goes, or a `route` and a `weight`",
        )),
    }
    if parsed.weight.is_some_and(|weight| weight > 100) {
        problems.push(Problem::new("weight", "it is more than 100 per cent"));
    }
    problems
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let cluster = stage.cluster().await?;
    if let Some(route) = &options.route {
        return weigh(stage, &cluster, route, options.weight.unwrap_or(100)).await;
    }
    let (Some(service), Some(to)) = (&options.service, &options.to) else {
        return Ok(Planned::refused("it is not told what is diverted: name a `service` and a workload `to`"));
    };
    let namespace = &stage.environment.namespace;
    let object = options.kind.object(namespace, to);
    let Some(live) = cluster.get(&object).await? else {
        return Ok(Planned::refused(format!("{object} does not exist: correct `to`")));
    };
    let behind = cluster.workloads_behind(namespace, service).await?;
    let target =
        Target { labels: labels_of(&live), replicas: replicas_of(&live).unwrap_or(1), name: to.clone() };
    if let Some(reason) = target.not_told_apart(&object, behind.iter().map(|(workload, _)| workload)) {
        return Ok(Planned::refused(reason));
    }
    let from: Vec<&str> = behind.iter().map(|(workload, _)| version_of(workload)).collect();
    let output = json!({
        "service": service, "from": from.join(", "), "to": version_of(&live), "namespace": namespace,
    });
    Ok(Planned::Steps(Plan { steps: target.switch(stage, service), output }))
}

async fn weigh(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    route: &Route,
    percent: u32,
) -> Result<Planned, OperationError> {
    let resolved = match route.resolve(stage, cluster).await? {
        Ok(resolved) => resolved,
        Err(reason) => return Ok(Planned::refused(reason)),
    };
    let output = json!({
        "service": route.canary_service, "from": route.stable_service, "to": route.canary_service, "weight": percent,
        "namespace": stage.environment.namespace,
    });
    let mut steps = resolved.weigh(stage, percent);
    if percent == 0 {
        steps.extend(resolved.clean());
    }
    Ok(Planned::Steps(Plan { steps, output }))
}

/// The version that is to get a Service's traffic.
pub(super) struct Target {
    /// The labels of its pods.
    pub(super) labels: BTreeMap<String, String>,
    /// How many pods it has.
    pub(super) replicas: u32,
    /// Its name.
    pub(super) name: String,
}

impl Target {
    /// Why a Service cannot send its traffic to this version alone: the pods of another one, too, have its labels.
    pub(super) fn not_told_apart<'a>(
        &self,
        object: &ObjectRef,
        others: impl IntoIterator<Item = &'a Value>,
    ) -> Option<String> {
        if self.labels.is_empty() {
            return Some(format!(
                "{object} has no `spec.selector.matchLabels` by which a Service could find its pods"
            ));
        }
        let same = |workload: &&Value| {
            let pods = &workload["spec"]["template"]["metadata"]["labels"];
            ObjectRef::of(workload).is_some_and(|other| other != *object)
                && self.labels.iter().all(|(key, value)| pods[key.as_str()] == value.as_str())
        };
        let other = ObjectRef::of(others.into_iter().find(same)?)?;
        Some(format!(
            "the pods of {other} have all labels of {object}, so no Service can tell the two apart: give its pods one more label, \
             such as `version`"
        ))
    }

    /// The steps that give it a Service's traffic: enough of it must be ready, and it is waited for until the Service has no
    /// other endpoints.
    pub(super) fn switch(&self, stage: &StageContext<'_>, service: &str) -> Vec<Step> {
        let namespace = stage.environment.namespace.clone();
        vec![
            Step::Guard {
                namespace: namespace.clone(),
                services: vec![service.to_owned()],
                leaving: Leaving::Unlabelled { labels: self.labels.clone() },
                least: stage.traffic_guard(),
                gone: Vec::new(),
            },
            self.select(&namespace, service),
            Step::Serving {
                namespace,
                service: service.to_owned(),
                labels: self.labels.clone(),
                least: self.replicas,
            },
        ]
    }

    /// The step that points a Service at it.
    pub(super) fn select(&self, namespace: &str, service: &str) -> Step {
        Step::Traffic(TrafficStep::Select {
            service: ObjectRef::namespaced("v1", "Service", namespace, service),
            selector: self.labels.clone(),
            what: format!("Service {namespace}/{service} sends its traffic to {}", self.name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn a_service_or_a_route_is_diverted() {
        let route = json!({"httpRoute": "web", "stableService": "web", "canaryService": "next"});
        assert_eq!(problems(&DivertTraffic, &json!({"service": "web", "to": "web-v2"})), "");
        assert_eq!(problems(&DivertTraffic, &json!({"route": route, "weight": 20})), "");
        let all = [
            json!({"service": "web"}),
            json!({"service": "web", "to": "web-v2", "weight": 20}),
            json!({"route": route, "weight": 120}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&DivertTraffic, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        it is not told what is diverted; name a `service` and the workload `to` which its traffic goes, or a `route` and a `weight`
        weight: a Service sends its traffic to one version only; share it by a `route`, or leave `weight` out
        weight: it is more than 100 per cent
        "#);
    }

    #[test]
    fn versions_with_the_same_labels_cannot_be_told_apart() {
        let object = ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let target = Target { labels, replicas: 1, name: "web".into() };
        let workload = |name: &str, labels: Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "dev"}, "spec": {"template": {"metadata": {"labels": labels}}}})
        };
        let same = workload("web-v2", json!({"app": "web", "version": "v2"}));
        assert!(target.not_told_apart(&object, [&same]).unwrap().contains("give its pods one more label"));
        let other = workload("api", json!({"app": "api"}));
        let itself = workload("web", json!({"app": "web"}));
        assert_eq!(target.not_told_apart(&object, [&other, &itself]), None);
    }
}
