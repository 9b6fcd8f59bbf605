//! Endpoints and EndpointSlices of Services.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pods;
use crate::{
    json, kinds,
    selector::Labels,
    store::{Key, Tx},
    write::Options,
};

const SLICES: &str = "endpointslices.discovery.k8s.io";

/// A slice holds no more endpoints than this.
const PER_SLICE: usize = 100;

/// Pods that resolve the Service's ports alike.
struct Subset {
    ports: Vec<Value>,
    pods: Vec<Arc<Value>>,
}

pub(super) fn reconcile(tx: &mut Tx<'_>, key: &Key) {
    let endpoints_key = super::key("endpoints", &key.ns, &key.name);
    let Some(service) = tx.get_key(key) else {
        let managed = tx.get_key(&endpoints_key);
        let ours = managed.is_some_and(|e| {
            e.pointer("/metadata/annotations/endpoints.kubernetes.io~1last-change-trigger-time").is_some()
        });
        if ours {
            tx.remove(&endpoints_key);
        }
        return;
    };
    let selector = Labels::from_map(&service["spec"]["selector"]);
    // Without a selector the endpoints are the user's to write.
    if selector.is_empty() || json::is_deleting(&service) {
        return;
    }
    let ended = |p: &Value| matches!(json::text(p, "/status/phase"), "Succeeded" | "Failed");
    let mut backends: Vec<_> = tx
        .list("pods", &key.ns)
        .into_iter()
        .filter(|p| selector.select(p) && !ended(p) && !json::text(p, "/status/podIP").is_empty())
        .collect();
    backends.sort_by(|a, b| json::name(a).cmp(json::name(b)));
    let subsets = group_by_ports(&service, &backends);
    write_endpoints(tx, &service, &subsets);
    write_slices(tx, &service, &subsets);
}

/// Pods of one Service usually resolve its ports alike; where named ports differ there is a subset for each resolution.
fn group_by_ports(service: &Value, backends: &[Arc<Value>]) -> Vec<Subset> {
    let mut subsets: Vec<Subset> = Vec::new();
    for pod in backends {
        let wanted = json::items(service, "/spec/ports");
        let ports: Vec<Value> = wanted.iter().filter_map(|p| resolve(p, pod)).collect();
        if ports.is_empty() && !wanted.is_empty() {
            continue;
        }
        match subsets.iter_mut().find(|s| s.ports == ports) {
            Some(subset) => subset.pods.push(Arc::clone(pod)),
            None => subsets.push(Subset { ports, pods: vec![Arc::clone(pod)] }),
        }
    }
    subsets
}

fn resolve(port: &Value, pod: &Value) -> Option<Value> {
    let number = match &port["targetPort"] {
        Value::String(name) => json::items(pod, "/spec/containers")
            .iter()
            .flat_map(|c| json::items(c, "/ports"))
            .find(|p| json::text(p, "/name") == name)
            .and_then(|p| json::int(p, "/containerPort"))?,
        number => number.as_i64().or_else(|| json::int(port, "/port"))?,
    };
    // The API fills in the name of a slice's port.
    let mut resolved =
        json!({ "name": json::text(port, "/name"), "port": number, "protocol": port["protocol"] });
    if let Some(protocol) = port.get("appProtocol") {
        resolved["appProtocol"] = protocol.clone();
    }
    Some(resolved)
}

fn target(pod: &Value) -> Value {
    json!({ "kind": "Pod", "name": json::name(pod), "namespace": json::namespace(pod), "uid": json::uid(pod) })
}

fn publishes_unready(service: &Value) -> bool {
    json::flag(service, "/spec/publishNotReadyAddresses")
}

/// The older form: pods that are ending are left out.
fn write_endpoints(tx: &mut Tx<'_>, service: &Value, subsets: &[Subset]) {
    let address = |pod: &Arc<Value>| json!({ "ip": json::text(pod, "/status/podIP"), "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod) });
    let mut list = Vec::new();
    for Subset { ports, pods } in subsets {
        let ready = |p: &Arc<Value>| publishes_unready(service) || pods::is_ready(p);
        let (ready, waiting): (Vec<_>, Vec<_>) = pods
            .iter()
            .filter(|p| publishes_unready(service) || !json::is_deleting(p))
            .partition(|p| ready(p));
        if ready.is_empty() && waiting.is_empty() {
            continue;
        }
        let mut subset = json!({});
        for (field, all) in [("addresses", ready), ("notReadyAddresses", waiting)] {
            if !all.is_empty() {
                subset[field] = all.into_iter().map(address).collect::<Vec<_>>().into();
            }
        }
        let mut ports = ports.clone();
        for port in &mut ports {
            if json::text(port, "/name").is_empty() {
                json::remove(port, "/name");
            }
        }
        subset["ports"] = ports.into();
        list.push(subset);
    }
    let now = tx.stamp();
    upsert(tx, "endpoints", service, json::name(service), |object| {
        if json::items(object, "/subsets") != list.as_slice()
            || object.pointer("/metadata/annotations").is_none()
        {
            if list.is_empty() {
                json::remove(object, "/subsets");
            } else {
                json::set(object, "/subsets", list);
            }
            let annotations = json::map_mut(object, "/metadata/annotations");
            annotations.insert("endpoints.kubernetes.io/last-change-trigger-time".to_owned(), now.into());
        }
        if let Some(labels) = service.pointer("/metadata/labels") {
            json::set(object, "/metadata/labels", labels.clone());
        }
    });
}

/// An endpoint as slices have it: one that is ending is not ready, and serves for as long as its readiness lasts.
fn endpoint(service: &Value, pod: &Value) -> Value {
    let (ready, ending) = (pods::is_ready(pod), json::is_deleting(pod));
    let mut endpoint = json!({
        "addresses": [json::text(pod, "/status/podIP")],
        "conditions": { "ready": publishes_unready(service) || (ready && !ending), "serving": ready, "terminating": ending },
        "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod),
    });
    let (hostname, subdomain) = (json::text(pod, "/spec/hostname"), json::text(pod, "/spec/subdomain"));
    if !hostname.is_empty() && subdomain == json::name(service) {
        endpoint["hostname"] = hostname.into();
    }
    endpoint
}

/// A slice for each subset and hundred of pods; one without endpoints when there are no pods.
fn write_slices(tx: &mut Tx<'_>, service: &Value, subsets: &[Subset]) {
    let mut wanted: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
    for Subset { ports, pods } in subsets {
        for part in pods.chunks(PER_SLICE) {
            wanted.push((ports.clone(), part.iter().map(|p| endpoint(service, p)).collect()));
        }
    }
    if wanted.is_empty() {
        wanted.push((Vec::new(), Vec::new()));
    }
    let names: Vec<String> = (0..wanted.len()).map(|index| slice_name(service, index)).collect();
    for (name, (ports, endpoints)) in names.iter().zip(wanted) {
        write_slice(tx, service, name, ports, endpoints);
    }
    for old in tx.controlled(SLICES, json::uid(service)) {
        if !names.iter().any(|n| n == json::name(&old)) {
            tx.remove(&Key::of(SLICES, &old));
        }
    }
}

fn write_slice(tx: &mut Tx<'_>, service: &Value, name: &str, ports: Vec<Value>, endpoints: Vec<Value>) {
    let now = tx.stamp();
    upsert(tx, SLICES, service, name, |object| {
        json::set(object, "/metadata/generateName", format!("{}-", json::name(service)));
        json::set(object, "/metadata/ownerReferences", json!([pods::owner_reference(service)]));
        // The Service's labels are copied, and those of the controller added.
        let mut labels = json::map(service, "/metadata/labels").cloned().unwrap_or_default();
        labels.insert("kubernetes.io/service-name".to_owned(), json::name(service).into());
        let by = "endpointslice-controller.k8s.io";
        labels.insert("endpointslice.kubernetes.io/managed-by".to_owned(), by.into());
        if json::text(service, "/spec/clusterIP") == "None" {
            labels.insert("service.kubernetes.io/headless".to_owned(), "".into());
        }
        json::set(object, "/metadata/labels", labels);
        json::set(object, "/addressType", "IPv4");
        let changed = json::items(object, "/endpoints") != endpoints.as_slice()
            || json::items(object, "/ports") != ports.as_slice();
        if changed {
            let annotations = json::map_mut(object, "/metadata/annotations");
            annotations.insert("endpoints.kubernetes.io/last-change-trigger-time".to_owned(), now.into());
        }
        json::set(object, "/endpoints", endpoints);
        json::set(object, "/ports", ports);
    });
}

/// Names that stay.
fn slice_name(service: &Value, index: usize) -> String {
    let identity =
        if index == 0 { json::uid(service).to_owned() } else { format!("{}/{index}", json::uid(service)) };
    let hash = crate::rng::template_hash(&identity);
    format!("{}-{}", json::name(service), &hash[..5])
}

fn upsert(tx: &mut Tx<'_>, resource: &str, service: &Value, name: &str, change: impl FnOnce(&mut Value)) {
    let kind = kinds::of(resource);
    let ns = json::namespace(service);
    let options = Options::by("kube-controller-manager");
    if tx.get(resource, ns, name).is_some() {
        tx.modify(&Key::new(kind, ns, name), &options, change);
        return;
    }
    let mut object = json!({ "metadata": { "name": name } });
    change(&mut object);
    // Refused only when the namespace is going away.
    let _ = tx.create(kind, ns, object, &options);
}
