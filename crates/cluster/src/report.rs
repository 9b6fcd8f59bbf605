//! What runs for a workload, read on demand: the workload, its pods and the events about them (H9-H12).
//!
//! At most four requests for the workload and its pods, and one for the events of each object that is asked about:
//! everything by a selector, nothing by listing a namespace.

use futures::StreamExt;
use pilothouse_domain::evidence::{Instance, KeyEvent, Replicas, WorkloadReport};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::evidence::{PodEvent, time};
use crate::instances::instance;
use crate::object::{self, ObjectRef};
use crate::observe::{Members, Watched, is_workload, progress_of, revisions};
use crate::selector;

/// How much of a workload is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOptions {
    /// The most pods.
    pub instances: usize,
    /// The most pods whose events are asked for, those that are not ready first.
    pub asked: usize,
    /// The most events of one object.
    pub events: usize,
}

impl Default for ReportOptions {
    /// 100 pods, the events of 8 of them, 50 of each.
    fn default() -> Self {
        Self { instances: 100, asked: 8, events: 50 }
    }
}

/// How many objects' events are read at once.
const AT_ONCE: usize = 4;
/// The most revisions that are read: the newest is among them, since Kubernetes keeps few.
const REVISIONS: usize = 100;

impl Cluster {
    /// The workload as it is now; `None` when it does not exist.
    ///
    /// # Errors
    /// [`ClusterError`]. Events that may not be read are left out, and the report says so.
    pub async fn report(
        &self,
        workload: &ObjectRef,
        options: &ReportOptions,
    ) -> Result<Option<WorkloadReport>, ClusterError> {
        let operation = format!("read {workload} and its pods");
        let Some(live) = self.get(workload).await? else { return Ok(None) };
        let mut left_out = Vec::new();
        let members = self.members(&operation, workload, &live, options, &mut left_out).await?;
        let newest: Vec<&str> = members.newest(&live).into_iter().map(object::uid).collect();
        let mut pods: Vec<(&Value, Instance)> =
            members.owned(&live).into_iter().map(|pod| (pod, shown(pod, &newest))).collect();
        pods.sort_by(|(_, a), (_, b)| b.newest.cmp(&a.newest).then_with(|| a.name.cmp(&b.name)));

        let mut asked: Vec<&(&Value, Instance)> = pods.iter().collect();
        asked.sort_by_key(|(_, i)| (i.ready, i.newest != Some(true), std::cmp::Reverse(i.created)));
        let revision = members.newest_revision(&live);
        let about: Vec<String> = std::iter::once(&live)
            .chain(revision)
            .chain(asked.iter().take(options.asked).map(|(pod, _)| *pod))
            .map(|object| object::uid(object).to_owned())
            .collect();
        if pods.len() > options.asked {
            left_out.push(format!("the events of {} more pods", pods.len() - options.asked));
        }
        let events = match self.events_of(workload, about, options.events).await {
            Ok(events) => events,
            Err(error @ ClusterError::Denied { .. }) => {
                left_out.push(format!("events: {error}"));
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        Ok(Some(WorkloadReport {
            kind: workload.kind.clone(),
            namespace: workload.namespace.clone().unwrap_or_default(),
            name: workload.name.clone(),
            created: time(&live["metadata"]["creationTimestamp"]),
            replicas: replicas(&workload.kind, &live),
            images: images(&live),
            progress: progress_of(workload, &live),
            instances: pods.into_iter().map(|(_, instance)| instance).collect(),
            events,
            left_out,
        }))
    }

    /// The pods of a workload, of all its versions, by name.
    ///
    /// # Errors
    /// [`ClusterError`]; `NotFound` when the workload does not exist.
    pub async fn instances(&self, workload: &ObjectRef) -> Result<Vec<Instance>, ClusterError> {
        let operation = format!("list the pods of {workload}");
        let live = self.get(workload).await?.ok_or_else(|| ClusterError::NotFound {
            operation: operation.clone(),
            message: format!("{workload} does not exist"),
        })?;
        let members =
            self.members(&operation, workload, &live, &ReportOptions::default(), &mut Vec::new()).await?;
        let newest: Vec<&str> = members.newest(&live).into_iter().map(object::uid).collect();
        let mut instances: Vec<Instance> =
            members.owned(&live).into_iter().map(|pod| shown(pod, &newest)).collect();
        instances.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(instances)
    }

    /// The revisions and the pods of a workload, each by one page of its selector.
    async fn members(
        &self,
        operation: &str,
        workload: &ObjectRef,
        live: &Value,
        options: &ReportOptions,
        left_out: &mut Vec<String>,
    ) -> Result<Members, ClusterError> {
        let watched = Watched { object: workload.clone(), generation: 0 };
        let Some(selector) = selector::of(live).filter(|_| is_workload(workload)) else {
            let itself = (workload.kind == "Pod").then(|| live.clone());
            return Ok(Members::new(watched, Vec::new(), itself.into_iter().collect()));
        };
        let namespace = workload.namespace.as_deref();
        let query = [("labelSelector", selector)];
        let mut sets = Vec::new();
        if let Some((api_version, kind)) = revisions(&workload.kind) {
            let path = self.served_kind(operation, api_version, kind).await?.collection(namespace);
            sets = self.page(operation, &path, &query, REVISIONS).await?.0;
        }
        let path = self.served_kind(operation, "v1", "Pod").await?.collection(namespace);
        let (pods, more) = self.page(operation, &path, &query, options.instances).await?;
        if more {
            left_out.push(format!("pods beyond the first {}", options.instances));
        }
        Ok(Members::new(watched, sets, pods))
    }

    /// The events about these objects, the most recent first.
    async fn events_of(
        &self,
        workload: &ObjectRef,
        about: Vec<String>,
        most: usize,
    ) -> Result<Vec<KeyEvent>, ClusterError> {
        let operation = format!("list the events of {workload}");
        let path =
            self.served_kind(&operation, "v1", "Event").await?.collection(workload.namespace.as_deref());
        let read = |uid: String| {
            let (operation, path) = (&operation, &path);
            async move {
                let query = [("fieldSelector", format!("involvedObject.uid={uid}"))];
                self.page(operation, path, &query, most).await
            }
        };
        let pages: Vec<_> = futures::stream::iter(about).map(read).buffered(AT_ONCE).collect().await;
        let mut events = Vec::new();
        for page in pages {
            events.extend(page?.0.iter().map(|event| KeyEvent::from(PodEvent::of(event))));
        }
        events.sort_by_key(|event| std::cmp::Reverse(event.last));
        Ok(events)
    }
}

fn shown(pod: &Value, newest: &[&str]) -> Instance {
    Instance { newest: Some(newest.contains(&object::uid(pod))), ..instance(pod) }
}

pub(crate) fn replicas(kind: &str, live: &Value) -> Replicas {
    let status = |key: &str| live["status"][key].as_i64().unwrap_or(0);
    let spec = |key: &str| live["spec"][key].as_i64();
    match kind {
        "DaemonSet" => Replicas {
            wanted: status("desiredNumberScheduled"),
            updated: status("updatedNumberScheduled"),
            ready: status("numberReady"),
            available: status("numberAvailable"),
        },
        "Job" => {
            let done = status("succeeded");
            let wanted = spec("completions").or_else(|| spec("parallelism")).unwrap_or(1);
            Replicas { wanted, updated: wanted, ready: done, available: done }
        }
        "Pod" => {
            let ready = i64::from(object::condition(live, "Ready").is_some_and(|c| c["status"] == "True"));
            Replicas { wanted: 1, updated: 1, ready, available: ready }
        }
        _ => Replicas {
            wanted: spec("replicas").unwrap_or(1),
            // A ReplicaSet has one version only.
            updated: if kind == "ReplicaSet" { status("replicas") } else { status("updatedReplicas") },
            ready: status("readyReplicas"),
            available: status("availableReplicas"),
        },
    }
}

/// The images that a workload's specification names, each once.
pub(crate) fn images(live: &Value) -> Vec<String> {
    let template = &live["spec"]["template"]["spec"];
    let pod = if template.is_object() { template } else { &live["spec"] };
    let lists = [&pod["initContainers"], &pod["containers"]];
    let all = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
    let mut images: Vec<String> = Vec::new();
    for image in all.filter_map(|container| container["image"].as_str()) {
        if !images.iter().any(|known| known == image) {
            images.push(image.to_owned());
        }
    }
    images
}

impl From<PodEvent> for KeyEvent {
    fn from(event: PodEvent) -> Self {
        let PodEvent { about, component, kind, reason, message, first, last, count } = event;
        Self { about, component, kind, reason, message, first, last, count }
    }
}
