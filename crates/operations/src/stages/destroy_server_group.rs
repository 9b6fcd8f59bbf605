//! `destroy-server-group`: deletes a server group, its pods and its autoscaler (T43).

use pilothouse_domain::pipeline::StageTypeInfo;
use serde_json::json;

use super::server_groups::{Halt, Services, moves, namespace, planned, target};
use super::steps::{Plan, Planned};
use super::{StageContext, StageType, Stepped};

/// The name in `type:`.
pub const NAME: &str = "destroy-server-group";

/// Destroys a server group.
#[derive(Debug, Clone, Copy)]
pub struct DestroyServerGroup;

impl StageType for DestroyServerGroup {
    fn info(&self) -> StageTypeInfo {
        StageTypeInfo {
            name: NAME,
            summary: "Takes a server group out of traffic and deletes it with its pods and its autoscaler.",
            schema: schemars::schema_for!(target::Options),
            validate: target::validate,
        }
    }

    fn features(&self) -> &'static str {
        "T43, T15"
    }

    fn undone(&self) -> &'static str {
        "Creates it anew as it was, with new pods."
    }

    fn plan<'a>(&'a self, stage: &'a StageContext<'a>) -> Stepped<'a, Planned> {
        Box::pin(async move { planned(plan(stage, &stage.options()?).await) })
    }
}

async fn plan(stage: &StageContext<'_>, options: &target::Options) -> Result<Plan, Halt> {
    let namespace = namespace(stage, options.namespace.as_deref());
    let cluster = stage.cluster().await?;
    let group = options.find(&cluster, namespace).await?;
    let services = Services::existing(&cluster, namespace, &group.services).await?;
    let steps = moves::destroy(&cluster, &group, &services, stage.traffic_guard()).await?;
    let output = json!({ "serverGroup": group.name(), "namespace": namespace, "replicas": group.replicas });
    Ok(Plan { steps, output })
}
