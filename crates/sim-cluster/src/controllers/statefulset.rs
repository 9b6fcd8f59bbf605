//! StatefulSets: pods with ordinals, one after the other.
//!
//! As the real controller, an ordered set waits for a pod that is not ready, even when that pod is of a template that is no longer wanted: who
//! goes back from a version that does not start deletes the pod that hangs ("forced rollback" in the documentation).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Again, Context, deployment, events, pods, revisions, sooner};
use crate::{
    json, kinds,
    store::{Key, Tx},
    write::{CONTROLLER, DeleteOptions, Options},
};

const COMPONENT: &str = "statefulset-controller";
const REVISION: &str = "controller-revision-hash";

/// The revisions that an update goes from and to, by name.
struct Revisions {
    current: Arc<Value>,
    update: Arc<Value>,
}

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let set = tx.get_key(key)?;
    let update = revisions::sync(tx, &set, "controller.kubernetes.io/hash")?;
    let wanted = json::text(&set, "/status/currentRevision");
    let current = revisions::all(tx, &set).into_iter().find(|r| json::name(r) == wanted);
    let revisions = Revisions { current: current.unwrap_or_else(|| Arc::clone(&update)), update };
    let mut again = None;
    if !json::is_deleting(&set) {
        again = step(tx, context, &set, &revisions);
    }
    let again = write_status(tx, context, &set, &revisions, again);
    let mut live: Vec<String> = pods_of(tx, &set).iter().map(|(_, p)| revision_of(p).to_owned()).collect();
    live.extend([&revisions.current, &revisions.update].map(|r| json::name(r).to_owned()));
    revisions::truncate(tx, &set, &live);
    again
}

fn revision_of(pod: &Value) -> &str {
    pod["metadata"]["labels"][REVISION].as_str().unwrap_or_default()
}

fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    json::name(pod).strip_prefix(json::name(set))?.strip_prefix('-')?.parse().ok()
}

fn pods_of(tx: &Tx<'_>, set: &Value) -> Vec<(i64, Arc<Value>)> {
    let all = tx.controlled("pods", json::uid(set)).into_iter();
    let mut all: Vec<_> = all.filter_map(|p| Some((ordinal(set, &p)?, p))).collect();
    all.sort_by_key(|(n, _)| *n);
    all
}

fn is_parallel(set: &Value) -> bool {
    json::text(set, "/spec/podManagementPolicy") == "Parallel"
}

/// The ordinals that there are to be.
fn range(set: &Value) -> std::ops::Range<i64> {
    let start = json::count(set, "/spec/ordinals/start");
    start..start + json::count(set, "/spec/replicas")
}

/// First the pods that are to be, in order; then those too many, highest first; then those of the former template, highest first. In order
/// unless the pods are managed in parallel.
fn step(tx: &mut Tx<'_>, context: &mut Context, set: &Value, revisions: &Revisions) -> Again {
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let all = pods_of(tx, set);
    let mut again = None;
    for index in range(set) {
        let existing = all.iter().find(|(n, _)| *n == index).map(|(_, p)| p);
        let (may_go_on, when) = process(tx, context, set, revisions, index, existing);
        again = sooner(again, when);
        if !may_go_on && !is_parallel(set) {
            return again;
        }
    }
    let condemned: Vec<_> =
        all.iter().rev().filter(|(n, _)| !range(set).contains(n)).map(|(_, p)| p).collect();
    let first_unavailable =
        condemned.iter().rev().find(|p| !is_available(tx, context, p, min_ready).0).map(|p| json::name(p));
    for pod in &condemned {
        let blocks = json::is_deleting(pod)
            || (!is_available(tx, context, pod, min_ready).0 && first_unavailable != Some(json::name(pod)));
        if blocks && !is_parallel(set) {
            return again;
        }
        if !json::is_deleting(pod) {
            delete(tx, set, pod);
            if !is_parallel(set) {
                return again;
            }
        }
    }
    if json::text(set, "/spec/updateStrategy/type") == "RollingUpdate" {
        again = sooner(again, replace_outdated(tx, context, set, revisions));
    }
    again
}

/// Running, ready for long enough, and not ending.
fn is_available(tx: &Tx<'_>, context: &mut Context, pod: &Value, min_ready: i64) -> (bool, Again) {
    let (available, again) = pods::is_available(tx, context, pod, min_ready);
    (available && pods::is_active(pod), again)
}

/// Sees to the pod of one ordinal; says whether the next one may be seen to.
fn process(
    tx: &mut Tx<'_>,
    context: &mut Context,
    set: &Value,
    revisions: &Revisions,
    index: i64,
    pod: Option<&Arc<Value>>,
) -> (bool, Again) {
    let Some(pod) = pod else {
        return (false, create(tx, context, set, index, revisions));
    };
    if !pods::is_active(pod) {
        // One that has ended is replaced; one that is ending is waited for.
        if !json::is_deleting(pod) {
            delete(tx, set, pod);
        }
        return (false, None);
    }
    is_available(tx, context, pod, json::count(set, "/spec/minReadySeconds"))
}

fn replace_outdated(tx: &mut Tx<'_>, context: &mut Context, set: &Value, revisions: &Revisions) -> Again {
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let rolling = &set["spec"]["updateStrategy"]["rollingUpdate"];
    let first = json::count(set, "/spec/ordinals/start") + json::count(rolling, "/partition");
    let most = match &rolling["maxUnavailable"] {
        Value::Null => 1,
        amount => deployment::resolve(amount, json::count(set, "/spec/replicas"), false).max(1),
    };
    let (mut again, mut unavailable) = (None, 0);
    let all = pods_of(tx, set);
    for index in range(set) {
        let pod = all.iter().find(|(n, _)| *n == index);
        let (available, when) = pod.map_or((false, None), |(_, p)| is_available(tx, context, p, min_ready));
        unavailable += i64::from(!available);
        again = sooner(again, when);
    }
    let outdated = |p: &Arc<Value>| revision_of(p) != json::name(&revisions.update) && !json::is_deleting(p);
    let targets = all.iter().rev().filter(|(n, p)| *n >= first && range(set).contains(n) && outdated(p));
    for (_, pod) in targets.take(usize::try_from(most - unavailable).unwrap_or(0)) {
        delete(tx, set, pod);
    }
    again
}

fn delete(tx: &mut Tx<'_>, set: &Value, pod: &Value) {
    let (kind, name) = (kinds::of("pods"), json::name(pod));
    if tx.delete(kind, json::namespace(pod), name, &DeleteOptions::default()).is_ok() {
        let message = format!("delete Pod {name} in StatefulSet {} successful", json::name(set));
        events::record(tx, set, events::Event::normal("SuccessfulDelete", message, COMPONENT));
    }
}

/// Makes the pod of an ordinal: below the partition of the former template, else of the new one.
fn create(tx: &mut Tx<'_>, context: &mut Context, set: &Value, index: i64, revisions: &Revisions) -> Again {
    let rolls = json::text(set, "/spec/updateStrategy/type") == "RollingUpdate";
    let partition = json::count(set, "/spec/ordinals/start")
        + json::count(set, "/spec/updateStrategy/rollingUpdate/partition");
    let revision = if rolls && index < partition { &revisions.current } else { &revisions.update };
    let name = format!("{}-{index}", json::name(set));
    let mut of_revision = set.clone();
    json::set(&mut of_revision, "/spec/template", revisions::template_of(revision));
    let mut pod = pods::from_template(&of_revision, &name);
    let labels = json::map_mut(&mut pod, "/metadata/labels");
    labels.insert(REVISION.to_owned(), json::name(revision).into());
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.as_str().into());
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), index.to_string().into());
    json::set(&mut pod, "/spec/hostname", name.as_str());
    if let Some(service) = set["spec"].get("serviceName") {
        json::set(&mut pod, "/spec/subdomain", service.clone());
    }
    claim_volumes(tx, set, &mut pod, &name);
    let made = tx.create(kinds::of("pods"), json::namespace(set), pod, &Options::by(CONTROLLER));
    let event = match &made {
        Ok(_) => {
            let message = format!("create Pod {name} in StatefulSet {} successful", json::name(set));
            events::Event::normal("SuccessfulCreate", message, COMPONENT)
        }
        Err(error) => {
            let message = format!(
                "create Pod {name} in StatefulSet {} failed error: {}",
                json::name(set),
                error.message
            );
            events::Event::warning("FailedCreate", message, COMPONENT)
        }
    };
    events::record(tx, set, event);
    pods::retry(context, set, made.is_err())
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

fn write_status(
    tx: &mut Tx<'_>,
    context: &mut Context,
    set: &Value,
    revisions: &Revisions,
    again: Again,
) -> Again {
    let all: Vec<Arc<Value>> = pods_of(tx, set).into_iter().map(|(_, p)| p).collect();
    let min_ready = json::count(set, "/spec/minReadySeconds");
    let (count, when) = pods::count(tx, context, all.iter().map(|p| &**p), min_ready);
    let wanted = usize::try_from(json::count(set, "/spec/replicas")).unwrap_or(0);
    let of = |revision: &Value| {
        let name = json::name(revision);
        all.iter().filter(|p| !json::is_deleting(p) && revision_of(p) == name).count()
    };
    let updated = of(&revisions.update);
    let rolls = json::text(set, "/spec/updateStrategy/type") == "RollingUpdate";
    let finished = rolls && updated == wanted && count.ready == wanted && count.all == wanted;
    let current = if finished { &revisions.update } else { &revisions.current };
    let mut status = json!({
        "observedGeneration": json::count(set, "/metadata/generation"), "replicas": count.all,
        "currentRevision": json::name(current), "updateRevision": json::name(&revisions.update), "collisionCount": 0,
        "availableReplicas": count.available,
    });
    for (field, value) in
        [("readyReplicas", count.ready), ("updatedReplicas", updated), ("currentReplicas", of(current))]
    {
        // As everywhere in the API, a count of 0 is left out.
        if value > 0 {
            status[field] = value.into();
        }
    }
    pods::write_status(tx, set, status);
    sooner(again, when)
}
