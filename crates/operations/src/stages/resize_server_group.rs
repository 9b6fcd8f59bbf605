//! `resize-server-group`: more or fewer pods, by number or share, or as many as the largest of its cluster has (T44).

use std::collections::BTreeMap;

use pilothouse_cluster::{CLUSTER_LABEL, Cluster};
use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::server_groups::amount::Amount;
use super::server_groups::target::Pick;
use super::server_groups::{Group, Halt, moves, namespace, of_cluster, planned, target};
use super::steps::{Plan, Planned};
use super::{StageContext, StageType, Stepped, check};

/// The name in `type:`.
pub const NAME: &str = "resize-server-group";

/// What a `resize-server-group` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The server group, by name: `shop-prod-v007`. May have `${ … }`. This, `clusterName` or `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_group: Option<String>,
    /// The cluster (`shop-prod`), of which `target` says which. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Which one of the cluster, or of those with the labels, when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Pick>,
    /// Labels that the server group carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How.
    pub resize: Resize,
    /// How many pods, or how many more or fewer: a number, or a share such as `50%` of those that it has. May have `${ … }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Amount>,
}

/// How a server group is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// To exactly `by` pods.
    Exact,
    /// To `by` more.
    Up,
    /// To `by` fewer.
    Down,
    /// To as many as the largest server group of its cluster has.
    ClusterMaximum,
}

/// Resizes a server group.
#[derive(Debug, Clone, Copy)]
pub struct ResizeServerGroup;

impl StageType for ResizeServerGroup {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Sets how many pods a server group has, and waits until they are ready.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T44, T15"
    }

    fn undone(&self) -> &'static str {
        "Gives it the size that it had."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move { planned(plan(stage, &stage.options()?).await) })
    }
}

impl Options {
    fn target(&self) -> target::Options {
        target::Options {
            server_group: self.server_group.clone(),
            cluster_name: self.cluster_name.clone(),
            target: self.target,
            labels: self.labels.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    let parsed: Options = match check::options(options) {
        Ok(parsed) => parsed,
        Err(problem) => return vec![problem],
    };
    problems.extend(parsed.target().problems());
    problems.extend(match (parsed.resize, &parsed.by) {
        (Resize::ClusterMaximum, Some(_)) => {
            Some(Problem::new("by", "the largest of its cluster says the size").with_hint("leave `by` out"))
        }
        (Resize::ClusterMaximum, None) => None,
        (_, None) => {
            Some(Problem::new("by", "it says no number").with_hint("write such as `by: 2` or `by: 50%`"))
        }
        (Resize::Exact, Some(by)) if by.is_share() => Some(
            Problem::new("by", "an exact size is a number of pods")
                .with_hint("write `resize: up` or `resize: down`"),
        ),
        (_, Some(by)) => by.problem("by"),
    });
    problems
}

async fn plan(stage: &StageContext<'_>, options: &Options) -> Result<Plan, Halt> {
    let namespace = namespace(stage, options.namespace.as_deref());
    let cluster = stage.cluster().await?;
    let group = options.target().find(&cluster, namespace).await?;
    let wanted = match options.resize {
        Resize::ClusterMaximum => largest(&cluster, namespace, &group).await?,
        other => size(other, group.replicas, options.by.as_ref())?,
    };
    let output = json!({
        "serverGroup": group.name(), "namespace": namespace, "replicas": wanted, "before": group.replicas,
    });
    let steps = match wanted == group.replicas {
        true => Vec::new(),
        false => moves::resize(&cluster, &group, wanted, stage.traffic_guard()).await?,
    };
    Ok(Plan { steps, output })
}

/// The size after it is resized.
fn size(resize: Resize, now: u32, by: Option<&Amount>) -> Result<u32, Halt> {
    let by = by.ok_or_else(|| "by: it says no number".to_owned())?.of(now)?;
    Ok(match resize {
        Resize::Exact | Resize::ClusterMaximum => by,
        Resize::Up => now.saturating_add(by),
        Resize::Down => now.saturating_sub(by),
    })
}

async fn largest(cluster: &Cluster, namespace: &str, group: &Group) -> Result<u32, Halt> {
    let name = group.cluster.as_deref().ok_or_else(|| {
        format!("{} has no label `{CLUSTER_LABEL}`, so its cluster has no maximum", group.object)
    })?;
    let all = of_cluster(cluster, namespace, name).await?;
    Ok(all.iter().map(|group| group.replicas).max().unwrap_or(group.replicas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::check::tests::problems;

    #[test]
    fn sizes_are_counted_from_what_there_is() {
        let of = |resize, by: Value| size(resize, 4, Some(&serde_json::from_value(by).unwrap())).unwrap();
        assert_eq!(of(Resize::Exact, json!(7)), 7);
        assert_eq!((of(Resize::Up, json!(2)), of(Resize::Up, json!("50%"))), (6, 6));
        assert_eq!((of(Resize::Down, json!("25%")), of(Resize::Down, json!(9))), (3, 0));
    }

    #[test]
    fn what_does_not_fit_together_is_told_when_it_is_saved() {
        let all = [
            json!({"serverGroup": "shop-v001", "resize": "exact", "by": 3}),
            json!({"clusterName": "shop", "target": "newest", "resize": "up"}),
            json!({"clusterName": "shop", "target": "newest", "resize": "cluster-maximum", "by": 2}),
            json!({"clusterName": "shop", "resize": "exact", "by": "50%"}),
            json!({"serverGroup": "shop-v001", "resize": "down", "by": "half"}),
        ];
        let shown: Vec<String> = all.iter().map(|options| problems(&ResizeServerGroup, options)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"

        by: it says no number; write such as `by: 2` or `by: 50%`
        by: the largest of its cluster says the size; leave `by` out
        target: a cluster has several server groups; write `newest`, `second-newest`, `oldest` or `largest`
        by: an exact size is a number of pods; write `resize: up` or `resize: down`
        by: `half` is no amount: write a number of pods such as 2, or a share such as 50%
        ");
    }
}
