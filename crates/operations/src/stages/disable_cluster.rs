//! `disable-cluster`: takes the server groups of a cluster out of traffic, but for the newest that serve (T39).

use pilothouse_domain::pipeline::{StageScope, StageTypeInfo};
use pilothouse_domain::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::server_groups::{Group, Halt, Services, moves, namespace, of_cluster, planned, target};
use super::steps::{Plan, Planned, Step};
use super::{StageContext, StageType, Stepped, check};

/// The name in `type:`.
pub const NAME: &str = "disable-cluster";

/// What a `disable-cluster` stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The cluster: `shop-prod`. May have `${ … }`.
    pub cluster_name: String,
    /// How many of those that serve go on serving, the newest; 1 when absent.
    #[serde(default = "one")]
    pub keep: u32,
    /// Its namespace; the environment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

pub(super) const fn one() -> u32 {
    1
}

/// Disables a cluster.
#[derive(Debug, Clone, Copy)]
pub struct DisableCluster;

impl StageType for DisableCluster {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Takes every server group of a cluster out of traffic but the newest that serve; their pods keep running.",
            schema: schemars::schema_for!(Options),
            validate,
        }
    }

    fn features(&self) -> &'static str {
        "T39, T15"
    }

    fn undone(&self) -> &'static str {
        "Gives their pods their traffic back, and resumes their autoscalers."
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
    let serving: Vec<&Group> = groups.iter().filter(|group| group.is_enabled(&services.of(group))).collect();
    let (kept, leaving) =
        serving.split_at(serving.len().min(usize::try_from(options.keep).unwrap_or(usize::MAX)));
    let guard = moves::guard_all(leaving, services.names(), stage.traffic_guard());
    let mut steps: Vec<Step> = guard.into_iter().collect();
    // The oldest first: what fails in the middle leaves the newest serving.
    for group in leaving.iter().rev() {
        let services = services.of(group);
        steps.extend(moves::disable(&cluster, group, &services, stage.traffic_guard()).await?);
    }
    let names = |groups: &[&Group]| groups.iter().map(|group| group.name().to_owned()).collect::<Vec<_>>();
    let output = json!({
        "cluster": options.cluster_name, "namespace": namespace, "disabled": names(leaving), "enabled": names(kept),
    });
    Ok(Plan { steps, output })
}
