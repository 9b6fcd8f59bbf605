//! The pods of a workload and what happened to them (H11, H12).

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::evidence::{PodEvent, text, time};
use crate::object::{self, ObjectRef};
use crate::selector;

/// One pod of a workload (H11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Name of the pod.
    pub name: String,
    /// What `kubectl get pods` shows: `Running`, `CrashLoopBackOff`, `Terminating`, …
    pub status: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Its address, once it has one.
    pub pod_ip: Option<String>,
    /// The address of its node.
    pub host_ip: Option<String>,
    /// The name of its node.
    pub node: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
}

impl Cluster {
    /// The pods of a workload, of all its versions, by name.
    ///
    /// # Errors
    /// [`ClusterError`]; `NotFound` when the workload does not exist.
    pub async fn instances(&self, workload: &ObjectRef) -> Result<Vec<Instance>, ClusterError> {
        let operation = format!("list the pods of {workload}");
        let live = self.existing(&operation, workload).await?;
        let mut instances: Vec<Instance> =
            self.pods_of(&operation, workload, &live).await?.iter().map(instance).collect();
        instances.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(instances)
    }

    /// The events about a workload, its revisions and its pods, the most recent first.
    ///
    /// # Errors
    /// [`ClusterError`]; `NotFound` when the workload does not exist.
    pub async fn events(&self, workload: &ObjectRef) -> Result<Vec<PodEvent>, ClusterError> {
        let operation = format!("list the events of {workload}");
        let live = self.existing(&operation, workload).await?;
        let pods = self.pods_of(&operation, workload, &live).await?;
        let mut about: HashSet<String> = HashSet::from([object::uid(&live).to_owned()]);
        for pod in &pods {
            about.insert(object::uid(pod).to_owned());
            let owners = pod["metadata"]["ownerReferences"].as_array();
            about.extend(owners.into_iter().flatten().filter_map(|owner| text(&owner["uid"])));
        }
        let path =
            self.served_kind(&operation, "v1", "Event").await?.collection(workload.namespace.as_deref());
        let mut events: Vec<PodEvent> = self
            .list(&operation, &path, &[])
            .await?
            .iter()
            .filter(|event| event["involvedObject"]["uid"].as_str().is_some_and(|uid| about.contains(uid)))
            .map(PodEvent::of)
            .collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.last));
        Ok(events)
    }

    async fn existing(&self, operation: &str, object: &ObjectRef) -> Result<Value, ClusterError> {
        self.get(object).await?.ok_or_else(|| ClusterError::NotFound {
            operation: operation.to_owned(),
            message: format!("{object} does not exist"),
        })
    }

    async fn pods_of(
        &self,
        operation: &str,
        workload: &ObjectRef,
        live: &Value,
    ) -> Result<Vec<Value>, ClusterError> {
        if workload.kind == "Pod" {
            return Ok(vec![live.clone()]);
        }
        let Some(selector) = selector::of(live) else { return Ok(Vec::new()) };
        let path = self.served_kind(operation, "v1", "Pod").await?.collection(workload.namespace.as_deref());
        self.list(operation, &path, &[("labelSelector", selector)]).await
    }
}

fn instance(pod: &Value) -> Instance {
    let ready = object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
    Instance {
        name: object::name(pod).to_owned(),
        status: status(pod),
        ready,
        pod_ip: text(&pod["status"]["podIP"]),
        host_ip: text(&pod["status"]["hostIP"]),
        node: text(&pod["spec"]["nodeName"]),
        created: time(&pod["metadata"]["creationTimestamp"]),
    }
}

/// The status column of `kubectl get pods`, short of its rarest cases.
fn status(pod: &Value) -> String {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".into();
    }
    for (list, prefix) in [("initContainerStatuses", "Init:"), ("containerStatuses", "")] {
        for container in pod["status"][list].as_array().into_iter().flatten() {
            let state = &container["state"];
            let ended = &state["terminated"];
            let ended_well = ended["exitCode"] == 0;
            if let Some(reason) = state["waiting"]["reason"].as_str() {
                // While an init container runs, all others wait; that is told by the init container itself.
                if reason != "PodInitializing" {
                    return format!("{prefix}{reason}");
                }
            } else if let Some(reason) = ended["reason"].as_str().filter(|_| !ended_well) {
                return format!("{prefix}{reason}");
            }
        }
    }
    text(&pod["status"]["reason"])
        .or_else(|| text(&pod["status"]["phase"]))
        .unwrap_or_else(|| "Unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_status_is_what_kubectl_shows() {
        let of = |status: Value| self::status(&json!({"metadata": {}, "status": status}));
        assert_eq!(
            of(json!({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})),
            "Running"
        );
        let waiting = json!({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
        assert_eq!(of(waiting), "CrashLoopBackOff");
        let ended = json!({"phase": "Running", "containerStatuses": [{"state": {"terminated": {"reason": "Error", "exitCode": 1}}}]});
        assert_eq!(of(ended), "Error");
        let init = json!({"phase": "Pending", "initContainerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}],
            "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}]});
        assert_eq!(of(init), "Init:ImagePullBackOff");
        assert_eq!(self::status(&json!({"metadata": {"deletionTimestamp": "x"}})), "Terminating");
    }
}
