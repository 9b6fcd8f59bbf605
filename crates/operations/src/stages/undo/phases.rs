//! In which order things come back, so that no moment of a rollback leaves a Service without pods (X4, X8): first what must
//! run again, then routes, then Services, and only then goes what was created, once nothing sends traffic to it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pilothouse_cluster::{Cluster, ClusterError, ObjectRef, Snapshot, SnapshotObject, SnapshotState};
use pilothouse_domain::duration::Span;
use pilothouse_domain::traffic_guard::TrafficGuard;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::StageContext;
use super::super::steps::{self, Leaving};
use crate::OperationError;

/// How long connections may go on after the traffic has moved back, before what had it goes.
pub(super) const DRAIN: Span = Span::from_secs(10);

/// One after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Phase {
    /// What must run again, and all that it needs.
    Up,
    /// Routes: their weights, and those that were created.
    Routes,
    /// Services, once the pods that they select again are ready.
    Services,
    /// What was created, and what had fewer pods. A record of an earlier version has done all at once.
    #[default]
    Down,
}

impl Phase {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Up => Self::Routes,
            Self::Routes => Self::Services,
            Self::Services | Self::Down => Self::Down,
        }
    }
}

/// An object that does not come back at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Later {
    pub(super) phase: Phase,
    pub(super) object: ObjectRef,
}

/// Which objects of the snapshot have to wait for others, and for which phase. Empty when all can come back at once.
pub(super) async fn later(cluster: &Cluster, snapshot: &Snapshot) -> Result<Vec<Later>, OperationError> {
    let mut all = Vec::new();
    for entry in snapshot.taken.iter().chain(&snapshot.context) {
        let before = match &entry.state {
            SnapshotState::Present { before, .. } => before,
            SnapshotState::Absent => {
                let phase = if is_route(&entry.object) { Phase::Routes } else { Phase::Down };
                all.push(Later { phase, object: entry.object.clone() });
                continue;
            }
            _ => continue,
        };
        if !(is_route(&entry.object) || is_service(&entry.object) || is_workload(&entry.object)) {
            continue;
        }
        let live = match cluster.get(&entry.object).await {
            Err(ClusterError::UnknownKind { .. }) => None,
            live => live?,
        };
        if let Some(phase) = phase_of(&entry.object, before, live.as_ref()) {
            all.push(Later { phase, object: entry.object.clone() });
        }
    }
    // With nothing that moves traffic or must run first, there is nothing to wait for.
    let waits = |entry: &SnapshotObject| !matches!(entry.state, SnapshotState::Absent);
    match all.iter().all(|later| later.phase == Phase::Down) && !snapshot.taken.iter().any(waits) {
        true => Ok(Vec::new()),
        false => Ok(all),
    }
}

/// The phase in which an object that existed comes back, if it is not the first.
fn phase_of(object: &ObjectRef, before: &Value, live: Option<&Value>) -> Option<Phase> {
    let live = live?;
    if is_route(object) {
        let same = before["spec"] == live["spec"]
            && before["metadata"]["annotations"] == live["metadata"]["annotations"];
        return (!same).then_some(Phase::Routes);
    }
    if is_service(object) {
        return (before["spec"]["selector"] != live["spec"]["selector"]).then_some(Phase::Services);
    }
    let count = |workload: &Value| workload["spec"]["replicas"].as_u64();
    (count(before)? < count(live)?).then_some(Phase::Down)
}

/// The part of a snapshot that comes back in a phase.
pub(super) fn part(snapshot: &Snapshot, later: &[Later], phase: Phase) -> Snapshot {
    let of = |entry: &SnapshotObject| {
        later.iter().find(|later| later.object == entry.object).map_or(Phase::Up, |later| later.phase)
    };
    let mut part = snapshot.clone();
    part.taken.retain(|entry| of(entry) == phase);
    part.context.retain(|entry| of(entry) == phase);
    part
}

pub(super) fn is_route(object: &ObjectRef) -> bool {
    matches!(
        (object.group(), object.kind.as_str()),
        ("networking.k8s.io", "Ingress")
            | ("gateway.networking.k8s.io", "HTTPRoute")
            | ("networking.istio.io", "VirtualService")
    )
}

pub(super) fn is_service(object: &ObjectRef) -> bool {
    object.group().is_empty() && object.kind == "Service"
}

fn is_workload(object: &ObjectRef) -> bool {
    object.group() == "apps"
        && matches!(object.kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet")
}

/// Whether something ran before in place of what was created: then it must be there before that goes.
pub(super) fn replaces(snapshot: &Snapshot) -> bool {
    let there = |entry: &SnapshotObject| {
        is_workload(&entry.object) && matches!(entry.state, SnapshotState::Present { .. })
    };
    snapshot.taken.iter().any(there)
}

/// Why this part must not come back now: a Service other than `spare` would have too few ready endpoints then.
pub(super) async fn refusal(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    part: &Snapshot,
    phase: Phase,
    spare: Option<&str>,
) -> Result<Option<String>, OperationError> {
    match phase {
        Phase::Up => Ok(None),
        Phase::Routes => led_nowhere(stage, cluster, part).await,
        Phase::Services => {
            let counts = |service: &ObjectRef| spare != Some(service.name.as_str());
            for (service, selector) in services(part).into_iter().filter(|(service, _)| counts(service)) {
                let namespace = service.namespace.clone().unwrap_or_default();
                let names = [service.name.clone()];
                let leaving = Leaving::Unlabelled { labels: selector };
                let refused =
                    steps::refusal(cluster, &namespace, &names, &leaving, stage.traffic_guard()).await?;
                if refused.is_some() {
                    return Ok(refused);
                }
            }
            Ok(None)
        }
        Phase::Down => {
            let gone =
                |entry: &&SnapshotObject| is_service(&entry.object) && entry.state == SnapshotState::Absent;
            let mut gone: BTreeSet<ObjectRef> =
                part.taken.iter().filter(gone).map(|entry| entry.object.clone()).collect();
            let namespace = stage.environment.namespace.as_str();
            gone.extend(spare.map(|name| ObjectRef::namespaced("v1", "Service", namespace, name)));
            steps::joint_refusal(cluster, &leaving(part), &gone, stage.traffic_guard()).await
        }
    }
}

/// Why routes must not lead back: a Service that gets traffic then, and gets none now, has no ready endpoint.
async fn led_nowhere(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    part: &Snapshot,
) -> Result<Option<String>, OperationError> {
    let least = stage.traffic_guard();
    for entry in part.taken.iter().chain(&part.context).filter(|entry| is_route(&entry.object)) {
        let SnapshotState::Present { before, .. } = &entry.state else { continue };
        let live = cluster.get(&entry.object).await?.unwrap_or_default();
        let namespace = entry.object.namespace.as_deref().unwrap_or_default();
        for service in led_to(before).difference(&led_to(&live)) {
            let endpoints = cluster.endpoints(namespace, Some(service)).await?;
            let ready = endpoints.get(service).map_or(0, |endpoints| endpoints.ready.len());
            if ready == 0 && least != TrafficGuard::Off {
                return Ok(Some(format!(
                    "{}: {} would send traffic to Service {namespace}/{service}, which has 0 ready endpoints \
                     (`trafficGuard: {least}`): bring up others first, or set `trafficGuard: off`",
                    steps::GUARD_REFUSES,
                    entry.object
                )));
            }
        }
    }
    Ok(None)
}

/// The Services that a route sends traffic to, by name.
fn led_to(route: &Value) -> BTreeSet<String> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let gets = |backend: &Value| backend["weight"].as_u64() != Some(0);
    let (spec, mut found) = (&route["spec"], BTreeSet::new());
    for backend in items(&spec["rules"]).iter().flat_map(|rule| items(&rule["backendRefs"])) {
        found.extend(backend["name"].as_str().filter(|_| gets(&backend)).map(str::to_owned));
    }
    for backend in items(&spec["http"]).iter().flat_map(|rule| items(&rule["route"])) {
        let host = backend["destination"]["host"].as_str().and_then(|host| host.split('.').next());
        found.extend(host.filter(|_| gets(&backend)).map(str::to_owned));
    }
    // The weight of a canary of ingress-nginx is an annotation.
    if route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] != "0" {
        let paths = items(&spec["rules"]).into_iter().flat_map(|rule| items(&rule["http"]["paths"]));
        let backends = paths.map(|path| path["backend"].clone()).chain([spec["defaultBackend"].clone()]);
        found.extend(backends.filter_map(|backend| backend["service"]["name"].as_str().map(str::to_owned)));
    }
    found
}

/// The workloads of a part that lose pods, each with how many it keeps.
fn leaving(part: &Snapshot) -> Vec<(ObjectRef, u32)> {
    let entries = part.taken.iter().filter(|entry| is_workload(&entry.object));
    let keep = |entry: &SnapshotObject| match &entry.state {
        SnapshotState::Absent => Some(0),
        SnapshotState::Present { before, .. } => {
            before["spec"]["replicas"].as_u64().and_then(|n| u32::try_from(n).ok())
        }
        _ => None,
    };
    entries.filter_map(|entry| Some((entry.object.clone(), keep(entry)?))).collect()
}

/// The Services of a part that come back, with the selectors they had.
fn services(part: &Snapshot) -> Vec<(ObjectRef, BTreeMap<String, String>)> {
    let selector = |entry: &SnapshotObject| match &entry.state {
        SnapshotState::Present { before, .. } if is_service(&entry.object) => {
            serde_json::from_value(before["spec"]["selector"].clone()).ok()
        }
        _ => None,
    };
    part.taken.iter().chain(&part.context).filter_map(|e| Some((e.object.clone(), selector(e)?))).collect()
}

/// What is still waited for after routes and Services came back: that these have the ready pods that they select as
/// endpoints, and that connections have drained.
pub(super) async fn unsettled(
    stage: &StageContext<'_>,
    cluster: &Cluster,
    part: &Snapshot,
    moved: Option<Timestamp>,
    within: Span,
) -> Result<Option<String>, OperationError> {
    for (service, selector) in services(part) {
        let namespace = service.namespace.clone().unwrap_or_default();
        let pods = cluster.labelled_pods(&namespace, &selector).await?;
        let enough = |seen: &pilothouse_cluster::Endpoints| pods.ready.is_subset(&seen.ready);
        let seen = cluster.endpoints_until(&namespace, &service.name, within.as_duration(), enough).await?;
        if !enough(&seen) {
            let (has, wants) = (seen.ready.len(), pods.ready.len());
            return Ok(Some(format!("{service} has {has} of {wants} ready endpoints")));
        }
    }
    let Some(until) = moved.map(|moved| DRAIN.after(moved)) else { return Ok(None) };
    let left = until.duration_since(stage.context.now());
    if left.is_positive() {
        tokio::time::sleep(left.unsigned_abs().min(within.as_duration())).await;
    }
    let over = until <= stage.context.now();
    Ok((!over).then(|| format!("connections to what was created drain until {until}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(api_version: &str, kind: &str) -> ObjectRef {
        ObjectRef::namespaced(api_version, kind, "dev", "web")
    }

    #[test]
    fn what_shrinks_goes_last_and_what_moves_traffic_in_between() {
        let web = object("apps/v1", "Deployment");
        let pods = |count: u32| json!({"spec": {"replicas": count}});
        assert_eq!(phase_of(&web, &pods(1), Some(&pods(3))), Some(Phase::Down));
        assert_eq!(phase_of(&web, &pods(3), Some(&pods(1))), None);
        assert_eq!(phase_of(&web, &pods(3), None), None, "it is made anew at once");
        let service = object("v1", "Service");
        let to = |version: &str| json!({"spec": {"selector": {"version": version}}});
        assert_eq!(phase_of(&service, &to("v1"), Some(&to("v2"))), Some(Phase::Services));
        assert_eq!(phase_of(&service, &to("v1"), Some(&to("v1"))), None);
        let route = object("gateway.networking.k8s.io/v1", "HTTPRoute");
        assert_eq!(phase_of(&route, &json!({"spec": 1}), Some(&json!({"spec": 2}))), Some(Phase::Routes));
    }

    #[test]
    fn a_route_leads_to_the_services_that_get_a_share() {
        let names = |route: &Value| led_to(route).into_iter().collect::<Vec<_>>().join(",");
        let http = json!({"spec": {"rules": [{"backendRefs": [{"name": "web", "weight": 0}, {"name": "next", "weight": 100}]}, {"backendRefs": [{"name": "api"}]}]}});
        assert_eq!(names(&http), "api,next");
        let host = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
        let istio = json!({"spec": {"http": [{"route": [host("web.dev.svc", 90), host("next", 0)]}]}});
        assert_eq!(names(&istio), "web");
        let paths = json!([{"backend": {"service": {"name": "web"}}}]);
        let mut ingress = json!({"spec": {"rules": [{"http": {"paths": paths}}]}});
        assert_eq!(names(&ingress), "web");
        ingress["metadata"] = json!({"annotations": {"nginx.ingress.kubernetes.io/canary-weight": "0"}});
        assert_eq!(names(&ingress), "");
    }

    #[test]
    fn a_snapshot_comes_back_in_parts() {
        let taken = vec![
            SnapshotObject { object: object("apps/v1", "Deployment"), state: SnapshotState::Absent },
            SnapshotObject { object: object("v1", "ConfigMap"), state: SnapshotState::Absent },
        ];
        let snapshot = Snapshot { taken, ..Snapshot::default() };
        let later = [Later { phase: Phase::Down, object: object("apps/v1", "Deployment") }];
        let kinds = |phase| -> Vec<String> {
            part(&snapshot, &later, phase).taken.into_iter().map(|entry| entry.object.kind).collect()
        };
        assert_eq!(
            (kinds(Phase::Up), kinds(Phase::Down)),
            (vec!["ConfigMap".to_owned()], vec!["Deployment".to_owned()])
        );
        assert_eq!(leaving(&snapshot), [(object("apps/v1", "Deployment"), 0)]);
        assert!(!replaces(&snapshot));
    }
}
