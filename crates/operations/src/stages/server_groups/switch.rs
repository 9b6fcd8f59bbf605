//! Enabling and disabling one server group (T41, T42, T54).

use pilothouse_cluster::TRAFFIC_ANNOTATION;
use serde_json::json;

use super::{Group, Halt, SERVICES_ANNOTATION, Services, moves, namespace, target};
use crate::stages::StageContext;
use crate::stages::steps::{Plan, Step};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stages) enum Switch {
    /// It gets traffic.
    On,
    /// It gets none.
    Off,
}

/// The steps that enable or disable it. `named` are its Services where it does not say them itself.
pub(in crate::stages) async fn switch(
    stage: &StageContext<'_>,
    options: &target::Options,
    named: &[String],
    way: Switch,
) -> Result<Plan, Halt> {
    let namespace = namespace(stage, options.namespace.as_deref());
    let cluster = stage.cluster().await?;
    let group = options.find(&cluster, namespace).await?;
    let names = if named.is_empty() { group.services.as_slice() } else { named };
    if names.is_empty() {
        return Err(Halt::Refused(format!(
            "{} says no Services that send it traffic, so there is nothing to give or to take: name them by `services` in \
             `deploy-server-group`, or in `enable-manifest` and `disable-manifest`",
            group.object
        )));
    }
    let services = Services::read(&cluster, namespace, names).await?;
    let mut steps = Vec::new();
    steps.extend(remembered(&group, &services)?);
    steps.extend(match way {
        Switch::On => moves::enable(&cluster, &group, &services).await?,
        Switch::Off => moves::disable(&cluster, &group, &services, stage.traffic_guard()).await?,
    });
    let output = json!({
        "serverGroup": group.name(), "namespace": namespace, "services": services.names(), "replicas": group.replicas,
        "enabled": way == Switch::On,
    });
    Ok(Plan { steps, output })
}

/// Writes the Services and their labels on a ReplicaSet that does not say them: the way back needs to know them.
fn remembered(group: &Group, services: &Services) -> Result<Option<Step>, Halt> {
    if group.services == services.names() {
        return Ok(None);
    }
    let written = json!({"metadata": {"annotations": {
        SERVICES_ANNOTATION: json!(services.names()).to_string(),
        TRAFFIC_ANNOTATION: json!(services.labels_for(group)?).to_string(),
    }}});
    let what =
        format!("write on {} that Service {} sends it traffic", group.object, services.names().join(", "));
    Ok(Some(Step::Set { object: group.object.clone(), fields: written, what }))
}
