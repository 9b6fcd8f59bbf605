//! DaemonSets: one pod, as there is one node.

use serde_json::json;

use super::{Again, Context, kubelet::NODE, pods};
use crate::{
    json, rng,
    store::{Key, Tx},
};

const COMPONENT: &str = "daemonset-controller";
const REVISION: &str = "controller-revision-hash";

pub(super) fn reconcile(tx: &mut Tx<'_>, context: &mut Context, key: &Key) -> Again {
    let set = tx.get_key(key)?;
    let hash = rng::template_hash(&json::canonical(&set["spec"]["template"]));
    let all = tx.controlled("pods", json::uid(&set));
    let current = |p: &serde_json::Value| p["metadata"]["labels"][REVISION] == hash.as_str();
    if !json::is_deleting(&set) {
        let rolls = json::text(&set, "/spec/updateStrategy/type") == "RollingUpdate";
        for pod in all.iter().filter(|p| pods::is_active(p)) {
            if rolls && !current(pod) {
                pods::delete(tx, &set, pod, COMPONENT);
            }
        }
        // A pod that has ended is replaced; one that is ending is waited for.
        for pod in all.iter().filter(|p| !pods::is_active(p) && !json::is_deleting(p)) {
            pods::delete(tx, &set, pod, COMPONENT);
        }
        if tx.controlled("pods", json::uid(&set)).is_empty() {
            let mut pod = pods::from_template(&set, &format!("{}-", json::name(&set)));
            json::map_mut(&mut pod, "/metadata/labels").insert(REVISION.to_owned(), hash.as_str().into());
            // Told by an event already; the next change of a service account brings it here again.
            let _ = pods::create(tx, &set, pod, COMPONENT);
        }
    }
    let active: Vec<_> =
        tx.controlled("pods", json::uid(&set)).into_iter().filter(|p| pods::is_active(p)).collect();
    let min_ready = json::count(&set, "/spec/minReadySeconds");
    let (count, again) = pods::count(tx, context, active.iter().map(|p| &**p), min_ready);
    let scheduled = active.iter().filter(|p| json::text(p, "/spec/nodeName") == NODE).count();
    let updated = active.iter().filter(|p| current(p)).count();
    let status = json!({
        "observedGeneration": json::count(&set, "/metadata/generation"),
        "desiredNumberScheduled": 1, "currentNumberScheduled": scheduled, "numberMisscheduled": 0,
        "numberReady": count.ready, "numberAvailable": count.available, "numberUnavailable": 1 - count.available.min(1),
        "updatedNumberScheduled": updated,
    });
    pods::write_status(tx, &set, status);
    again
}
