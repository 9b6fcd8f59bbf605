//! What has been seen of the workloads so far.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::Pin;

use futures::Stream;
use serde_json::Value;

use super::Watched;
use crate::changes::Change;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};

/// A change, with what it is a change of.
pub(super) type Tagged = Pin<Box<dyn Stream<Item = (Part, Change)> + Send>>;

/// One watched collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Workload(usize),
    Revisions(usize),
    Pods(usize),
    Events { namespace: String },
}

/// Objects by uid, in a steady order.
pub(super) type Objects = BTreeMap<String, Value>;

/// One workload and what belongs to it.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) watched: Watched,
    pub(super) live: Option<Value>,
    /// ReplicaSets of a Deployment, ControllerRevisions of a DaemonSet.
    pub(super) revisions: Objects,
    pub(super) pods: Objects,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) workloads: Vec<Workload>,
    events: HashMap<String, Objects>,
    awaited: HashSet<Part>,
    troubles: HashMap<Part, ClusterError>,
}

impl Seen {
    pub(super) fn add(&mut self, watched: Watched) -> usize {
        let empty = Workload { watched, live: None, revisions: Objects::new(), pods: Objects::new() };
        self.workloads.push(empty);
        self.workloads.len() - 1
    }

    pub(super) fn expect(&mut self, part: &Part) {
        self.awaited.insert(part.clone());
    }

    /// Whether everything has been read once.
    pub(super) fn is_loaded(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The error that stands in the way of reading right now, if any.
    pub(super) fn trouble(&mut self) -> Option<ClusterError> {
        let part = self.troubles.keys().next()?.clone();
        self.troubles.remove(&part)
    }

    /// A pod of a watched workload, or one that is watched itself.
    pub(super) fn pod(&self, workload: &ObjectRef, name: &str) -> Option<&Value> {
        let workload = self.workloads.iter().find(|w| w.watched.object == *workload)?;
        let itself = workload.live.as_ref().filter(|_| workload.watched.object.kind == "Pod");
        workload.pods.values().chain(itself).find(|pod| object::name(pod) == name)
    }

    /// Warnings about the object with that uid, those of the most recent occurrence last.
    pub(super) fn events(&self, namespace: Option<&str>, uid: &str) -> Vec<&Value> {
        let mut found: Vec<&Value> = self
            .events
            .get(namespace.unwrap_or_default())
            .into_iter()
            .flat_map(Objects::values)
            .filter(|event| event["involvedObject"]["uid"].as_str() == Some(uid))
            .collect();
        found.sort_by_key(|event| crate::evidence::PodEvent::of(event).last);
        found
    }

    /// Takes in a change. An error that lasts is returned, but events may be missing: they prove, they do not decide.
    pub(super) fn take(&mut self, part: Part, change: Change) -> Result<(), ClusterError> {
        if let Change::Trouble(error) = change {
            if !error.is_retryable() {
                if !matches!(part, Part::Events { .. }) {
                    return Err(error);
                }
                tracing::warn!(error = %error, "events cannot be read; failures will be told without them");
                self.awaited.remove(&part);
                return Ok(());
            }
            self.troubles.insert(part, error);
            return Ok(());
        }
        self.troubles.remove(&part);
        match &part {
            Part::Workload(index) => {
                let live = &mut self.workloads[*index].live;
                match change {
                    Change::All(items) => *live = items.into_iter().next(),
                    Change::Set(object) => *live = Some(object),
                    Change::Gone(_) => *live = None,
                    Change::Trouble(_) => {}
                }
            }
            Part::Revisions(index) => update(&mut self.workloads[*index].revisions, change),
            Part::Pods(index) => update(&mut self.workloads[*index].pods, change),
            Part::Events { namespace } => update(self.events.entry(namespace.clone()).or_default(), change),
        }
        self.awaited.remove(&part);
        Ok(())
    }
}

fn update(objects: &mut Objects, change: Change) {
    match change {
        Change::All(items) => {
            *objects = items.into_iter().map(|item| (object::uid(&item).to_owned(), item)).collect();
        }
        Change::Set(item) => {
            objects.insert(object::uid(&item).to_owned(), item);
        }
        Change::Gone(item) => {
            objects.remove(object::uid(&item));
        }
        Change::Trouble(_) => {}
    }
}
