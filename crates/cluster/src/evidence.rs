//! What proves a failure: the pod, its container's state, and the event that says why (H12, X10).

use std::fmt;

use jiff::Timestamp;
use pilothouse_domain::log_text::safe_message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::container::{Container, ContainerRole};
use crate::logs::LogTail;
use crate::object::ObjectRef;

/// Why a rollout failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureReason {
    /// The image cannot be pulled: `ImagePullBackOff` and its like.
    ImagePull,
    /// The image's name cannot be understood: `InvalidImageName`.
    InvalidImage,
    /// A container ends again and again: `CrashLoopBackOff`.
    CrashLoop,
    /// A container is killed for its memory again and again: `OOMKilled`.
    OutOfMemory,
    /// A ConfigMap, Secret or key that a container needs is missing: `CreateContainerConfigError`.
    ContainerConfig,
    /// A container cannot be started: `RunContainerError`, `StartError` and their like.
    RunContainer,
    /// No node takes the pod, for longer than the grace time.
    Unschedulable,
    /// A volume cannot be attached or mounted, for longer than the grace time: `FailedMount`, `FailedAttachVolume`.
    VolumeMount,
    /// The node cannot give the pod its network, for longer than the grace time: `FailedCreatePodSandBox`.
    PodSandbox,
    /// Nodes evict pods of the new version again and again: they use more than the nodes give.
    Evicted,
    /// A quota does not admit more pods.
    QuotaExceeded,
    /// An admission policy does not admit the pods.
    AdmissionDenied,
    /// The controller that makes the pods may not: its permissions are missing.
    Forbidden,
    /// Pods cannot be created for another reason.
    PodCreation,
    /// The Deployment's own `progressDeadlineSeconds` has passed.
    ProgressDeadlineExceeded,
    /// A Job ended in failure.
    JobFailed,
    /// The workload does not exist.
    Missing,
}

/// What proves a failure. Fields are empty where the cluster says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The workload that failed.
    pub workload: ObjectRef,
    /// Name of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Name of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Name of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What that container is for.
    #[serde(default, skip_serializing_if = "ContainerRole::is_main")]
    pub role: ContainerRole,
    /// Its image, as the pod names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The state's reason, as Kubernetes names it: `CrashLoopBackOff`.
    pub reason: String,
    /// The state's message; for a container that ended, its own last words if it left any.
    pub message: String,
    /// Exit code of the container's last end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// How often the container was started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<i64>,
    /// The event that tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<PodEvent>,
    /// What the container wrote last, unless the environment keeps no logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogTail>,
}

/// An event, as H12 lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodEvent {
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
    pub first: Option<Timestamp>,
    /// Most recent occurrence.
    pub last: Option<Timestamp>,
    /// How often it occurred.
    pub count: i64,
}

impl Evidence {
    pub(crate) fn of_workload(workload: &ObjectRef, reason: &str, message: &str) -> Self {
        Self {
            workload: workload.clone(),
            pod: None,
            node: None,
            container: None,
            image: None,
            reason: reason.to_owned(),
            message: message.to_owned(),
            exit_code: None,
            restarts: None,
            event: None,
            role: ContainerRole::Main,
            log: None,
        }
    }

    pub(crate) fn of_pod(workload: &ObjectRef, pod: &Value, reason: &str, message: &str) -> Self {
        Self {
            pod: text(&pod["metadata"]["name"]),
            node: text(&pod["spec"]["nodeName"]),
            ..Self::of_workload(workload, reason, &safe_message(message))
        }
    }

    /// The same, of one of the pod's containers.
    pub(crate) fn of_container(mut self, container: &Container<'_>) -> Self {
        let Container { role, spec, status } = container;
        self.container = text(&status["name"]);
        self.role = *role;
        self.image = text(&spec["image"]).or_else(|| text(&status["image"]));
        self.restarts = status["restartCount"].as_i64();
        self.exit_code = container.ended()["exitCode"].as_i64();
        self
    }
}

impl fmt::Display for Evidence {
    /// `Deployment dev/web: pod web-1, container web (shop/web:1.1.0): CrashLoopBackOff, exit code 1, 2 restarts: no database`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.workload)?;
        if let Some(pod) = &self.pod {
            write!(f, "pod {pod}")?;
            if let Some(container) = &self.container {
                write!(f, ", {} {container}", self.role.name())?;
            }
            if let Some(image) = &self.image {
                write!(f, " ({image})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)?;
        if let Some(code) = self.exit_code {
            write!(f, ", exit code {code}")?;
        }
        if let Some(restarts) = self.restarts.filter(|restarts| *restarts > 0) {
            write!(f, ", {restarts} restart{}", if restarts == 1 { "" } else { "s" })?;
        }
        let event = self.event.as_ref().map(|event| event.message.as_str());
        match Some(self.message.as_str()).filter(|m| !m.is_empty()).or(event) {
            Some(message) => write!(f, ": {}", message.trim_end()),
            None => Ok(()),
        }
    }
}

impl PodEvent {
    /// Reads an Event of the core API, whichever of its two generations of fields it uses.
    pub(crate) fn of(event: &Value) -> Self {
        let either = |a: &Value, b: &Value| text(a).or_else(|| text(b)).unwrap_or_default();
        let about = &event["involvedObject"];
        let once = time(&event["eventTime"]).or_else(|| time(&event["metadata"]["creationTimestamp"]));
        let first = time(&event["firstTimestamp"]).or(once);
        let last =
            time(&event["lastTimestamp"]).or_else(|| time(&event["series"]["lastObservedTime"])).or(first);
        Self {
            about: format!(
                "{} {}",
                either(&about["kind"], &Value::Null),
                either(&about["name"], &Value::Null)
            ),
            component: either(&event["source"]["component"], &event["reportingComponent"]),
            kind: either(&event["type"], &Value::Null),
            reason: either(&event["reason"], &Value::Null),
            // A probe's output is in it, which the pod's author wrote.
            message: safe_message(event["message"].as_str().unwrap_or_default()),
            first,
            last,
            count: event["count"].as_i64().or_else(|| event["series"]["count"].as_i64()).unwrap_or(1),
        }
    }
}

/// A text that is there and not empty.
pub(crate) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A timestamp that is there and can be read.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_generations_of_events_are_read() {
        let old = json!({
            "involvedObject": {"kind": "Pod", "name": "web-1"}, "type": "Warning", "reason": "BackOff",
            "message": "Back-off restarting failed container", "source": {"component": "kubelet"}, "count": 4,
            "firstTimestamp": "2026-11-21T10:00:00Z", "lastTimestamp": "2026-11-21T10:00:30Z", "eventTime": null
        });
        let event = PodEvent::of(&old);
        assert_eq!(
            (event.about.as_str(), event.component.as_str(), event.count),
            ("Pod web-1", "kubelet", 4)
        );
        assert_eq!(event.last.unwrap().to_string(), "2026-11-21T10:00:30Z");
        let new = json!({
            "involvedObject": {"kind": "Pod", "name": "web-1"}, "reportingComponent": "default-scheduler",
            "eventTime": "2026-11-21T10:00:00.123456Z", "series": {"count": 3, "lastObservedTime": "2026-11-21T10:01:00.000000Z"}
        });
        let event = PodEvent::of(&new);
        assert_eq!((event.component.as_str(), event.count), ("default-scheduler", 3));
        assert!(event.last > event.first);
    }

    #[test]
    fn evidence_reads_as_one_line() {
        let workload = ObjectRef::namespaced("apps/v1", "Deployment", "dev", "web");
        let pod = json!({"metadata": {"name": "web-1"}, "spec": {"nodeName": "node-a"}});
        let mut evidence = Evidence::of_pod(&workload, &pod, "CrashLoopBackOff", "no database\n");
        evidence.container = Some("web".into());
        evidence.image = Some("shop/web:1.1.0".into());
        evidence.exit_code = Some(1);
        evidence.restarts = Some(2);
        assert_eq!(
            evidence.to_string(),
            "Deployment dev/web: pod web-1, container web (shop/web:1.1.0): CrashLoopBackOff, exit code 1, 2 restarts: no database"
        );
    }
}
