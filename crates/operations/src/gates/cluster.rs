//! `cluster`: looks at one object of the environment's cluster.

use pilothouse_cluster::ObjectRef;
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CheckContext, CheckType, Finding, Sampled, expect};
use crate::stages::check;

/// What the expression may read.
const ROOTS: [&str; 1] = ["object"];

/// What a `cluster` check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    /// The object to look at.
    object: Object,
    /// The cluster account to look in, if not the environment's (X9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// For a Deployment, StatefulSet or DaemonSet: all the pods that it wants must be available, at its latest version.
    #[serde(default)]
    available: bool,
    /// One `${ … }` over `object` that must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<String>,
}

/// An object of the environment's cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object {
    /// Its kind: `Deployment`.
    kind: String,
    /// Its group and version, `apps/v1`; may be left out for the kinds that come with Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    /// Its name. May have `${ … }`.
    name: String,
    /// Its namespace, if not the environment's. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

/// Looks at an object.
pub(super) struct ClusterCheck;

impl CheckType for ClusterCheck {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: "cluster",
            summary: "Looks at an object of the environment's cluster.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn sample<'a>(&'a self, check: &'a CheckContext<'a>) -> Sampled<'a> {
        Box::pin(async move {
            let options: Options = check.options()?;
            let address = address(&options.object, &check.environment.namespace)?;
            let account = options.cluster.as_deref().unwrap_or(&check.environment.cluster);
            let cluster = check.context.clusters.get(account).await;
            let cluster = cluster.map_err(|error| error.to_string())?;
            let object = cluster.get(&address).await.map_err(|error| error.to_string())?;
            let Some(object) = object else {
                return Ok(Finding::new(false, Value::Null, format!("{address} does not exist")));
            };
            judge(&options, &address, &object, check.scope)
        })
    }
}

fn judge(options: &Options, address: &ObjectRef, object: &Value, scope: &Value) -> Result<Finding, String> {
    let told = |detail: &str| format!("{address}: {detail}");
    if options.available {
        let finding = availability(object)?;
        if !finding.passed || options.expect.is_none() {
            return Ok(Finding { detail: told(&finding.detail), ..finding });
        }
    }
    let Some(text) = &options.expect else { return Err("it expects nothing".to_owned()) };
    let found = Map::from_iter([("object".to_owned(), object.clone())]);
    let finding = expect::judge(text, found, scope).map_err(|reason| told(&reason))?;
    Ok(Finding { detail: told(&finding.detail), ..finding })
}

/// Whether all the pods that a workload wants are there at its latest version, and available.
fn availability(object: &Value) -> Result<Finding, String> {
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64);
    let count = |path: &str| number(path).unwrap_or(0);
    let kind = object["kind"].as_str().unwrap_or_default();
    let (wanted, updated, available) = match kind {
        "Deployment" | "StatefulSet" => (
            number("/spec/replicas").unwrap_or(1),
            count("/status/updatedReplicas"),
            number("/status/availableReplicas").unwrap_or_else(|| count("/status/readyReplicas")),
        ),
        "DaemonSet" => (
            count("/status/desiredNumberScheduled"),
            count("/status/updatedNumberScheduled"),
            count("/status/numberAvailable"),
        ),
        other => return Err(format!("`available` says nothing about a {other}")),
    };
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Ok(Finding::new(false, Value::Null, "the cluster has not seen its latest version yet"));
    }
    let passed = updated >= wanted && available >= wanted;
    let detail = format!("{available} of {wanted} pods available, {updated} at the latest version");
    Ok(Finding::new(passed, available, detail))
}

fn address(object: &Object, namespace: &str) -> Result<ObjectRef, String> {
    let Some(api_version) = object.api_version.as_deref().or_else(|| api_version_of(&object.kind)) else {
        return Err(format!("which `{}` is meant? its `apiVersion` is missing", object.kind));
    };
    let namespace = object.namespace.as_deref().unwrap_or(namespace);
    let address = ObjectRef::namespaced(api_version, &object.kind, namespace, &object.name);
    if address.is_secret() { Err(NO_SECRETS.to_owned()) } else { Ok(address) }
}

const NO_SECRETS: &str = "a gate does not read Secrets: what it finds is recorded";

/// The group and version of the kinds that come with Kubernetes.
pub(crate) fn api_version_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ConfigMap"
        | "Endpoints"
        | "Namespace"
        | "Node"
        | "PersistentVolumeClaim"
        | "Pod"
        | "Secret"
        | "Service" => "v1",
        "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet" => "apps/v1",
        "CronJob" | "Job" => "batch/v1",
        "HorizontalPodAutoscaler" => "autoscaling/v2",
        "Ingress" => "networking.k8s.io/v1",
        "PodDisruptionBudget" => "policy/v1",
        _ => return None,
    })
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, ClusterCheck.verbatim());
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    match &parsed.expect {
        Some(text) => problems.extend(expect::problems("expect", text, &ROOTS, scope)),
        None if !parsed.available => {
            let hint = "add `available: true`, or `expect: ${ object.status… }`";
            problems.push(Problem::new("", "the check expects nothing of the object").with_hint(hint));
        }
        None => {}
    }
    problems.extend(object_problem(&parsed));
    problems
}

fn object_problem(options: &Options) -> Option<Problem> {
    let kind = options.object.kind.as_str();
    if check::has_expression(kind) {
        return None;
    }
    if options.available && !matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        let message = format!("`available` says nothing about a {kind}");
        return Some(Problem::new("available", message).with_hint("use `expect`"));
    }
    match (options.object.api_version.as_deref(), api_version_of(kind)) {
        (None, None) => {
            let message = format!("the key `apiVersion` is missing: `{kind}` is no kind of Kubernetes' own");
            Some(Problem::new("object", message))
        }
        (None | Some("v1"), _) if kind == "Secret" => Some(Problem::new("object.kind", NO_SECRETS)),
        _ => None,
    }
}
