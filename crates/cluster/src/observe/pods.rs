//! Which pods are of the new version, and whether one of them will become ready.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ObserveOptions;
use super::seen::Workload;
use super::{containers, start};
use crate::container;
use crate::evidence::{Evidence, FailureReason, PodEvent};
use crate::object;

/// What is to be said of one pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PodVerdict {
    /// Nothing against it.
    Fine,
    /// It will be a failure if it lasts that much longer.
    Suspect(Duration),
    /// It will not become ready by itself.
    Failed(FailureReason, Box<Evidence>),
}

/// The pods of a workload, of all its versions.
pub(super) fn owned<'a>(workload: &'a Workload, live: &Value) -> Vec<&'a Value> {
    let owner = object::uid(live);
    let kind = workload.watched.object.kind.as_str();
    let sets =
        workload.revisions.values().filter(|set| kind == "Deployment" && object::is_owned_by(set, owner));
    let owners: Vec<&str> = sets.map(object::uid).chain([owner]).collect();
    let is_own = |pod: &&Value| kind == "Pod" || owners.iter().any(|owner| object::is_owned_by(pod, owner));
    workload.pods.values().filter(is_own).collect()
}

/// The pods that the newest specification made, those on their way out left aside.
pub(super) fn of_new_version<'a>(workload: &'a Workload, live: &Value) -> Vec<&'a Value> {
    let owner = object::uid(live);
    let pods = workload.pods.values().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    match workload.watched.object.kind.as_str() {
        "Deployment" => {
            let Some(newest) = newest_replica_set(workload, live) else { return Vec::new() };
            pods.filter(|pod| object::is_owned_by(pod, object::uid(newest))).collect()
        }
        "StatefulSet" => {
            let revision = &live["status"]["updateRevision"];
            pods.filter(|pod| object::is_owned_by(pod, owner) && hash_label(pod) == revision).collect()
        }
        "DaemonSet" => {
            let newest = workload
                .revisions
                .values()
                .filter(|revision| object::is_owned_by(revision, owner))
                .max_by_key(|revision| revision["revision"].as_i64());
            let Some(newest) = newest else { return Vec::new() };
            pods.filter(|pod| object::is_owned_by(pod, owner) && hash_label(pod) == hash_label(newest))
                .collect()
        }
        _ => pods.filter(|pod| object::is_owned_by(pod, owner)).collect(),
    }
}

/// The ReplicaSet of a Deployment's newest revision: the one that carries the same number.
pub(super) fn newest_replica_set<'a>(workload: &'a Workload, live: &Value) -> Option<&'a Value> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let revision = live["metadata"]["annotations"][REVISION].as_str()?;
    workload.revisions.values().find(|set| {
        object::is_owned_by(set, object::uid(live))
            && set["metadata"]["annotations"][REVISION].as_str() == Some(revision)
    })
}

fn hash_label(object: &Value) -> &Value {
    &object["metadata"]["labels"]["controller-revision-hash"]
}

/// What is needed to judge the pods of a workload.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) workload: &'a Workload,
    /// When we last changed the workload, by the cluster's clock; what happened earlier proves nothing.
    pub(super) began: Option<Timestamp>,
    pub(super) now: Timestamp,
    pub(super) options: &'a ObserveOptions,
}

impl<'a> Ground<'a> {
    /// With the warnings about one object, the most recent last.
    pub(super) fn with<'e>(self, events: &'e [&'a Value]) -> Context<'a, 'e> {
        Context { ground: self, events }
    }
}

/// What is needed to judge one object.
pub(super) struct Context<'a, 'e> {
    ground: Ground<'a>,
    pub(super) events: &'e [&'a Value],
}

impl Context<'_, '_> {
    /// The warnings of these reasons since we changed the workload, the most recent last.
    pub(super) fn warnings<'s>(
        &'s self,
        reasons: &'s [&'s str],
    ) -> impl DoubleEndedIterator<Item = PodEvent> + 's {
        let of = |event: &&Value| event["reason"].as_str().is_some_and(|reason| reasons.contains(&reason));
        let since = |event: &PodEvent| self.began.is_none() || event.last >= self.began;
        self.events.iter().copied().filter(of).map(PodEvent::of).filter(since)
    }

    /// Since when that is so: from the first of those warnings, or our change if that came later; `None` without one.
    pub(super) fn since(&self, reasons: &[&str]) -> Option<Timestamp> {
        self.warnings(reasons).map(|event| event.first.max(self.began)).min().flatten()
    }
}

impl<'a> std::ops::Deref for Context<'a, '_> {
    type Target = Ground<'a>;

    fn deref(&self) -> &Self::Target {
        &self.ground
    }
}

/// Judges one pod: its containers in the order in which they start, then the pod itself.
pub(super) fn judge(pod: &Value, context: &Context<'_, '_>) -> PodVerdict {
    for container in container::of(pod) {
        let Some(found) = containers::judge(pod, &container, context) else { continue };
        if let Some(left) = found.left {
            return PodVerdict::Suspect(left);
        }
        let evidence = Evidence::of_pod(&context.workload.watched.object, pod, &found.state, &found.message);
        return PodVerdict::Failed(found.reason, Box::new(evidence.of_container(&container)));
    }
    start::judge(pod, context)
}

/// What is left of a grace time that began at `since`; `None` when it is over. An unknown begin is now.
pub(super) fn remaining(since: Option<Timestamp>, grace: Duration, now: Timestamp) -> Option<Duration> {
    let passed = since.map_or(Duration::ZERO, |since| {
        // A cluster's clock that is ahead of ours has passed nothing yet.
        Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
    });
    grace.checked_sub(passed).filter(|left| !left.is_zero())
}

#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;
