//! Frees a StatefulSet from the broken pods of a version that was taken back.
//!
//! A StatefulSet replaces its pods one by one and waits for each to be ready; so a pod that never becomes ready holds up
//! even the return to the version before (kubernetes/kubernetes#67250). The documented remedy is to delete that pod.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::changes::{self, Change, Source};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::selector;
use crate::transport::Call;

/// How long the controller may take to see the restored specification. Until then it would make the same pod again.
const OBSERVED_WITHIN: Duration = Duration::from_secs(5);

impl Cluster {
    /// Deletes those pods of a restored StatefulSet (`after`, as the restore left it) that are not ready and not of the
    /// revision it now wants. Does nothing when there are none, or when its controller does not see the change in time.
    pub(crate) async fn unblock(
        &self,
        operation: &str,
        set: &ObjectRef,
        after: &Value,
    ) -> Result<(), ClusterError> {
        if after["spec"]["updateStrategy"]["type"] == "OnDelete" {
            return Ok(());
        }
        let Some(selector) = selector::of(after) else { return Ok(()) };
        let namespace = set.namespace.as_deref();
        let served = self.served_kind(operation, "v1", "Pod").await?;
        let pods =
            self.list(operation, &served.collection(namespace), &[("labelSelector", selector)]).await?;
        if !pods.iter().any(|pod| is_broken(pod, object::uid(after))) {
            return Ok(());
        }
        let Some(revision) = self.observed_revision(operation, set, after).await? else { return Ok(()) };
        for pod in pods.iter().filter(|pod| is_broken(pod, object::uid(after)) && !is_of(pod, &revision)) {
            let address =
                ObjectRef::namespaced("v1", "Pod", namespace.unwrap_or_default(), object::name(pod));
            let body = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": object::uid(pod)}
            });
            tracing::info!(pod = %address, "deletes a broken pod that holds up the return to the version before");
            self.transport.call_opt(operation, &Call::delete(served.path(&address), body)).await?;
        }
        Ok(())
    }

    /// The revision that the controller wants once it has seen the restored specification.
    async fn observed_revision(
        &self,
        operation: &str,
        set: &ObjectRef,
        after: &Value,
    ) -> Result<Option<String>, ClusterError> {
        let wanted = after["metadata"]["generation"].as_i64().unwrap_or(0);
        let source = Source {
            operation: operation.to_owned(),
            path: self.served(operation, set).await?.collection(set.namespace.as_deref()),
            query: vec![("fieldSelector", format!("metadata.name={}", set.name))],
        };
        let observed = |live: &Value| {
            let seen = live["status"]["observedGeneration"].as_i64().unwrap_or(0) >= wanted;
            live["status"]["updateRevision"].as_str().filter(|_| seen).map(str::to_owned)
        };
        let found = changes::changes(self.transport.clone(), source).filter_map(|change| {
            std::future::ready(match change {
                Change::All(items) => items.first().and_then(observed),
                Change::Set(live) => observed(&live),
                Change::Gone(_) | Change::Trouble(_) => None,
            })
        });
        let mut found = std::pin::pin!(found);
        Ok(tokio::time::timeout(OBSERVED_WITHIN, found.next()).await.ok().flatten())
    }
}

fn is_broken(pod: &Value, set: &str) -> bool {
    let ready = object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
    object::is_owned_by(pod, set) && pod["metadata"]["deletionTimestamp"].is_null() && !ready
}

fn is_of(pod: &Value, revision: &str) -> bool {
    pod["metadata"]["labels"]["controller-revision-hash"].as_str() == Some(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_broken_pods_of_the_set_are_in_the_way() {
        let pod = |ready: &str| json!({"metadata": {"ownerReferences": [{"uid": "s"}]}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        assert!(is_broken(&pod("False"), "s"));
        assert!(!is_broken(&pod("True"), "s"));
        assert!(!is_broken(&pod("False"), "other"));
    }
}
