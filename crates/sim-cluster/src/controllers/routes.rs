//! Which objects a change concerns.

use serde_json::Value;

use super::{
    RULES_NAME, RULES_NAMESPACE,
    agenda::{Agenda, Work},
    autoscaler, gateway, key, kubelet,
};
use crate::{
    json, kinds,
    selector::Labels,
    store::{Change, ChangeKind, Key, Tx},
};

/// After a start, or when the log does not reach back far enough.
pub(super) fn everything(tx: &mut Tx<'_>, agenda: &mut Agenda) {
    for kind in tx.kinds().into_iter().filter(|k| !k.is("events")) {
        for object in tx.list(&kind.resource, "") {
            agenda.add(Work::Object(Key::of(&kind.resource, &object)));
        }
    }
}

pub(super) fn route(tx: &Tx<'_>, change: &Change, agenda: &mut Agenda) {
    if change.resource == "events" {
        return;
    }
    let object = &*change.object;
    agenda.add(Work::Object(Key::of(change.resource, object)));
    if change.kind == ChangeKind::Deleted {
        agenda.add(Work::OwnerGone(json::uid(object).to_owned()));
    }
    let before = change.previous.as_deref();
    for owned in [Some(object), before].into_iter().flatten() {
        for owner in json::items(owned, "/metadata/ownerReferences") {
            if let Some(key) = tx.by_uid(json::text(owner, "/uid")) {
                agenda.add(Work::Object(key.clone()));
            }
        }
    }
    let ns = json::namespace(object);
    if change.kind == ChangeKind::Deleted && !ns.is_empty() {
        agenda.add(Work::Object(key("namespaces", "", ns)));
    }
    if !ns.is_empty() {
        for quota in tx.list("resourcequotas", ns).iter().filter(|_| change.resource != "resourcequotas") {
            agenda.add(Work::Object(key("resourcequotas", ns, json::name(quota))));
        }
        let scaled = Key::of(change.resource, object);
        for scaler in tx.list("horizontalpodautoscalers.autoscaling", ns) {
            if autoscaler::target_of(tx, &scaler).is_some_and(|t| t == scaled) {
                agenda.add(Work::Object(key(
                    "horizontalpodautoscalers.autoscaling",
                    ns,
                    json::name(&scaler),
                )));
            }
        }
    }
    match change.resource {
        "pods" => {
            services_of(tx, object, before, agenda);
            selecting(tx, "poddisruptionbudgets.policy", object, agenda);
            // A Deployment that recreates waits for the last of its old pods.
            let set = json::controller_of(object).and_then(|owner| tx.by_uid(json::text(owner, "/uid")));
            let set = set.filter(|_| change.kind == ChangeKind::Deleted).and_then(|key| tx.get_key(key));
            let above = set.as_deref().and_then(json::controller_of);
            if let Some(key) = above.and_then(|owner| tx.by_uid(json::text(owner, "/uid"))) {
                agenda.add(Work::Object(key.clone()));
            }
        }
        // A Service or a Gateway that comes or goes is what routes may wait for.
        "services" | gateway::GATEWAYS if change.kind != ChangeKind::Modified => {
            for route in tx.list(gateway::ROUTES, "") {
                agenda.add(Work::Object(Key::of(&kinds::of(gateway::ROUTES).resource, &route)));
            }
        }
        "configmaps" | "secrets" => waiting_pods(tx, change, agenda),
        "serviceaccounts" => {
            for resource in ["replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch"] {
                for owner in tx.list(resource, ns) {
                    agenda.add(Work::Object(Key::of(&kinds::of(resource).resource, &owner)));
                }
            }
        }
        // Both may be what a pod waits for to be scheduled; a node has no namespace: then it is any pod.
        "persistentvolumeclaims" | "nodes" => {
            let unscheduled = |p: &Value| json::text(p, "/spec/nodeName").is_empty();
            for pod in tx.list("pods", ns).into_iter().filter(|p| unscheduled(p)) {
                agenda.add(Work::Object(key("pods", json::namespace(&pod), json::name(&pod))));
            }
            for set in tx.list("daemonsets.apps", "").iter().filter(|_| change.resource == "nodes") {
                agenda.add(Work::Object(key("daemonsets.apps", json::namespace(set), json::name(set))));
            }
        }
        _ => {}
    }
}

/// The objects of a resource whose selector fits the pod.
fn selecting(tx: &Tx<'_>, resource: &str, pod: &Value, agenda: &mut Agenda) {
    for object in tx.list(resource, json::namespace(pod)) {
        if Labels::from_object(&object["spec"]["selector"]).select(pod) {
            agenda.add(Work::Object(key(resource, json::namespace(pod), json::name(&object))));
        }
    }
}

/// The Services that select the pod, or did before.
fn services_of(tx: &Tx<'_>, pod: &Value, before: Option<&Value>, agenda: &mut Agenda) {
    for service in tx.list("services", json::namespace(pod)) {
        let selector = Labels::from_map(&service["spec"]["selector"]);
        if !selector.is_empty() && (selector.select(pod) || before.is_some_and(|b| selector.select(b))) {
            agenda.add(Work::Object(key("services", json::namespace(pod), json::name(&service))));
        }
    }
}

/// The pods that refer to the ConfigMap or Secret; every pod when the image rules changed.
fn waiting_pods(tx: &Tx<'_>, change: &Change, agenda: &mut Agenda) {
    let (ns, name) = (json::namespace(&change.object), json::name(&change.object));
    let is_rules = change.resource == "configmaps" && ns == RULES_NAMESPACE && name == RULES_NAME;
    if is_rules {
        agenda.add(Work::Rules);
    }
    // Changes of what runs already are not seen by the container: only presence matters.
    for pod in tx.list("pods", ns).into_iter().filter(|p| kubelet::refers_to(p, change.resource, name)) {
        agenda.add(Work::Object(key("pods", ns, json::name(&pod))));
    }
}

/// Every pod: what it does depends on the rules.
pub(super) fn all_pods(tx: &Tx<'_>) -> Vec<Work> {
    tx.list("pods", "").iter().map(|p| Work::Object(key("pods", json::namespace(p), json::name(p)))).collect()
}
