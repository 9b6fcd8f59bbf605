//! What runs for a stage, as its cluster shows it: workloads, their instances and the events about them (H9-H12).
//!
//! Nothing of a pod's specification is in here but names and images: no environment, no arguments, no values of secrets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempt::AttemptRef;

/// What ran for a stage when it ended, kept with its run: the pods may be gone when somebody asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageEvidence {
    /// The attempt.
    #[serde(flatten)]
    pub at: AttemptRef,
    /// The stage.
    pub stage: String,
    /// When the cluster was asked.
    pub seen_at: Timestamp,
    /// The workloads that the stage changed, in its order.
    pub workloads: Vec<WorkloadReport>,
    /// What could not be read, or was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A workload and what belongs to it (H10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReport {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `ReplicaSet`, `Job` or `Pod`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// How many pods it wants and has.
    pub replicas: Replicas,
    /// The images of its pods' specification, as it names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// How it stands, in few words: `1 of 2 pods updated`.
    pub progress: String,
    /// Its pods, those of the newest version first.
    pub instances: Vec<Instance>,
    /// The events about it, its revision and its pods, the most recent first (H12).
    pub events: Vec<KeyEvent>,
    /// What was left out: `12 more pods`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// How many pods a workload wants and has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// It wants so many; a Job: to complete.
    pub wanted: i64,
    /// Of the newest version.
    pub updated: i64,
    /// Ready to serve; a Job: completed.
    pub ready: i64,
    /// Ready for as long as it asks.
    pub available: i64,
}

/// A pod of a workload (H11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Name of the pod.
    pub name: String,
    /// What `kubectl get pods` shows: `Running`, `CrashLoopBackOff`, `Init:0/1`, `Terminating`, …
    pub status: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Whether it is of the workload's newest version; absent where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<bool>,
    /// Its address, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    /// The address of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
    /// The name of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The zone of its node, where the cluster writes it on pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The region of its node, where the cluster writes it on pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// How often its containers were started anew.
    #[serde(default)]
    pub restarts: i64,
    /// Its containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<InstanceContainer>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceContainer {
    /// Its name.
    pub name: String,
    /// `container`, `init container` or `sidecar`.
    pub role: String,
    /// Its image, as the pod names it.
    pub image: String,
    /// The digest of the image that really runs, once it was pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was started anew.
    pub restarts: i64,
    /// `running`, or why it does not run: `CrashLoopBackOff`, `Completed`.
    pub state: String,
}

/// An event of Kubernetes (H12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyEvent {
    /// Which object it is about: `Pod web-5d4f-x7k2p`.
    pub about: String,
    /// Which part of Kubernetes tells it: `kubelet`.
    pub component: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `BackOff`
    pub reason: String,
    /// What happened.
    pub message: String,
    /// First occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// Most recent occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How often it occurred.
    pub count: i64,
}

impl WorkloadReport {
    /// The same with at most `instances` pods and `events` events, saying what was left out. Pods that are not ready stay
    /// before those that are, and warnings before the rest: they are what somebody will look for.
    #[must_use]
    pub fn cut(mut self, instances: usize, events: usize) -> Self {
        if self.instances.len() > instances {
            self.instances.sort_by_key(|instance| instance.ready);
            let more = self.instances.len() - instances;
            self.instances.truncate(instances);
            self.left_out.push(left_out(more, "pod"));
        }
        if self.events.len() > events {
            self.events.sort_by_key(|event| event.kind != "Warning");
            let more = self.events.len() - events;
            self.events.truncate(events);
            self.left_out.push(left_out(more, "event"));
        }
        self
    }
}

fn left_out(more: usize, what: &str) -> String {
    if more == 1 { format!("1 more {what}") } else { format!("{more} more {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str, ready: bool) -> Instance {
        Instance {
            name: name.to_owned(),
            status: "Running".to_owned(),
            ready,
            newest: None,
            pod_ip: None,
            host_ip: None,
            node: None,
            zone: None,
            region: None,
            created: None,
            restarts: 0,
            containers: Vec::new(),
        }
    }

    fn event(reason: &str, kind: &str) -> KeyEvent {
        KeyEvent {
            about: "Pod web-1".to_owned(),
            component: "kubelet".to_owned(),
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            first: None,
            last: None,
            count: 1,
        }
    }

    #[test]
    fn what_is_wrong_is_kept_and_the_rest_is_counted() {
        let report = WorkloadReport {
            kind: "Deployment".to_owned(),
            namespace: "dev".to_owned(),
            name: "web".to_owned(),
            created: None,
            replicas: Replicas::default(),
            images: Vec::new(),
            progress: String::new(),
            instances: vec![instance("a", true), instance("b", true), instance("c", false)],
            events: vec![event("Pulled", "Normal"), event("BackOff", "Warning")],
            left_out: Vec::new(),
        };
        assert_eq!(report.clone().cut(3, 2), report);
        let cut = report.cut(1, 1);
        assert_eq!((cut.instances[0].name.as_str(), cut.events[0].reason.as_str()), ("c", "BackOff"));
        assert_eq!(cut.left_out, ["2 more pods", "1 more event"]);
    }
}
