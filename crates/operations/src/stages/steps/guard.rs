//! The traffic guard: nothing takes away the last ready endpoints of a Service (T15, X8).

use std::collections::BTreeSet;

use pilothouse_cluster::{Cluster, Endpoints, ObjectRef};
use pilothouse_domain::traffic_guard::TrafficGuard;

use super::Leaving;
use super::carry_out::{Outcome, cannot_count, uncounted};
use crate::OperationError;

/// Counts, and refuses with the numbers: these Services, all when none is named; not those that are `gone` with the pods.
pub(super) async fn check(
    cluster: &Cluster,
    namespace: &str,
    (services, gone): (&[String], &[String]),
    leaving: &Leaving,
    least: TrafficGuard,
) -> Result<Outcome, OperationError> {
    if least == TrafficGuard::Off {
        return Ok(Outcome::Done("the traffic guard is off".to_owned()));
    }
    let only = match services {
        [one] => Some(one.as_str()),
        _ => None,
    };
    let endpoints = match cluster.endpoints(namespace, only).await {
        Ok(endpoints) => endpoints,
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => return Ok(cannot_count(&error)),
    };
    let (pods, keep) = match leaving {
        Leaving::Workload { object, keep } => (cluster.workload_pods(object).await?, *keep),
        Leaving::Workloads { objects } => (together(cluster, objects).await?, 0),
        Leaving::Unlabelled { labels } => (cluster.labelled_pods(namespace, labels).await?, 0),
    };
    let counted = endpoints
        .iter()
        .filter(|(name, _)| !gone.contains(name) && (services.is_empty() || services.contains(name)));
    let mut kept = Vec::new();
    for (service, behind) in counted {
        let left = match leaving {
            Leaving::Workload { .. } | Leaving::Workloads { .. } => without(behind, &pods, keep),
            Leaving::Unlabelled { .. } => pods.ready.len(),
        };
        let ready = behind.ready.len();
        if !least.allows(ready, left) {
            return Ok(Outcome::failed(told(namespace, service, (ready, left), least)));
        }
        if left < ready || !services.is_empty() {
            kept.push(format!("Service {namespace}/{service} keeps {left} of {ready} ready endpoints"));
        }
    }
    Ok(Outcome::Done(match kept.is_empty() {
        true => "no Service loses a ready endpoint".to_owned(),
        false => kept.join("; "),
    }))
}

/// The pods of all of these.
async fn together(cluster: &Cluster, objects: &[ObjectRef]) -> Result<Endpoints, OperationError> {
    let mut all = Endpoints::default();
    for object in objects {
        let pods = cluster.workload_pods(object).await?;
        all.ready.extend(pods.ready);
        all.not_ready.extend(pods.not_ready);
    }
    Ok(all)
}

/// Why these pods must not go, in words; nothing when they may.
pub(crate) async fn refusal(
    cluster: &Cluster,
    namespace: &str,
    services: &[String],
    leaving: &Leaving,
    least: TrafficGuard,
) -> Result<Option<String>, OperationError> {
    Ok(match check(cluster, namespace, (services, &[]), leaving, least).await? {
        Outcome::Ended(end) => end.status.reason().map(str::to_owned),
        Outcome::Done(_) | Outcome::Pending { .. } => None,
    })
}

/// As [`refusal`], for several workloads that lose pods together, each with how many it keeps. Services that go with them
/// need none.
pub(crate) async fn joint_refusal(
    cluster: &Cluster,
    leaving: &[(ObjectRef, u32)],
    gone: &BTreeSet<ObjectRef>,
    least: TrafficGuard,
) -> Result<Option<String>, OperationError> {
    if least == TrafficGuard::Off {
        return Ok(None);
    }
    let namespaces: BTreeSet<&str> = leaving.iter().filter_map(|(o, _)| o.namespace.as_deref()).collect();
    for namespace in namespaces {
        let mut pods = Vec::new();
        for (object, keep) in leaving.iter().filter(|(o, _)| o.namespace.as_deref() == Some(namespace)) {
            let mut of = cluster.workload_pods(object).await?;
            // What was added last goes first, and it is not ready before what was there.
            of.not_ready.clear();
            pods.push((of, *keep));
        }
        let endpoints = match cluster.endpoints(namespace, None).await {
            Ok(endpoints) => endpoints,
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(error) => return Ok(Some(uncounted(&error))),
        };
        for (service, behind) in endpoints {
            if gone.contains(&ObjectRef::namespaced("v1", "Service", namespace, &service)) {
                continue;
            }
            let (ready, left) = (behind.ready.len(), without_all(&behind, &pods));
            if !least.allows(ready, left) {
                return Ok(Some(told(namespace, &service, (ready, left), least)));
            }
        }
    }
    Ok(None)
}

/// How each refusal of the traffic guard begins; its numbers follow.
pub(crate) const REFUSES: &str = "the traffic guard refuses this";

fn told(namespace: &str, service: &str, (ready, left): (usize, usize), least: TrafficGuard) -> String {
    format!(
        "{REFUSES}: Service {namespace}/{service} has {ready} ready endpoints and would be left with {left}, and \
         at least {} must stay (`trafficGuard: {least}`): bring up others first, or set `trafficGuard: off` at this stage",
        least.least(ready)
    )
}

/// How many ready endpoints are left when several workloads lose pods together.
fn without_all(behind: &Endpoints, leaving: &[(Endpoints, u32)]) -> usize {
    let lost = |(pods, keep): &(Endpoints, u32)| behind.ready.len() - without(behind, pods, *keep);
    behind.ready.len().saturating_sub(leaving.iter().map(lost).sum())
}

/// How many ready endpoints are left when all but `keep` of these pods go. Which of them stay is the cluster's choice: the
/// worst is counted, that those go first which get traffic.
fn without(behind: &Endpoints, pods: &Endpoints, keep: u32) -> usize {
    let all: BTreeSet<&String> = pods.ready.iter().chain(&pods.not_ready).collect();
    let going = all.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    let serving = behind.ready.iter().filter(|name| all.contains(name)).count();
    behind.ready.len() - serving.min(going)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(ready: &[&str], not_ready: &[&str]) -> Endpoints {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Endpoints { ready: names(ready), not_ready: names(not_ready) }
    }

    #[test]
    fn those_that_get_traffic_are_counted_as_the_first_to_go() {
        let behind = pods(&["a1", "a2", "b1"], &[]);
        assert_eq!(without(&behind, &pods(&["a1", "a2"], &["a3"]), 0), 1);
        assert_eq!(without(&behind, &pods(&["a1", "a2"], &["a3"]), 2), 2);
        assert_eq!(without(&behind, &pods(&["c1"], &[]), 0), 3);
    }

    #[test]
    fn workloads_that_go_together_are_counted_together() {
        let behind = pods(&["a1", "a2", "b1", "c1"], &[]);
        let both = [(pods(&["a1", "a2"], &[]), 0), (pods(&["b1"], &[]), 0)];
        assert_eq!(without_all(&behind, &both), 1);
        assert_eq!(without_all(&behind, &[(pods(&["x"], &[]), 0)]), 4, "they are behind another Service");
        assert_eq!(without_all(&behind, &[]), 4);
    }

    #[test]
    fn a_refusal_has_the_numbers_and_says_what_to_do() {
        let share = told("dev", "web", (4, 1), TrafficGuard::Percent(50));
        assert!(share.contains("has 4 ready endpoints and would be left with 1, and at least 2 must stay (`trafficGuard: 50%`)"), "{share}");
        let count = told("dev", "web", (2, 0), TrafficGuard::Count(1));
        assert!(
            count
                .contains("left with 0, and at least 1 must stay (`trafficGuard: 1`): bring up others first"),
            "{count}"
        );
    }
}
