//! StatefulSets: pods with ordinals, one after the other.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Again, Context, pods};
use crate::{
    json, kinds, rng,
    store::{Key, Tx},
    write::{CONTROLLER, Options},
};

const COMPONENT: &str = "statefulset-controller";
const REVISION: &str = "controller-revision-hash";

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let set = tx.get_key(key)?;
    let revision = revision(&set);
    let mut again = None;
    if !json::is_deleting(&set) {
        again = step(tx, context, &set, &revision);
    }
    write_status(tx, context, &set, &revision, again)
}

fn revision(set: &Value) -> String {
    format!("{}-{}", json::name(set), rng::template_hash(&json::canonical(&set["spec"]["template"])))
}

fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    json::name(pod).strip_prefix(json::name(set))?.strip_prefix('-')?.parse().ok()
}

fn current(pod: &Value, revision: &str) -> bool {
    pod["metadata"]["labels"][REVISION] == revision
}

/// Makes the lowest missing pod, else removes the highest surplus one, else replaces the highest outdated one; one at a time unless the pods
/// are managed in parallel.
fn step(tx: &mut Tx<'_>, context: &mut Context, set: &Value, revision: &str) -> Again {
    let wanted = json::count(set, "/spec/replicas");
    let parallel = json::text(set, "/spec/podManagementPolicy") == "Parallel";
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let mut all: Vec<(i64, Arc<Value>)> = tx
        .controlled("pods", json::uid(set))
        .into_iter()
        .filter_map(|p| Some((ordinal(set, &p)?, p)))
        .collect();
    all.sort_by_key(|(n, _)| *n);
    for index in 0..wanted {
        let existing = all.iter().find(|(n, _)| *n == index);
        let healthy = match existing {
            None => {
                create(tx, set, index, revision);
                false
            }
            Some((_, pod)) if !pods::is_active(pod) => {
                if !json::is_deleting(pod) {
                    pods::delete(tx, set, pod, COMPONENT);
                }
                false
            }
            Some((_, pod)) => {
                let (available, again) = pods::is_available(tx, context, pod, min_ready);
                if !available && again.is_some() && !parallel {
                    return again;
                }
                available
            }
        };
        // An outdated pod that is not ready is replaced below, or the set would never recover.
        let outdated = existing.is_some_and(|(_, p)| pods::is_active(p) && !current(p, revision));
        if !healthy && !parallel && !outdated {
            return None;
        }
    }
    let surplus: Vec<_> = all.iter().rev().filter(|(n, p)| *n >= wanted && !json::is_deleting(p)).collect();
    let ending = all.iter().any(|(_, p)| json::is_deleting(p));
    for (_, pod) in surplus {
        if !parallel && ending {
            return None;
        }
        pods::delete(tx, set, pod, COMPONENT);
        if !parallel {
            return None;
        }
    }
    replace_outdated(tx, set, &all, revision, wanted);
    None
}

fn replace_outdated(tx: &mut Tx<'_>, set: &Value, all: &[(i64, Arc<Value>)], revision: &str, wanted: i64) {
    if json::text(set, "/spec/updateStrategy/type") != "RollingUpdate" {
        return;
    }
    let partition = json::count(set, "/spec/updateStrategy/rollingUpdate/partition");
    for (_, pod) in all.iter().rev().filter(|(n, _)| (partition..wanted).contains(n)) {
        if json::is_deleting(pod) {
            return;
        }
        if !current(pod, revision) {
            pods::delete(tx, set, pod, COMPONENT);
            return;
        }
        if !pods::is_ready(pod) {
            return;
        }
    }
}

fn create(tx: &mut Tx<'_>, set: &Value, index: i64, revision: &str) {
    let name = format!("{}-{index}", json::name(set));
    let mut pod = pods::from_template(set, &name);
    let labels = json::map_mut(&mut pod, "/metadata/labels");
    labels.insert(REVISION.to_owned(), revision.into());
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.as_str().into());
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), index.to_string().into());
    json::set(&mut pod, "/spec/hostname", name.as_str());
    if let Some(service) = set["spec"].get("serviceName") {
        json::set(&mut pod, "/spec/subdomain", service.clone());
    }
    claim_volumes(tx, set, &mut pod, &name);
    // Told by an event already; the next change of a service account brings it here again.
    let _ = pods::create(tx, set, pod, COMPONENT);
}

/// The pod's own claims, which outlive it.
fn claim_volumes(tx: &mut Tx<'_>, set: &Value, pod: &mut Value, pod_name: &str) {
    let ns = json::namespace(set);
    for template in json::items(set, "/spec/volumeClaimTemplates") {
        let volume = json::name(template);
        let claim = format!("{volume}-{pod_name}");
        if tx.get("persistentvolumeclaims", ns, &claim).is_none() {
            let object = json!({ "metadata": { "name": claim, "labels": set["spec"]["selector"]["matchLabels"] }, "spec": template["spec"] });
            // Refused only when the namespace is going away.
            let _ = tx.create(kinds::of("persistentvolumeclaims"), ns, object, &Options::by(CONTROLLER));
        }
        let mut volumes = json::items(pod, "/spec/volumes").to_vec();
        volumes.retain(|v| json::text(v, "/name") != volume);
        volumes.push(json!({ "name": volume, "persistentVolumeClaim": { "claimName": claim } }));
        json::set(pod, "/spec/volumes", volumes);
    }
}

fn write_status(tx: &mut Tx<'_>, context: &mut Context, set: &Value, revision: &str, again: Again) -> Again {
    let all: Vec<_> =
        tx.controlled("pods", json::uid(set)).into_iter().filter(|p| pods::is_active(p)).collect();
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let (count, when) = pods::count(tx, context, all.iter().map(|p| &**p), min_ready);
    let updated = all.iter().filter(|p| current(p, revision)).count();
    let before = json::text(set, "/status/currentRevision");
    let wanted = usize::try_from(json::count(set, "/spec/replicas")).unwrap_or(0);
    // The update is over when every pod is of the new revision and ready.
    let finished =
        before.is_empty() || (updated == count.all && count.ready == count.all && count.all == wanted);
    let current_revision = if finished { revision } else { before };
    let mut status = json!({
        "observedGeneration": json::count(set, "/metadata/generation"), "replicas": count.all,
        "currentRevision": current_revision, "updateRevision": revision, "collisionCount": 0,
        "availableReplicas": count.available,
    });
    let of_current = all.iter().filter(|p| current(p, current_revision)).count();
    for (field, value) in
        [("readyReplicas", count.ready), ("updatedReplicas", updated), ("currentReplicas", of_current)]
    {
        // As everywhere in the API, a count of 0 is left out.
        if value > 0 {
            status[field] = value.into();
        }
    }
    pods::write_status(tx, set, status);
    super::sooner(again, when)
}
