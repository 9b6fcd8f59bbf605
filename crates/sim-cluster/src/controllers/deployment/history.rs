//! ReplicaSets as a Deployment's history: templates, hashes and revisions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{COMPONENT, HASH, Plan, REVISION, Sets, annotate_size, delete_set};
use crate::{
    controllers::{events, pods},
    json, kinds, rng,
    store::{Key, Tx},
    write::{CONTROLLER, Options},
};

/// The template without the hash label, to compare.
pub(super) fn template(owner: &Value) -> Value {
    let mut template = owner["spec"]["template"].clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(HASH);
    }
    json::remove(&mut template, "/metadata/creationTimestamp");
    template
}

pub(super) fn revision(object: &Value) -> i64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|r| r.parse().ok()).unwrap_or(0)
}

/// The set of the current template: made with `size` replicas if there is none, given the highest revision if it is an older one.
pub(super) fn new_set(tx: &mut Tx<'_>, deployment: &Value, sets: &Sets, size: i64) -> Option<Arc<Value>> {
    let next = sets.old.iter().map(|s| revision(s)).max().unwrap_or(0) + 1;
    let set = match &sets.new {
        Some(set) if revision(set) >= next => Arc::clone(set),
        Some(set) => renew(tx, deployment, set, next)?,
        None => create(tx, deployment, size, next)?,
    };
    let current = revision(&set);
    if revision(deployment) != current {
        let key = Key::of(&kinds::of("deployments.apps").resource, deployment);
        tx.modify(&key, &Options::by(CONTROLLER), |d| {
            json::map_mut(d, "/metadata/annotations").insert(REVISION.to_owned(), current.to_string().into());
        });
    }
    Some(set)
}

/// A former template is the current one again: a rollback.
fn renew(tx: &mut Tx<'_>, deployment: &Value, set: &Value, next: i64) -> Option<Arc<Value>> {
    let key = Key::of(&kinds::of("replicasets.apps").resource, set);
    let former = revision(set);
    let inherited = inherited_annotations(deployment);
    tx.modify(&key, &Options::by(CONTROLLER), |s| {
        let annotations = json::map_mut(s, "/metadata/annotations");
        annotations.extend(inherited);
        if former > 0 {
            let name = "deployment.kubernetes.io/revision-history";
            let mut history: Vec<String> = annotations
                .get(name)
                .and_then(Value::as_str)
                .map(|h| h.split(',').map(str::to_owned).collect())
                .unwrap_or_default();
            history.push(former.to_string());
            annotations.insert(name.to_owned(), history.join(",").into());
        }
        annotations.insert(REVISION.to_owned(), next.to_string().into());
    })
}

fn create(tx: &mut Tx<'_>, deployment: &Value, size: i64, revision: i64) -> Option<Arc<Value>> {
    let template = template(deployment);
    let hash = rng::template_hash(&json::canonical(&template));
    let mut labelled = template;
    json::map_mut(&mut labelled, "/metadata/labels").insert(HASH.to_owned(), hash.as_str().into());
    let mut selector = deployment["spec"]["selector"].clone();
    json::map_mut(&mut selector, "/matchLabels").insert(HASH.to_owned(), hash.as_str().into());
    let mut annotations = serde_json::Map::new();
    annotations.extend(inherited_annotations(deployment));
    annotations.insert(REVISION.to_owned(), revision.to_string().into());
    let name = format!("{}-{hash}", json::name(deployment));
    let mut set = json!({
        "metadata": {
            "name": name, "labels": labelled["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [pods::owner_reference(deployment)],
        },
        "spec": { "replicas": size, "selector": selector, "template": labelled },
    });
    if let Some(seconds) = deployment["spec"].get("minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    annotate_size(&mut set, &Plan::of(deployment));
    match tx.create(kinds::of("replicasets.apps"), json::namespace(deployment), set, &Options::by(CONTROLLER))
    {
        Ok(set) => {
            if size > 0 {
                let message = format!("Scaled up replica set {name} from 0 to {size}");
                events::record(
                    tx,
                    deployment,
                    events::Event::normal("ScalingReplicaSet", message, COMPONENT),
                );
            }
            Some(set)
        }
        Err(error) => {
            let message = format!("Failed to create new replica set {name:?}: {}", error.message);
            events::record(
                tx,
                deployment,
                events::Event::warning("ReplicaSetCreateError", message, COMPONENT),
            );
            None
        }
    }
}

/// The Deployment's annotations that its sets have too.
fn inherited_annotations(deployment: &Value) -> Vec<(String, Value)> {
    let own = |k: &str| {
        k == "kubectl.kubernetes.io/last-applied-configuration" || k.starts_with("deployment.kubernetes.io/")
    };
    let all = json::map(deployment, "/metadata/annotations").into_iter().flatten();
    all.filter(|(k, _)| !own(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Deletes old sets without pods beyond the history limit, oldest first.
pub(super) fn forget_old(tx: &mut Tx<'_>, deployment: &Value, sets: &Sets) {
    let limit =
        usize::try_from(json::int(deployment, "/spec/revisionHistoryLimit").unwrap_or(10)).unwrap_or(0);
    let mut old: Vec<_> = sets.old.iter().collect();
    old.sort_by_key(|s| revision(s));
    for set in old.iter().take(sets.old.len().saturating_sub(limit)) {
        let idle = json::count(set, "/spec/replicas") == 0 && json::count(set, "/status/replicas") == 0;
        if idle {
            delete_set(tx, set);
        }
    }
}
