//! Endpoints and EndpointSlices of Services.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{kubelet::NODE, pods};
use crate::{
    json, kinds,
    selector::Labels,
    store::{Key, Tx},
    write::Options,
};

/// Resolved ports, with the addresses of the pods that are ready and of those that are not.
type Subset = (Vec<Value>, Vec<Arc<Value>>, Vec<Arc<Value>>);

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
    let mut backends: Vec<_> = tx
        .list("pods", &key.ns)
        .into_iter()
        .filter(|p| selector.select(p) && pods::is_active(p) && !json::text(p, "/status/podIP").is_empty())
        .collect();
    backends.sort_by(|a, b| json::name(a).cmp(json::name(b)));
    let subsets = group_by_ports(&service, &backends);
    write_endpoints(tx, &service, &subsets);
    write_slice(tx, &service, &subsets);
}

/// Pods of one Service usually resolve its ports alike; where named ports differ there is a subset for each resolution.
fn group_by_ports(service: &Value, backends: &[Arc<Value>]) -> Vec<Subset> {
    let mut subsets: Vec<Subset> = Vec::new();
    for pod in backends {
        let ports: Vec<Value> =
            json::items(service, "/spec/ports").iter().filter_map(|p| resolve(p, pod)).collect();
        if ports.is_empty() && !json::items(service, "/spec/ports").is_empty() {
            continue;
        }
        let index = match subsets.iter().position(|(p, _, _)| *p == ports) {
            Some(index) => index,
            None => {
                subsets.push((ports, Vec::new(), Vec::new()));
                subsets.len() - 1
            }
        };
        let (_, ready, waiting) = &mut subsets[index];
        let publish = json::flag(service, "/spec/publishNotReadyAddresses");
        if publish || pods::is_ready(pod) {
            ready.push(Arc::clone(pod));
        } else {
            waiting.push(Arc::clone(pod));
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
    let mut resolved = json!({ "port": number, "protocol": port["protocol"] });
    if let Some(name) = port.get("name") {
        resolved["name"] = name.clone();
    }
    Some(resolved)
}

fn target(pod: &Value) -> Value {
    json!({ "kind": "Pod", "name": json::name(pod), "namespace": json::namespace(pod), "uid": json::uid(pod) })
}

fn write_endpoints(tx: &mut Tx<'_>, service: &Value, subsets: &[Subset]) {
    let address = |pod: &Arc<Value>| json!({ "ip": json::text(pod, "/status/podIP"), "nodeName": NODE, "targetRef": target(pod) });
    let mut list = Vec::new();
    for (ports, ready, waiting) in subsets {
        let mut subset = json!({});
        for (field, all) in [("addresses", ready), ("notReadyAddresses", waiting)] {
            if !all.is_empty() {
                subset[field] = all.iter().map(address).collect::<Vec<_>>().into();
            }
        }
        subset["ports"] = ports.clone().into();
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

fn write_slice(tx: &mut Tx<'_>, service: &Value, subsets: &[Subset]) {
    let endpoint = |pod: &Arc<Value>, ready: bool| {
        json!({
            "addresses": [json::text(pod, "/status/podIP")],
            "conditions": { "ready": ready, "serving": ready, "terminating": false },
            "nodeName": NODE, "targetRef": target(pod),
        })
    };
    let mut endpoints = Vec::new();
    for (_, ready, waiting) in subsets {
        endpoints.extend(ready.iter().map(|p| endpoint(p, true)));
        endpoints.extend(waiting.iter().map(|p| endpoint(p, false)));
    }
    let ports: Vec<Value> = subsets.first().map(|(p, _, _)| p.clone()).unwrap_or_default();
    let name = slice_name(service);
    upsert(tx, "endpointslices.discovery.k8s.io", service, &name, |object| {
        json::set(object, "/metadata/ownerReferences", json!([pods::owner_reference(service)]));
        let labels = json::map_mut(object, "/metadata/labels");
        labels.insert("kubernetes.io/service-name".to_owned(), json::name(service).into());
        let by = "endpointslice-controller.k8s.io";
        labels.insert("endpointslice.kubernetes.io/managed-by".to_owned(), by.into());
        json::set(object, "/addressType", "IPv4");
        json::set(object, "/endpoints", endpoints);
        json::set(object, "/ports", ports);
    });
}

/// One slice a Service, with a name that stays.
fn slice_name(service: &Value) -> String {
    let hash = crate::rng::template_hash(json::uid(service));
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
