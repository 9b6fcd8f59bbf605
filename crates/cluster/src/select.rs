//! Finds the objects of one kind in a namespace, by their labels or all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use crate::behind;
use crate::changes::{self, Change, Source};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::selector;

impl Cluster {
    /// The objects of a kind whose labels match `labels` (`app=web,tier in (a,b)`), in one namespace, or in none for kinds that
    /// live in none; without labels all of them. A kind that the cluster does not serve has no objects.
    ///
    /// # Errors
    /// [`ClusterError`]; `Invalid` for a selector that the server cannot read.
    pub async fn select(
        &self,
        (api_version, kind): (&str, &str),
        namespace: &str,
        labels: Option<&str>,
    ) -> Result<Vec<Value>, ClusterError> {
        let operation = format!("list the objects of kind {kind} in {namespace}");
        let served = match self.served_kind(&operation, api_version, kind).await {
            Ok(served) => served,
            Err(ClusterError::UnknownKind { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let query: Vec<_> = labels.map(|labels| ("labelSelector", labels.to_owned())).into_iter().collect();
        let scope = served.namespaced.then_some(namespace);
        let mut items = self.list(&operation, &served.collection(scope), &query).await?;
        for item in &mut items {
            // Lists leave out what is the same for each.
            item["apiVersion"] = Value::from(api_version);
            item["kind"] = Value::from(kind);
        }
        Ok(items)
    }

    /// Waits until none of the workload's pods runs, those on their way out included, at most for `within`; gives how many still do.
    /// Pods that have ended for good do not count, nor do those of others that carry the same labels. A workload that does not
    /// exist has no pods.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster denies reading.
    pub async fn running_pods(&self, workload: &ObjectRef, within: Duration) -> Result<usize, ClusterError> {
        let Some(live) = self.get(workload).await? else { return Ok(0) };
        let Some(selector) = selector::of(&live) else { return Ok(0) };
        let owners = self.pod_owners(workload, &live, &selector).await?;
        let runs = |pod: &Value| behind::is_owned_by_any(pod, &owners) && runs(pod);
        let operation = format!("watch the pods of {workload}");
        let path = self.served_kind(&operation, "v1", "Pod").await?.collection(workload.namespace.as_deref());
        let source = Source { operation, path, query: vec![("labelSelector", selector)] };
        let mut changes = changes::changes(self.transport.clone(), source);
        let mut running: Option<BTreeSet<String>> = None;
        let watch = async {
            while let Some(change) = changes.next().await {
                let mut names = running.clone().unwrap_or_default();
                match change {
                    Change::All(items) => {
                        names =
                            items.iter().filter(|p| runs(p)).map(|p| object::name(p).to_owned()).collect();
                    }
                    Change::Set(pod) if runs(&pod) => drop(names.insert(object::name(&pod).to_owned())),
                    Change::Set(pod) | Change::Gone(pod) => drop(names.remove(object::name(&pod))),
                    Change::Trouble(error) if !error.is_retryable() => return Err(error),
                    Change::Trouble(_) => continue,
                }
                let none = names.is_empty();
                running = Some(names);
                if none {
                    break;
                }
            }
            Ok(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(within, watch).await {
            return Err(error);
        }
        // What could not be read at all may run.
        Ok(running.map_or(1, |names| names.len()))
    }
}

/// Whether a pod has containers that run or may still.
fn runs(pod: &Value) -> bool {
    !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
