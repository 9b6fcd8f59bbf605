//! `canary`: the new version beside the present one with a growing share of the traffic, and then in its place (T5, V13).
//!
//! The share is that of the pods behind one Service, or the weight of a route between two. At the end the present Deployment gets
//! the new version by a rolling update, all traffic goes back to it, and the canary is removed: the workload keeps its name.

mod walk;

use pilothouse_cluster::{Cluster, ObjectRef};
use pilothouse_domain::artifact::Artifact;
use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::remove_old_version::DRAIN;
use super::routes::{Resolved, Route};
use super::steps::{Plan, Planned, Step};
use super::versions::{self, labels_of, replicas_of};
use super::{StageContext, StageType, Stepped, check, losses, rollout, scale};
use crate::OperationError;
use walk::Walk;

/// The name in `type:`.
pub const NAME: &str = "canary";

/// The label of a canary's pods, and its value.
const TRACK: (&str, &str) = ("track", "canary");

/// Annotation of a canary: how many pods the present version had before it. A later stage that goes on with the canary reads it.
const FULL: &str = "pilothouse.dev/full-replicas";

/// What a `canary` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The Deployment, by name. It keeps its name; the canary beside it is `NAME-canary`.
    pub workload: String,
    /// The Service that both are behind: the canary's share is that of its pods. This, or `route`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A route between two Services: the canary's share is its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// What happens, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CanaryStep>,
    /// The new version: the Deployment `workload`, as YAML. Without it the present one is copied, with the release's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Evaluate `${ … }` in the manifest.
    #[serde(default)]
    pub render: bool,
    /// The artifacts that must have taken their place in some container, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_artifacts: Vec<String>,
    /// After the last step, put the new version in the place of the present one and remove the canary. With `false` the
    /// canary stays as it is, and a later `canary` stage goes on with it: so people, gates or tests may decide between two.
    #[serde(default = "yes")]
    pub promote: bool,
    /// Take over fields that somebody else manages, when the manifest is put in the place of the present version. Without it such a
    /// field fails the stage before it changes anything.
    #[serde(default)]
    pub force: bool,
    /// How long the canary runs on after a route has taken its traffic from it; `30s` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<Span>,
}

fn yes() -> bool {
    true
}

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CanaryStep {
    /// The canary gets this share of the traffic, in per cent.
    SetWeight(u32),
    /// Nothing happens for so long.
    Pause(Span),
    /// The canary has this many pods, whatever its share.
    Replicas(u32),
}

/// A canary.
#[derive(Debug, Clone, Copy)]
pub struct Canary;

impl StageType for Canary {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Gives the new version a growing share of the traffic, step by step, and then puts it in the place of the present one.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T5, T15, V13, X8"
    }

    fn undone(&self) -> &'static str {
        "Puts the present version and the traffic back as they were, waits until it is ready, and deletes the canary."
    }

    fn timeout(&self, options: &Value) -> Span {
        let text = |value: &Value| value.as_str().and_then(|text| text.parse::<Span>().ok());
        let steps = options["steps"].as_array().into_iter().flatten();
        let pauses = steps.filter_map(|step| text(&step["pause"]));
        let delay = text(&options["scaleDownDelay"]).unwrap_or(DRAIN);
        let rollouts = rollout::TIMEOUT.as_millis().saturating_mul(2);
        let all = pauses.chain([delay]).map(Span::as_millis).fold(rollouts, u64::saturating_add);
        Span::from_millis(all)
    }

    fn verbatim(&self, options: &Map<String, Value>) -> &'static [&'static str] {
        versions::verbatim(options)
    }

    fn lacks(&self, options: &Map<String, Value>, artifacts: &[Artifact]) -> Option<String> {
        versions::lacks(options, artifacts)
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(plan(stage))
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, versions::verbatim(options));
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    match (&parsed.service, &parsed.route) {
        (Some(_), Some(_)) => {
            problems.push(Problem::new("route", "there is a `service` too").with_hint("keep one of the two"));
        }
        (None, None) => {
            problems.push(Problem::new("", "there is neither a `service` nor a `route`").with_hint(
                "name the Service that has both versions behind it, or the route that shares the traffic",
            ));
        }
        (_, route) => problems.extend(route.iter().flat_map(|route| route.problems("route"))),
    }
    if parsed.steps.is_empty() && !parsed.promote {
        problems.push(Problem::new("steps", "there are none, and `promote: false`, so nothing would happen"));
    }
    for (index, step) in parsed.steps.iter().enumerate() {
        let path = |key: &str| format!("steps[{index}].{key}");
        match step {
            CanaryStep::SetWeight(percent) if !(1..=100).contains(percent) => {
                problems
                    .push(Problem::new(path("setWeight"), format!("{percent} is no share: write 1 to 100")));
            }
            CanaryStep::Replicas(0) => {
                problems.push(Problem::new(path("replicas"), "a canary has at least one pod"));
            }
            _ => {}
        }
    }
    let manifest = parsed.manifest.as_deref();
    problems.extend(versions::check_manifest(manifest, parsed.render, &parsed.required_artifacts, scope));
    problems
}

/// What the cluster has, and what the stage wants.
struct Scene<'a> {
    stage: &'a StageContext<'a>,
    options: &'a Options,
    /// The present Deployment, as it is.
    stable: &'a Value,
    /// The new version, in the present one's place.
    next: Value,
    /// The canary's Deployment, without a number of pods.
    canary: Value,
    /// The canary that an earlier stage left.
    left: Option<Value>,
    /// The route, where there is one.
    route: Option<Resolved<'a>>,
}

async fn plan(stage: &StageContext<'_>) -> Result<Planned, OperationError> {
    let options: Options = stage.options()?;
    let cluster = stage.cluster().await?;
    let stable_ref = versions::deployment_ref(&stage.environment.namespace, &options.workload);
    let stable = cluster.get(&stable_ref).await?;
    let next = match versions::content(
        stage,
        options.manifest.as_deref(),
        &options.required_artifacts,
        stable.as_ref(),
    ) {
        Ok(next) => next,
        Err(reason) => return Ok(Planned::refused(reason)),
    };
    if ObjectRef::of(&next).as_ref() != Some(&stable_ref) {
        return Ok(Planned::refused(format!(
            "the manifest is not that of {stable_ref}: give it the name of `workload`"
        )));
    }
    let Some(stable) = stable else { return Ok(first(next, stable_ref)) };
    match scene(stage, &options, &cluster, &stable, next).await? {
        Ok(scene) => walk_of(&scene, &cluster).await,
        Err(reason) => Ok(Planned::refused(reason)),
    }
}

/// Where nothing runs yet there is nothing to compare with.
fn first(next: Value, object: ObjectRef) -> Planned {
    let shown = versions::shown(&next);
    let output = json!({"workload": shown, "previous": null, "current": shown, "promoted": true});
    Planned::Steps(Plan {
        steps: vec![Step::Apply { content: next, force: false }, Step::Ready { object }],
        output,
    })
}

async fn scene<'a>(
    stage: &'a StageContext<'a>,
    options: &'a Options,
    cluster: &Cluster,
    stable: &'a Value,
    next: Value,
) -> Result<Result<Scene<'a>, String>, OperationError> {
    let namespace = &stage.environment.namespace;
    let service = options.service.as_ref().or(options.route.as_ref().map(|route| &route.stable_service));
    let service = ObjectRef::namespaced("v1", "Service", namespace, service.cloned().unwrap_or_default());
    let Some(live) = cluster.get(&service).await? else {
        return Ok(Err(format!("{service} does not exist: create it before, or correct its name")));
    };
    let canary = match canary(&next, &live, options.route.is_some()) {
        Ok(canary) => canary,
        Err(reason) => return Ok(Err(reason)),
    };
    let route = match &options.route {
        None => None,
        Some(route) => match route.resolve(stage, cluster).await? {
            Ok(resolved) => Some(resolved),
            Err(reason) => return Ok(Err(reason)),
        },
    };
    let object = versions::deployment_ref(namespace, canary["metadata"]["name"].as_str().unwrap_or_default());
    if let Some(reason) = versions::taken(cluster, &object).await? {
        return Ok(Err(reason));
    }
    let left = cluster.get(&object).await?;
    Ok(Ok(Scene { stage, options, stable, next, canary, left, route }))
}

/// The Deployment of the canary. Behind one Service its pods have all the labels that this selects; behind a route they must
/// not, or the stable Service would send traffic to them as well.
fn canary(next: &Value, service: &Value, apart: bool) -> Result<Value, String> {
    let selector = service["spec"]["selector"].as_object().cloned().unwrap_or_default();
    let labels = &next["spec"]["template"]["metadata"]["labels"];
    let mut changed = vec![(TRACK.0.to_owned(), TRACK.1.to_owned())];
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let selects_track = selector.contains_key(TRACK.0);
    if selector.is_empty() || selector.iter().any(|(key, value)| labels[key.as_str()] != *value) {
        return Err(format!("Service {name} does not select the pods of the workload: correct its selector"));
    }
    if selects_track && !apart {
        return Err(format!(
            "Service {name} selects by the label `{}`, so no canary can be behind it: leave that label out of its selector, or use a \
             `route`",
            TRACK.0
        ));
    }
    if apart && !selects_track {
        let usual = ["app", "app.kubernetes.io/name", "app.kubernetes.io/instance"];
        let key = usual
            .into_iter()
            .find(|key| selector.contains_key(*key))
            .or(selector.keys().next().map(String::as_str));
        let key = key.unwrap_or_default();
        changed.push((key.to_owned(), format!("{}-{}", selector[key].as_str().unwrap_or_default(), TRACK.1)));
    }
    let mut content = next.clone();
    let full = format!("{}-{}", next["metadata"]["name"].as_str().unwrap_or_default(), TRACK.1);
    content["metadata"]["name"] = Value::from(full);
    for (key, value) in changed {
        content["spec"]["selector"]["matchLabels"][&key] = Value::from(value.as_str());
        content["spec"]["template"]["metadata"]["labels"][&key] = Value::from(value.as_str());
        if !content["metadata"]["labels"].is_object() {
            content["metadata"]["labels"] = json!({});
        }
        content["metadata"]["labels"][&key] = Value::from(value);
    }
    Ok(content)
}

async fn walk_of(scene: &Scene<'_>, cluster: &Cluster) -> Result<Planned, OperationError> {
    let now = replicas_of(scene.stable).unwrap_or(1);
    let before =
        scene.left.as_ref().and_then(|left| left["metadata"]["annotations"][FULL].as_str()?.parse().ok());
    let mut walk = Walk::new(scene, before.unwrap_or(now).max(1), now);
    if let Some(reason) = against(scene, &walk, cluster).await? {
        return Ok(Planned::refused(reason));
    }
    if let Some(route) = &scene.options.route {
        walk.canary_service(route, cluster).await?;
    }
    for step in &scene.options.steps {
        walk.step(step);
    }
    if scene.options.promote {
        walk.promote();
    }
    let promoted = scene.options.promote;
    let output = json!({
        "workload": versions::shown(if promoted { &scene.next } else { scene.stable }),
        // What runs the release's images when the stage has ended.
        "current": versions::shown(if promoted { &scene.next } else { &scene.canary }),
        "previous": versions::shown(scene.stable), "canary": versions::shown(&scene.canary),
        "weight": walk.percent, "promoted": promoted,
    });
    Planned::asked(scene.stage, Plan { steps: walk.steps, output }).await
}

/// What stands against the walk as a whole, found before it begins.
async fn against(
    scene: &Scene<'_>,
    walk: &Walk<'_>,
    cluster: &Cluster,
) -> Result<Option<String>, OperationError> {
    let stable = versions::deployment_ref(&scene.stage.environment.namespace, &scene.options.workload);
    if scene.route.is_none()
        && let Some(scaler) = scale::scaler(cluster, &stable).await?
        && let Some(reason) = walk.undone_by(&scaler)
    {
        return Ok(Some(reason));
    }
    match scene.options.promote {
        true => losses::unserved(scene.stage, cluster, (scene.stable, &scene.next)).await,
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn its_options_are_checked_with_their_paths() {
        let steps =
            json!([{"setWeight": 20}, {"pause": "5m"}, {"replicas": 2}, {"setWeight": 50}, {"pause": "1m"}]);
        let fine = json!({"workload": "web", "service": "web", "steps": steps});
        assert_eq!(problems(&Canary, &fine), "");
        assert_eq!(Canary.timeout(&fine), Span::from_secs(1200 + 360 + 30));
        let all = [
            json!({"workload": "web"}),
            json!({"workload": "web", "service": "web", "route": {"httpRoute": "a", "stableService": "b", "canaryService": "b"}}),
            json!({"workload": "web", "service": "web", "promote": false}),
            json!({"workload": "web", "service": "web", "steps": [{"setWeight": 120}, {"replicas": 0}]}),
            json!({"workload": "web", "route": {"stableService": "b", "canaryService": "b"}}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&Canary, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        there is neither a `service` nor a `route`; name the Service that has both versions behind it, or the route that shares the traffic
        route: there is a `service` too; keep one of the two
        steps: there are none, and `promote: false`, so nothing would happen
        steps[0].setWeight: 120 is no share: write 1 to 100
        steps[1].replicas: a canary has at least one pod
        route: 0 of `httpRoute`, `virtualService` and `ingress` are named; name one of them
        route.canaryService: it is the same Service as `stableService`
        "#);
    }

    fn deployment() -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web", "tier": "front"}}}}})
    }

    fn service(selector: &Value) -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"selector": selector}})
    }

    #[test]
    fn a_canary_is_behind_the_same_service_or_apart_from_it() {
        let together = canary(&deployment(), &service(&json!({"app": "web"})), false).unwrap();
        assert_eq!(together["metadata"]["name"], "web-canary");
        assert_eq!(
            labels_of(&together).into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
            ["app=web", "track=canary"]
        );
        let apart = canary(&deployment(), &service(&json!({"app": "web", "tier": "front"})), true).unwrap();
        assert_eq!(
            apart["spec"]["template"]["metadata"]["labels"],
            json!({"app": "web-canary", "tier": "front", "track": "canary"})
        );
        let mut stable = deployment();
        stable["spec"]["template"]["metadata"]["labels"]["track"] = json!("stable");
        let told = canary(&stable, &service(&json!({"app": "web", "track": "stable"})), true).unwrap();
        assert_eq!(told["spec"]["selector"]["matchLabels"], json!({"app": "web", "track": "canary"}));
    }

    #[test]
    fn a_service_that_cannot_have_the_canary_behind_it_is_refused() {
        let refused = |selector: Value| canary(&deployment(), &service(&selector), false).unwrap_err();
        assert_eq!(
            refused(json!({"app": "api"})),
            "Service web does not select the pods of the workload: correct its selector"
        );
        let mut stable = deployment();
        stable["spec"]["template"]["metadata"]["labels"]["track"] = json!("stable");
        let error = canary(&stable, &service(&json!({"track": "stable"})), false).unwrap_err();
        assert!(error.starts_with("Service web selects by the label `track`"), "{error}");
    }
}
