//! What stages do to one server group, as steps: enable, disable, destroy, resize (T41-T44).

use pilothouse_cluster::{Carry, Cluster, DeleteOptions};
use pilothouse_domain::traffic_guard::TrafficGuard;

use super::autoscaler::Autoscaler;
use super::{Group, Halt, Services};
use crate::stages::steps::{Leaving, Step};

/// How long pods stay after no Service sends them anything.
const DRAIN_SECONDS: u64 = 5;

fn namespace(group: &Group) -> String {
    group.object.namespace.clone().unwrap_or_default()
}

/// Refuses, before pods of the group are taken away from these Services (all that have some when empty).
pub(in crate::stages) fn guard(group: &Group, services: Vec<String>, keep: u32, least: TrafficGuard) -> Step {
    let leaving = Leaving::Workload { object: group.object.clone(), keep };
    Step::Guard { namespace: namespace(group), services, leaving, least, gone: Vec::new() }
}

/// Refuses, before all of these groups leave their Services one after the other: so that it is refused before the first does.
pub(in crate::stages) fn guard_all(
    groups: &[&Group],
    services: Vec<String>,
    least: TrafficGuard,
) -> Option<Step> {
    let first = groups.first()?;
    let leaving = Leaving::Workloads { objects: groups.iter().map(|group| group.object.clone()).collect() };
    let gone = Vec::new();
    (groups.len() > 1).then(|| Step::Guard { namespace: namespace(first), services, leaving, least, gone })
}

/// Gives it the traffic of these Services, and lets it be scaled again (T41).
pub(in crate::stages) async fn enable(
    cluster: &Cluster,
    group: &Group,
    services: &Services,
) -> Result<Vec<Step>, Halt> {
    if group.replicas == 0 {
        return Err(Halt::Refused(format!(
            "{} has no pods to send traffic to: resize it first (`type: resize-server-group`)",
            group.object
        )));
    }
    let labels = services.labels_for(group)?;
    let mut steps = vec![Step::Relabel { object: group.object.clone(), labels, carry: Carry::All }];
    steps.extend(Autoscaler::find(cluster, group).await?.and_then(|autoscaler| autoscaler.resume()));
    steps.extend(routed(group, services, group.ready.max(1)));
    Ok(steps)
}

/// Waits until each of the Services has so many of its pods ready.
pub(in crate::stages) fn routed(group: &Group, services: &Services, least: u32) -> Vec<Step> {
    let routed = |service: String| Step::Routed { object: group.object.clone(), service, least };
    services.names().into_iter().map(routed).collect()
}

/// Takes the traffic of these Services from it, and lets its size be (T42). Its pods keep running.
pub(in crate::stages) async fn disable(
    cluster: &Cluster,
    group: &Group,
    services: &Services,
    least: TrafficGuard,
) -> Result<Vec<Step>, Halt> {
    let mut steps = vec![guard(group, services.names(), 0, least)];
    steps.extend(Autoscaler::find(cluster, group).await?.and_then(|autoscaler| autoscaler.pause()));
    steps.extend(unroute(group, services)?);
    Ok(steps)
}

/// Takes the traffic of these Services from it; nothing when there is none to take.
fn unroute(group: &Group, services: &Services) -> Result<Vec<Step>, Halt> {
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let labels = services.labels_for(group)?;
    let object = group.object.clone();
    let mut steps = vec![Step::Relabel { object: object.clone(), labels, carry: Carry::AtMost(0) }];
    let unrouted = |service: String| Step::Unrouted { object: object.clone(), service };
    steps.extend(services.names().into_iter().map(unrouted));
    Ok(steps)
}

/// Takes its traffic from it if it gets any, and deletes it with its autoscaler (T43).
pub(in crate::stages) async fn destroy(
    cluster: &Cluster,
    group: &Group,
    services: &Services,
    least: TrafficGuard,
) -> Result<Vec<Step>, Halt> {
    let mut steps = vec![guard(group, Vec::new(), 0, least)];
    // One whose labels cannot be taken away is deleted all the same: its pods leave the Services as they end.
    if group.is_enabled(services) {
        let unrouted = unroute(group, services).unwrap_or_default();
        let drains = (!unrouted.is_empty()).then(|| drain(group));
        steps.extend(unrouted.into_iter().chain(drains));
    }
    if let Some(autoscaler) = Autoscaler::find(cluster, group).await? {
        steps.push(Step::Delete { object: autoscaler.object, options: DeleteOptions::default() });
    }
    let options = DeleteOptions { uid: Some(group.uid.clone()), ..DeleteOptions::default() };
    steps.push(Step::Delete { object: group.object.clone(), options });
    Ok(steps)
}

/// Lets connections end that were made before the Services were told: nodes learn of it a little later.
pub(in crate::stages) fn drain(group: &Group) -> Step {
    Step::Hold { seconds: DRAIN_SECONDS, what: format!("connections to {} drain", group.name()) }
}

/// Sets how many pods it has, and waits until they are ready (T44).
pub(in crate::stages) async fn resize(
    cluster: &Cluster,
    group: &Group,
    replicas: u32,
    least: TrafficGuard,
) -> Result<Vec<Step>, Halt> {
    if let Some(autoscaler) = Autoscaler::find(cluster, group).await? {
        autoscaler.allows(replicas)?;
    }
    let mut steps = Vec::new();
    if replicas < group.replicas {
        steps.push(guard(group, Vec::new(), replicas, least));
    }
    steps.push(Step::Scale { object: group.object.clone(), replicas });
    steps.push(Step::Ready { object: group.object.clone() });
    Ok(steps)
}
