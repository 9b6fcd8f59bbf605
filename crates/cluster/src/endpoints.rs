//! Who gets a Service's traffic: its endpoints, from EndpointSlices (T15, X8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::changes::{self, Change, Source};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};

/// The label that names an EndpointSlice's Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Pods by name: those of a Service, or of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// Those that are ready and not on their way out: a Service sends them traffic.
    pub ready: BTreeSet<String>,
    /// The others.
    pub not_ready: BTreeSet<String>,
}

impl Cluster {
    /// The endpoints of every Service in the namespace that has some, by the Service's name; of `service` alone if it is named,
    /// which then is always there.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn endpoints(
        &self,
        namespace: &str,
        service: Option<&str>,
    ) -> Result<BTreeMap<String, Endpoints>, ClusterError> {
        let operation = format!("count the endpoints in {namespace}");
        let served = self.served_kind(&operation, "discovery.k8s.io/v1", "EndpointSlice").await?;
        let path = served.collection(Some(namespace));
        let slices = self.list(&operation, &path, &[("labelSelector", of_service(service))]).await?;
        let mut found: BTreeMap<String, Endpoints> =
            service.map(|name| (name.to_owned(), Endpoints::default())).into_iter().collect();
        for slice in &slices {
            let Some(name) = slice["metadata"]["labels"][SERVICE_NAME].as_str() else { continue };
            add(found.entry(name.to_owned()).or_default(), slice);
        }
        Ok(found)
    }

    /// The pods that a workload controls, without those that are on their way out or have ended.
    ///
    /// # Errors
    /// [`ClusterError`]; a workload that does not exist has none.
    pub async fn workload_pods(&self, workload: &ObjectRef) -> Result<Endpoints, ClusterError> {
        let Some(live) = self.get(workload).await? else { return Ok(Endpoints::default()) };
        if workload.kind == "Pod" {
            return Ok(by_readiness([&live]));
        }
        self.own_pods(workload, &live).await
    }

    /// The pods that carry all of these labels, without those that are on their way out or have ended.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn labelled_pods(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Endpoints, ClusterError> {
        let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.selected_pods(namespace, &selector.join(",")).await
    }

    /// The pods that carry all of these labels, by their value of the label `by`; those without it are left out.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn labelled_pods_by(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        by: &str,
    ) -> Result<BTreeMap<String, Endpoints>, ClusterError> {
        let equal = labels.iter().map(|(key, value)| format!("{key}={value}"));
        let selector: Vec<String> = equal.chain([by.to_owned()]).collect();
        let pods = self.list_pods(namespace, &selector.join(",")).await?;
        let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for pod in &pods {
            if let Some(value) = pod["metadata"]["labels"][by].as_str() {
                groups.entry(value.to_owned()).or_default().push(pod);
            }
        }
        Ok(groups.into_iter().map(|(value, pods)| (value, by_readiness(pods))).collect())
    }

    async fn selected_pods(&self, namespace: &str, selector: &str) -> Result<Endpoints, ClusterError> {
        Ok(by_readiness(&self.list_pods(namespace, selector).await?))
    }

    pub(crate) async fn list_pods(
        &self,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let operation = format!("list the pods with {selector} in {namespace}");
        let path = self.served_kind(&operation, "v1", "Pod").await?.collection(Some(namespace));
        self.list(&operation, &path, &[("labelSelector", selector.to_owned())]).await
    }

    /// Waits until `enough` holds of the Service's endpoints, at most for `within`; gives them as they were seen last.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster denies reading.
    pub async fn endpoints_until(
        &self,
        namespace: &str,
        service: &str,
        within: Duration,
        enough: impl Fn(&Endpoints) -> bool,
    ) -> Result<Endpoints, ClusterError> {
        let operation = format!("watch the endpoints of Service {namespace}/{service}");
        let served = self.served_kind(&operation, "discovery.k8s.io/v1", "EndpointSlice").await?;
        let source = Source {
            operation,
            path: served.collection(Some(namespace)),
            query: vec![("labelSelector", of_service(Some(service)))],
        };
        let mut changes = changes::changes(self.transport.clone(), source);
        let mut slices: BTreeMap<String, Value> = BTreeMap::new();
        let mut last = Endpoints::default();
        let watch = async {
            while let Some(change) = changes.next().await {
                match change {
                    Change::All(items) => {
                        slices = items.into_iter().map(|i| (object::uid(&i).to_owned(), i)).collect();
                    }
                    Change::Set(slice) => drop(slices.insert(object::uid(&slice).to_owned(), slice)),
                    Change::Gone(slice) => drop(slices.remove(object::uid(&slice))),
                    Change::Trouble(error) if !error.is_retryable() => return Err(error),
                    Change::Trouble(_) => continue,
                }
                last = Endpoints::default();
                slices.values().for_each(|slice| add(&mut last, slice));
                if enough(&last) {
                    return Ok(());
                }
            }
            Ok(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(within, watch).await {
            return Err(error);
        }
        Ok(last)
    }
}

fn by_readiness<'a>(pods: impl IntoIterator<Item = &'a Value>) -> Endpoints {
    let mut found = Endpoints::default();
    for pod in pods {
        // Those on their way out, and those that have ended, are not counted by their controllers either.
        let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        if over || !pod["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let ready = object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
        let into = if ready { &mut found.ready } else { &mut found.not_ready };
        into.insert(object::name(pod).to_owned());
    }
    found
}

fn of_service(service: Option<&str>) -> String {
    service.map_or_else(|| SERVICE_NAME.to_owned(), |name| format!("{SERVICE_NAME}={name}"))
}

/// Adds the pods of one slice. A Service of two families has a slice of each, with the same pods.
fn add(endpoints: &mut Endpoints, slice: &Value) {
    for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
        if endpoint["targetRef"]["kind"] != "Pod" {
            continue;
        }
        let Some(pod) = endpoint["targetRef"]["name"].as_str() else { continue };
        let conditions = &endpoint["conditions"];
        // The API: an unknown `ready` is to be read as ready; `ready` is never true while terminating.
        let ready = conditions["ready"].as_bool().unwrap_or(true)
            && !conditions["terminating"].as_bool().unwrap_or(false);
        if ready {
            endpoints.not_ready.remove(pod);
            endpoints.ready.insert(pod.to_owned());
        } else if !endpoints.ready.contains(pod) {
            endpoints.not_ready.insert(pod.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ready_pods_that_stay_get_traffic() {
        let endpoint = |pod: &str, conditions: Value| json!({"conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}});
        let slice = json!({"endpoints": [
            endpoint("a", json!({"ready": true})), endpoint("b", json!({"ready": false})),
            endpoint("c", json!({"ready": true, "terminating": true})), endpoint("d", json!({})),
            {"conditions": {"ready": true}, "addresses": ["10.0.0.1"]},
        ]});
        let mut endpoints = Endpoints::default();
        add(&mut endpoints, &slice);
        add(&mut endpoints, &slice);
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        assert_eq!((names(&endpoints.ready), names(&endpoints.not_ready)), ("a,d".into(), "b,c".into()));
    }
}
