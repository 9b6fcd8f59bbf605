//! Watches a rollout until it is decided (X10).

mod containers;
mod judge;
mod pods;
mod progress;
mod pull;
mod refused;
mod seen;
mod start;
mod waiting;

use std::time::Duration;

use futures::StreamExt;
use futures::stream::SelectAll;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::changes::{self, Source};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::evidence::{Evidence, FailureReason};
use crate::logs;
use crate::object::{self, ObjectRef};
use crate::selector;
use judge::Judged;
use progress::Progress;
pub(crate) use progress::{is_workload, revisions};
use seen::{Part, Seen, Tagged, Workload};

/// A workload to watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// A Deployment, StatefulSet, DaemonSet, Job, ReplicaSet or Pod. Other kinds count as ready at once.
    pub object: ObjectRef,
    /// The `generation` that apply or restore answered: an earlier state decides nothing.
    pub generation: i64,
}

/// How long to watch, and what to bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObserveOptions {
    /// Longest time to watch; then the answer is [`Rollout::Progressing`].
    pub within: Duration,
    /// The time now: only how long a pod has been unschedulable, or short of quota, is measured by it.
    pub now: Timestamp,
    /// How long a pod may find no node.
    pub unschedulable_grace: Duration,
    /// How long a quota may refuse pods: a rolling update may free what it needs itself.
    pub quota_grace: Duration,
    /// How long a container may lack its ConfigMap, its Secret or a volume that is to be found: others may make it a little later.
    pub config_grace: Duration,
    /// How long a pull may fail for a reason that may pass, if the second try does not decide earlier.
    pub pull_grace: Duration,
    /// How long a volume may take to be attached and mounted once that has failed: it may have to leave another node.
    pub volume_grace: Duration,
    /// How often a container may end before that is a failure; at least 1.
    pub crashes: i64,
    /// Whether the last lines of a container's log are read when it fails. They may hold what no record should.
    pub logs: bool,
}

impl ObserveOptions {
    /// Watches for `within`; bears 60 s without a node or network, 10 s without quota or configuration, 30 s of a pull that may
    /// pass, 2 min without a volume, and one crash; reads logs.
    #[must_use]
    pub fn new(within: Duration, now: Timestamp) -> Self {
        Self {
            within,
            now,
            unschedulable_grace: Duration::from_secs(60),
            quota_grace: Duration::from_secs(10),
            config_grace: Duration::from_secs(10),
            pull_grace: Duration::from_secs(30),
            volume_grace: Duration::from_secs(120),
            crashes: 2,
            logs: true,
        }
    }
}

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rollout", rename_all = "camelCase")]
pub enum Rollout {
    /// Every workload runs its new version, and nothing else.
    Ready {
        /// `Deployment dev/web: 3 pods ready`
        summary: String,
    },
    /// Not decided within the time.
    Progressing {
        /// `Deployment dev/web: 2 of 3 pods updated, waiting for web-abc: ContainerCreating`
        summary: String,
        /// The pod that is waited for, with what is known of it.
        waiting: Option<Box<Evidence>>,
    },
    /// It will not become ready by itself.
    Failed {
        /// Why.
        reason: FailureReason,
        /// What proves it.
        evidence: Box<Evidence>,
    },
}

impl Rollout {
    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Ready { summary } | Self::Progressing { summary, .. } => summary.clone(),
            Self::Failed { evidence, .. } => evidence.to_string(),
        }
    }
}

/// How long a failure waits for the event that proves it; status and event reach the API server separately.
const EVENT_GRACE: Duration = Duration::from_secs(2);

impl Cluster {
    /// Watches workloads until all are ready, one has failed, or `within` has passed.
    ///
    /// Everything is watched, nothing is polled: the verdict comes as soon as the cluster knows. Only pods of the new version
    /// count, and what happened to them since our last apply; broken pods of earlier versions fail nothing.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster denies reading, or could not be read up to the end of the time.
    pub async fn observe(
        &self,
        workloads: &[Watched],
        options: &ObserveOptions,
    ) -> Result<Rollout, ClusterError> {
        let start = Instant::now();
        let end = start + options.within;
        let (mut seen, mut stream) = match self.open_by(end, workloads).await {
            Ok(opened) => opened,
            Err(Opening::Missing(object)) => return Ok(missing(&object)),
            Err(Opening::Failed(error)) => return Err(error),
        };
        let mut event_wait: Option<Instant> = None;
        loop {
            let elapsed = SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX);
            let now = options.now.saturating_add(elapsed).unwrap_or(options.now);
            let judged = seen.is_loaded().then(|| judge::judge(&seen, options, now));
            let over = Instant::now() >= end;
            let mut wake = end;
            match judged {
                Some(Judged::Ready { summary }) => return Ok(Rollout::Ready { summary }),
                Some(Judged::Failed { reason, evidence }) => {
                    let until = *event_wait.get_or_insert_with(|| Instant::now() + EVENT_GRACE);
                    if evidence.event.is_some() || over || Instant::now() >= until {
                        let evidence = self.with_log(&seen, reason, evidence, options).await;
                        return Ok(Rollout::Failed { reason, evidence });
                    }
                    wake = wake.min(until);
                }
                Some(Judged::Progressing { summary, waiting, again }) => {
                    event_wait = None;
                    if over {
                        return seen.trouble().map_or(Ok(Rollout::Progressing { summary, waiting }), Err);
                    }
                    if let Some(after) = again {
                        wake = wake.min(Instant::now() + after);
                    }
                }
                None if over => return Err(seen.trouble().unwrap_or_else(|| still_reading(options.within))),
                None => {}
            }
            tokio::select! {
                change = stream.next() => match change {
                    Some((at, change)) => seen.take(at, change)?,
                    None => tokio::time::sleep_until(wake).await,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// The evidence with the last lines of the container that failed, where a log can tell why.
    async fn with_log(
        &self,
        seen: &Seen,
        reason: FailureReason,
        mut evidence: Box<Evidence>,
        options: &ObserveOptions,
    ) -> Box<Evidence> {
        if !options.logs || !tells_by_log(reason) {
            return evidence;
        }
        let namespace = evidence.workload.namespace.clone().unwrap_or_default();
        let pod = evidence.pod.as_deref().and_then(|name| seen.pod(&evidence.workload, name));
        let source = pod.and_then(|pod| logs::source(pod, evidence.container.as_deref()));
        if let (Some(pod), Some((container, previous))) = (evidence.pod.clone(), source) {
            evidence.log = Some(self.log_tail(&namespace, &pod, &container, previous).await);
        }
        evidence
    }

    /// Opens the watches, as often as it takes until the end of the time.
    async fn open_by(
        &self,
        end: Instant,
        workloads: &[Watched],
    ) -> Result<(Seen, SelectAll<Tagged>), Opening> {
        let start = Instant::now();
        let mut last: Option<ClusterError> = None;
        for attempt in 1.. {
            match tokio::time::timeout_at(end, self.open(workloads)).await {
                Ok(Err(Opening::Failed(error))) if error.is_retryable() => last = Some(error),
                Ok(decided) => return decided,
                Err(_) => break,
            }
            let asked = last.as_ref().and_then(ClusterError::retry_after);
            let wait = self.transport.retry.wait("observe", attempt, asked);
            tokio::time::sleep_until(end.min(Instant::now() + wait)).await;
            if Instant::now() >= end {
                break;
            }
        }
        Err(Opening::Failed(last.unwrap_or_else(|| still_reading(end - start))))
    }

    /// Reads each workload once, for its selector, and opens the watches.
    async fn open(&self, workloads: &[Watched]) -> Result<(Seen, SelectAll<Tagged>), Opening> {
        let mut seen = Seen::default();
        let mut sources: Vec<(Part, Source)> = Vec::new();
        for watched in workloads.iter().filter(|w| progress::is_workload(&w.object)) {
            let live = self.get(&watched.object).await?;
            let live = live.ok_or_else(|| Opening::Missing(watched.object.clone()))?;
            let index = seen.add(watched.clone());
            sources.extend(self.sources(index, &watched.object, &live).await?);
            let namespace = watched.object.namespace.clone().unwrap_or_default();
            let events = Part::Events { namespace: namespace.clone() };
            if !sources.iter().any(|(part, _)| *part == events) {
                let served = self.served_kind("observe events", "v1", "Event").await?;
                let query = vec![("fieldSelector", "type=Warning".to_owned())];
                let path = served.collection(Some(&namespace));
                sources.push((
                    events,
                    Source { operation: format!("watch events in {namespace}"), path, query },
                ));
            }
        }
        let mut stream = SelectAll::new();
        for (part, source) in sources {
            seen.expect(&part);
            let changes = changes::changes(self.transport.clone(), source);
            stream.push(Box::pin(changes.map(move |change| (part.clone(), change))) as Tagged);
        }
        Ok((seen, stream))
    }

    /// What has to be watched of one workload: itself, its revisions where it has some, and its pods.
    async fn sources(
        &self,
        index: usize,
        object: &ObjectRef,
        live: &Value,
    ) -> Result<Vec<(Part, Source)>, ClusterError> {
        let namespace = object.namespace.as_deref();
        let operation = format!("observe {object}");
        let served = self.served(&operation, object).await?;
        let by_name = vec![("fieldSelector", format!("metadata.name={}", object.name))];
        let source = |path: String, query: Vec<(&'static str, String)>| Source {
            operation: operation.clone(),
            path,
            query,
        };
        let mut sources = vec![(Part::Workload(index), source(served.collection(namespace), by_name))];
        let Some(selector) = selector::of(live) else { return Ok(sources) };
        let by_label = vec![("labelSelector", selector)];
        if let Some((api_version, kind)) = progress::revisions(&object.kind) {
            let path = self.served_kind(&operation, api_version, kind).await?.collection(namespace);
            sources.push((Part::Revisions(index), source(path, by_label.clone())));
        }
        let path = self.served_kind(&operation, "v1", "Pod").await?.collection(namespace);
        sources.push((Part::Pods(index), source(path, by_label)));
        Ok(sources)
    }
}

/// How a workload stands by its own status, in few words.
pub(crate) fn progress_of(object: &ObjectRef, live: &Value) -> String {
    match progress::of(&object.kind, live, 0, None) {
        Progress::Unobserved => "waiting for its controller to see the change".to_owned(),
        Progress::Waiting(summary) | Progress::Ready(summary) => summary,
        Progress::Failed { reason, message } if message.is_empty() => reason,
        Progress::Failed { reason, message } => format!("{reason}: {message}"),
    }
}

/// What belongs to a workload, read once.
pub(crate) struct Members(Workload);

impl Members {
    /// The revisions and pods that the workload's selector selects.
    pub(crate) fn new(watched: Watched, revisions: Vec<Value>, pods: Vec<Value>) -> Self {
        let by_uid = |all: Vec<Value>| all.into_iter().map(|o| (object::uid(&o).to_owned(), o)).collect();
        Self(Workload { watched, live: None, revisions: by_uid(revisions), pods: by_uid(pods) })
    }

    /// The pods that are the workload's own; another may have the same labels.
    pub(crate) fn owned(&self, live: &Value) -> Vec<&Value> {
        pods::owned(&self.0, live)
    }

    /// The pods of its newest version, those on their way out left aside.
    pub(crate) fn newest(&self, live: &Value) -> Vec<&Value> {
        match self.0.watched.object.kind.as_str() {
            "Pod" => self.0.pods.values().collect(),
            _ => pods::of_new_version(&self.0, live),
        }
    }

    /// The ReplicaSet of a Deployment's newest version, which makes its pods.
    pub(crate) fn newest_revision(&self, live: &Value) -> Option<&Value> {
        pods::newest_replica_set(&self.0, live).filter(|_| self.0.watched.object.kind == "Deployment")
    }
}

/// Whether a container may have said itself why that happened.
fn tells_by_log(reason: FailureReason) -> bool {
    matches!(
        reason,
        FailureReason::CrashLoop
            | FailureReason::OutOfMemory
            | FailureReason::RunContainer
            | FailureReason::ProgressDeadlineExceeded
            | FailureReason::JobFailed
            | FailureReason::PodCreation
    )
}

/// Why watching could not begin.
enum Opening {
    Missing(ObjectRef),
    Failed(ClusterError),
}

impl From<ClusterError> for Opening {
    fn from(error: ClusterError) -> Self {
        Self::Failed(error)
    }
}

fn missing(object: &ObjectRef) -> Rollout {
    let evidence = Evidence::of_workload(
        object,
        "NotFound",
        "it does not exist; somebody deleted it after it was applied",
    );
    Rollout::Failed { reason: FailureReason::Missing, evidence: Box::new(evidence) }
}

fn still_reading(within: Duration) -> ClusterError {
    ClusterError::Timeout { operation: "observe".into(), after: within }
}
