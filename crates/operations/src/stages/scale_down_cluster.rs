//! `scale-down-cluster`: scales the server groups of a cluster to 0 pods, but for the newest (T40).

use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::server_groups::{Group, Halt, Services, moves, namespace, of_cluster, planned, target};
use super::steps::{Plan, Planned, Step};
use super::{StageContext, StageType, Stepped, check};

/// The name in `type:`.
pub const NAME: &str = "scale-down-cluster";

/// What a `scale-down-cluster` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The cluster: `shop-prod`. May have `${ … }`.
    pub cluster_name: String,
    /// How many keep their size, the newest; 1 when absent.
    #[serde(default = "super::disable_cluster::one")]
    pub keep: u32,
    /// Scale down those too that get traffic. Without it they keep their size.
    #[serde(default)]
    pub include_active: bool,
    /// Its namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Scales a cluster down.
#[derive(Debug, Clone, Copy)]
pub struct ScaleDownCluster;

impl StageType for ScaleDownCluster {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Scales every server group of a cluster to 0 pods but the newest, and but those that get traffic.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T40, T15"
    }

    fn undone(&self) -> &'static str {
        "Gives them the size that they had."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move { planned(plan(stage, &stage.options()?).await) })
    }
}

fn validate(options: &Map<String, Value>, scope: &StageScope<'_>) -> Vec<Problem> {
    let mut problems = check::expressions(options, scope, &[]);
    match check::options::<Options>(options) {
        Ok(parsed) => problems.extend(target::name("clusterName", &parsed.cluster_name)),
        Err(problem) => return vec![problem],
    }
    problems
}

async fn plan(stage: &StageContext<'_>, options: &Options) -> Result<Plan, Halt> {
    let namespace = namespace(stage, options.namespace.as_deref());
    let cluster = stage.cluster().await?;
    let groups = of_cluster(&cluster, namespace, &options.cluster_name).await?;
    if groups.is_empty() {
        return Err(Halt::Refused(format!(
            "there is no server group in cluster {namespace}/{}",
            options.cluster_name
        )));
    }
    let names = groups.iter().flat_map(|group| &group.services);
    let services = Services::existing(&cluster, namespace, names).await?;
    // What says no Services may get traffic from any: it counts as active.
    let active = |group: &Group| group.services.is_empty() || group.is_enabled(&services.of(group));
    let kept = usize::try_from(options.keep).unwrap_or(usize::MAX);
    let leaving: Vec<&Group> = groups
        .iter()
        .skip(kept)
        .filter(|group| group.replicas > 0 && (options.include_active || !active(group)))
        .collect();
    let guard = moves::guard_all(&leaving, Vec::new(), stage.traffic_guard());
    let mut steps: Vec<Step> = guard.into_iter().collect();
    // The oldest first: what fails in the middle leaves the newest as they are.
    for group in leaving.iter().rev() {
        steps.extend(moves::resize(&cluster, group, 0, stage.traffic_guard()).await?);
    }
    let scaled: Vec<&str> = leaving.iter().map(|group| group.name()).collect();
    let output = json!({ "cluster": options.cluster_name, "namespace": namespace, "scaledDown": scaled });
    Ok(Plan { steps, output })
}
