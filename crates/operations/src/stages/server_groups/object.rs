//! The options of `enable-manifest` and `disable-manifest` (T54).

use std::collections::BTreeMap;

use pilothouse_domain::pipeline::StageScope;
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::target::{self, Pick};
use crate::stages::check;

/// What an `enable-manifest` or `disable-manifest` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The kind of the object. Only a ReplicaSet's pods can get and lose traffic while they run.
    #[serde(default)]
    pub kind: ObjectKind,
    /// The name of the object. May have `${ … }`. This, `clusterName` or `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The cluster (`shop-prod`), of which `target` says which. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Which one of the cluster, or of those with the labels, when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Pick>,
    /// Labels that it carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The Services that send it traffic, by name; those that it was deployed for when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Its namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Kinds of objects that run pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ObjectKind {
    /// A ReplicaSet: of a server group, or any other that no Deployment owns.
    #[default]
    ReplicaSet,
    /// Refused, with what to do.
    Deployment,
    /// Refused, with what to do.
    StatefulSet,
    /// Refused, with what to do.
    DaemonSet,
}

impl Options {
    /// Which object it means.
    pub(in crate::stages) fn target(&self) -> target::Options {
        target::Options {
            server_group: self.object.clone(),
            cluster_name: self.cluster_name.clone(),
            target: self.target,
            labels: self.labels.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

/// What is wrong with it, as far as that is known before it runs.
pub(in crate::stages) fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    if parsed.kind != ObjectKind::ReplicaSet {
        let kind = options.get("kind").and_then(Value::as_str).unwrap_or_default();
        problems.push(
            Problem::new("kind", format!("a {kind} replaces its pods whenever their labels change, so its traffic cannot be switched"))
                .with_hint("scale it, or let its Service select others; server groups (`deploy-server-group`) can be switched"),
        );
    }
    let renamed = |problem: Problem| match problem.path.as_str() {
        "serverGroup" => Problem { path: "object".to_owned(), ..problem },
        "" => problem.with_hint("write `object: NAME`, or `clusterName: APP-STACK` with `target: newest`"),
        _ => problem,
    };
    problems.extend(parsed.target().problems().into_iter().map(renamed));
    for (index, name) in parsed.services.iter().enumerate() {
        problems.extend(target::name(&format!("services[{index}]"), name));
    }
    problems
}
