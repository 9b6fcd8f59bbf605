//! What a `delete-manifest` stage says.

use std::collections::BTreeMap;

use pilothouse_domain::duration::Span;
use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::{Problem, did_you_mean};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::stages::check;
use crate::stages::server_groups::target::{self, Pick};

/// What a `delete-manifest` stage says: `objects`, `kinds` with `labels` or `all`, or `clusterName` with `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The objects by name: `{kind: ConfigMap, name: web}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Target>,
    /// The kinds of which objects are deleted by their labels, or all of them: `[Deployment, Service]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<KindName>,
    /// The labels that an object of `kinds` must have, all of them. Values may have `${ … }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Every object of `kinds` in the namespace.
    #[serde(default)]
    pub all: bool,
    /// The cluster (`shop-prod`), of whose server groups `target` says which is deleted: its ReplicaSet. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Which server group of `clusterName`, as they are when the stage begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Pick>,
    /// The namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What becomes of what a deleted object owns: deleted after it, deleted before it, or left without an owner.
    #[serde(default)]
    pub cascade: Cascade,
    /// How long Pods that are deleted themselves are given to end, instead of what they ask for. Those of a workload have the time that
    /// its template gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<Span>,
    /// Finding nothing, or not all of `objects`, is no failure.
    #[serde(default)]
    pub ignore_missing: bool,
    /// Allows to delete namespaces, custom resource definitions, volumes and their claims, and StatefulSets that take their claims with
    /// them: what is in them does not come back.
    #[serde(default)]
    pub allow_data_loss: bool,
}

/// One object by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Its kind.
    pub kind: String,
    /// Its group and version; may be left out for the kinds that every cluster has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Its name. May have `${ … }`.
    pub name: String,
    /// Its namespace; that of the stage when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A kind: its name, or with group and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KindName {
    /// A kind that every cluster has.
    Name(String),
    /// Any kind.
    Full(FullKind),
}

/// A kind with its group and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FullKind {
    /// The kind: `Certificate`.
    pub kind: String,
    /// Its group and version: `cert-manager.io/v1`.
    pub api_version: String,
}

/// What becomes of what a deleted object owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Cascade {
    /// It is deleted after the object.
    #[default]
    Background,
    /// It is deleted first, then the object.
    Foreground,
    /// It stays, without an owner.
    Orphan,
}

impl From<Cascade> for pilothouse_cluster::Cascade {
    fn from(cascade: Cascade) -> Self {
        match cascade {
            Cascade::Background => Self::Background,
            Cascade::Foreground => Self::Foreground,
            Cascade::Orphan => Self::Orphan,
        }
    }
}

/// The kinds that every cluster has, and that are deployed.
const KNOWN: [(&str, &[&str]); 8] = [
    (
        "v1",
        &[
            "Pod",
            "Service",
            "ConfigMap",
            "Secret",
            "ServiceAccount",
            "PersistentVolumeClaim",
            "PersistentVolume",
            "Namespace",
            "ResourceQuota",
            "LimitRange",
            "ReplicationController",
        ],
    ),
    ("apps/v1", &["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]),
    ("batch/v1", &["Job", "CronJob"]),
    ("autoscaling/v2", &["HorizontalPodAutoscaler"]),
    ("policy/v1", &["PodDisruptionBudget"]),
    ("networking.k8s.io/v1", &["Ingress", "NetworkPolicy", "IngressClass"]),
    ("rbac.authorization.k8s.io/v1", &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"]),
];

/// Group and version of a kind that every cluster has.
fn known(kind: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(_, kinds)| kinds.contains(&kind)).map(|(api_version, _)| *api_version)
}

impl Target {
    /// Group and version; empty for an unknown kind, which is refused on save.
    pub(super) fn api_version(&self) -> &str {
        self.api_version.as_deref().or_else(|| known(&self.kind)).unwrap_or_default()
    }
}

impl KindName {
    /// Group and version, and kind.
    pub(super) fn names(&self) -> (&str, &str) {
        match self {
            Self::Name(kind) => (known(kind).unwrap_or_default(), kind),
            Self::Full(full) => (&full.api_version, &full.kind),
        }
    }
}

/// Kinds with which more goes than themselves: the objects in a namespace, those of a custom kind, stored data.
pub(super) fn loses_data(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    matches!(
        (group, kind),
        ("", "Namespace" | "PersistentVolume" | "PersistentVolumeClaim")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

pub(super) fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    if parsed.picks() {
        problems.extend(by_pick(&parsed));
        return problems;
    }
    match (parsed.objects.is_empty(), parsed.kinds.is_empty()) {
        (true, true) => problems.push(Problem::new("", "nothing says what to delete").with_hint(
            "name `objects`, `kinds` with `labels` or `all: true`, or `clusterName` with `target`",
        )),
        (false, false) => {
            problems.push(Problem::new("kinds", "there are `objects` too").with_hint("keep one of the two"));
        }
        (false, true) if parsed.all || !parsed.labels.is_empty() => {
            let path = if parsed.all { "all" } else { "labels" };
            problems
                .push(Problem::new(path, "`objects` are deleted by name").with_hint("name `kinds` instead"));
        }
        (false, true) => {}
        (true, false) => problems.extend(by_labels_or_all(&parsed)),
    }
    problems.extend(grace_problem(&parsed));
    for (index, target) in parsed.objects.iter().enumerate() {
        let path = format!("objects[{index}]");
        if target.name.trim().is_empty() {
            problems.push(Problem::new(format!("{path}.name"), "the name is empty"));
        }
        problems.extend(kind(&path, (target.api_version(), &target.kind), parsed.allow_data_loss));
    }
    for (index, name) in parsed.kinds.iter().enumerate() {
        problems.extend(kind(&format!("kinds[{index}]"), name.names(), parsed.allow_data_loss));
    }
    problems
}

impl Options {
    /// Whether a rule says which server group is meant.
    pub(super) fn picks(&self) -> bool {
        self.cluster_name.is_some() || self.target.is_some()
    }

    /// The server group that the rule means.
    pub(super) fn pick(&self) -> target::Options {
        target::Options {
            cluster_name: self.cluster_name.clone(),
            target: self.target,
            namespace: self.namespace.clone(),
            ..target::Options::default()
        }
    }
}

/// What is wrong with a rule: it stands alone.
fn by_pick(parsed: &Options) -> Vec<Problem> {
    let others = [
        ("objects", !parsed.objects.is_empty()),
        ("kinds", !parsed.kinds.is_empty()),
        ("labels", !parsed.labels.is_empty()),
        ("all", parsed.all),
    ];
    let other = others.iter().find(|(_, given)| *given).map(|(key, _)| {
        Problem::new(*key, "a rule says already what is deleted")
            .with_hint("leave it out, or `clusterName` and `target`")
    });
    let grace = parsed.grace_period.is_some().then(|| {
        Problem::new("gracePeriod", "it is for Pods, and a server group is a ReplicaSet")
            .with_hint("leave it out, or set `terminationGracePeriodSeconds` in its template")
    });
    let other = other.into_iter().chain(grace);
    if parsed.cluster_name.is_none() {
        let problem =
            Problem::new("target", "it says no cluster").with_hint("write `clusterName: APP-STACK` too");
        return other.chain([problem]).collect();
    }
    other.chain(parsed.pick().problems()).collect()
}

/// The API gives a grace period to what is deleted, not to what goes with it: of anything but a Pod it is ignored.
fn grace_problem(parsed: &Options) -> Option<Problem> {
    let objects = parsed.objects.iter().map(|target| target.kind.as_str());
    let mut kinds = objects.chain(parsed.kinds.iter().map(|name| name.names().1));
    let first = kinds.clone().next().filter(|_| parsed.grace_period.is_some())?;
    (!kinds.any(|kind| kind == "Pod" || check::has_expression(kind))).then(|| {
        let message = format!(
            "it is for Pods, and the pods of a {first} end in the time that their template gives them"
        );
        Problem::new("gracePeriod", message)
            .with_hint("leave it out, or set `terminationGracePeriodSeconds` in the template")
    })
}

fn by_labels_or_all(parsed: &Options) -> Option<Problem> {
    match (parsed.all, parsed.labels.is_empty()) {
        (false, true) => Some(
            Problem::new("kinds", "nothing says which objects of these kinds")
                .with_hint("name their `labels`, or say `all: true` for every one in the namespace"),
        ),
        (true, false) => Some(Problem::new("all", "there are `labels` too").with_hint("keep one of the two")),
        _ => None,
    }
}

fn kind(path: &str, (api_version, kind): (&str, &str), allow_data_loss: bool) -> Option<Problem> {
    if api_version.is_empty() {
        let names = KNOWN.iter().flat_map(|(_, kinds)| kinds.iter().copied());
        let hint = did_you_mean(kind, names).unwrap_or_else(|| "name its `apiVersion` too".to_owned());
        return Some(Problem::new(path, format!("the API of kind `{kind}` is not known")).with_hint(hint));
    }
    (loses_data(api_version, kind) && !allow_data_loss).then(|| {
        Problem::new(path, format!("what is in a {kind} goes with it, and does not come back"))
            .with_hint("say `allowDataLoss: true` if that is meant")
    })
}
