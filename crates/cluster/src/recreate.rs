//! Creates an object anew that was deleted since its snapshot, or that cannot be changed in place.

use std::time::Duration;

use serde_json::{Value, json};

use crate::FIELD_MANAGER;
use crate::apply::ApplyFlags;
use crate::cluster::Cluster;
use crate::discovery::Served;
use crate::error::ClusterError;
use crate::object::{self, ObjectRef};
use crate::owned_fields;
use crate::restore::{Place, identified};

/// Owner of what others had written on an object before it was deleted: so that a later release neither removes those
/// fields nor is refused because of its own.
const STAND_IN: &str = "pilothouse-restore";

/// Creates the object with everything it had. Afterwards we own what we owned then, and [`STAND_IN`] the rest.
///
/// Three applies: all of it as the stand-in (an object must be valid when it is created), our part as ourselves, and as
/// the stand-in once more without our part, which gives that part up.
pub(crate) async fn recreate(
    cluster: &Cluster,
    operation: &str,
    served: &Served,
    object: &ObjectRef,
    (before, owned): (&Value, &Value),
    flags: ApplyFlags,
) -> Result<Value, ClusterError> {
    let whole = identified(owned_by_the_living(cluster, fresh(before.clone())).await?, object);
    let apply = |manager, content| cluster.apply_as(manager, operation, served, object, content, flags);
    if owned_fields::is_empty(owned) {
        return apply(STAND_IN, whole).await;
    }
    let created = apply(STAND_IN, whole.clone()).await?;
    if cluster.only_asks(flags.dry_run) {
        // Nothing was created, so nothing can be divided.
        return Ok(created);
    }
    let ours = owned_fields::project(&whole, owned).unwrap_or_else(|| json!({}));
    apply(FIELD_MANAGER, identified(ours, object)).await?;
    let rest = owned_fields::subtract(&whole, owned).unwrap_or_else(|| json!({}));
    apply(STAND_IN, identified(rest, object)).await
}

/// Without the references to owners that are gone: the garbage collector would delete the object at once, as it did the one
/// before. An owner of that name that was made anew is another.
async fn owned_by_the_living(cluster: &Cluster, mut object: Value) -> Result<Value, ClusterError> {
    let Some(references) = object["metadata"]["ownerReferences"].as_array() else { return Ok(object) };
    let mut living = Vec::new();
    for reference in references {
        let text = |key: &str| reference[key].as_str().unwrap_or_default().to_owned();
        let owner = ObjectRef {
            api_version: text("apiVersion"),
            kind: text("kind"),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
            name: text("name"),
        };
        let lives = match cluster.get(&owner).await {
            Ok(live) => live.is_some_and(|live| reference["uid"].as_str() == Some(object::uid(&live))),
            Err(ClusterError::UnknownKind { .. }) => false,
            // Who may not ask cannot tell; most owners outlive what they own.
            Err(ClusterError::Denied { .. }) => true,
            Err(error) => return Err(error),
        };
        if lives {
            living.push(reference.clone());
        }
    }
    match object["metadata"].as_object_mut() {
        Some(metadata) if living.is_empty() => drop(metadata.shift_remove("ownerReferences")),
        Some(metadata) => drop(metadata.insert("ownerReferences".to_owned(), living.into())),
        None => {}
    }
    Ok(object)
}

/// How long an object may take to be gone after it was deleted.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Whether an object that is refused in place is deleted and created anew: a Job, whose template is fixed, and a ConfigMap
/// or Secret that is immutable. Nothing runs in them that would be interrupted, but for the Job that is taken back.
pub(crate) fn is_replaced(object: &ObjectRef, live: &Value) -> bool {
    let fixed = match (object.group(), object.kind.as_str()) {
        ("batch", "Job") => true,
        ("", "ConfigMap" | "Secret") => live["immutable"] == true,
        _ => false,
    };
    fixed && !owned_fields::is_empty(&owned_fields::owned_by(live, FIELD_MANAGER))
}

/// Deletes the object, waits until it is gone, and creates it as it was.
pub(crate) async fn replace(
    cluster: &Cluster,
    at: &Place<'_>,
    (before, owned): (&Value, &Value),
    live: &Value,
) -> Result<Value, ClusterError> {
    cluster.delete_seen(at, live).await?;
    if cluster.only_asks(at.options.dry_run) {
        // Asked for a creation now, the server would see the one that is still there.
        return Ok(before.clone());
    }
    if !cluster.gone(at.object, Some(object::uid(live)), GONE_WITHIN).await? {
        let operation = format!("{}: wait until the former object is gone", at.operation);
        return Err(ClusterError::Timeout { operation, after: GONE_WITHIN });
    }
    recreate(cluster, at.operation, at.served, at.object, (before, owned), at.flags()).await
}

/// Without what belongs to the object that is gone.
fn fresh(before: Value) -> Value {
    let mut fresh = object::clean(before);
    if fresh["kind"] == "Service"
        && let Some(spec) = fresh["spec"].as_object_mut()
        // `None` makes a headless service; any address may have been given away since.
        && spec.get("clusterIP").and_then(Value::as_str) != Some("None")
    {
        spec.shift_remove("clusterIP");
        spec.shift_remove("clusterIPs");
    }
    if fresh["kind"] == "Job" {
        fresh_job(&mut fresh);
    }
    fresh
}

/// The server writes a selector and labels with the uid into each Job; those of the old one fit no new one.
fn fresh_job(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    if let Some(spec) = job["spec"].as_object_mut() {
        spec.shift_remove("selector");
    }
    for pointer in ["/metadata/labels", "/spec/template/metadata/labels"] {
        if let Some(labels) = job.pointer_mut(pointer).and_then(Value::as_object_mut) {
            labels.retain(|key, _| key != "controller-uid" && key != "batch.kubernetes.io/controller-uid");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_service_is_not_asked_for_again_unless_it_has_none() {
        let service = |ip: &str| json!({"kind": "Service", "metadata": {"uid": "1"}, "spec": {"clusterIP": ip, "clusterIPs": [ip]}});
        assert_eq!(fresh(service("10.0.0.1")), json!({"kind": "Service", "metadata": {}, "spec": {}}));
        assert_eq!(fresh(service("None"))["spec"]["clusterIP"], "None");
    }

    #[test]
    fn a_job_loses_the_labels_of_its_former_self() {
        let job = json!({"kind": "Job", "metadata": {"labels": {"controller-uid": "1", "a": "b"}},
            "spec": {"selector": {"matchLabels": {}}, "template": {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "1"}}}}});
        assert_eq!(
            fresh(job),
            json!({"kind": "Job", "metadata": {"labels": {"a": "b"}}, "spec": {"template": {"metadata": {"labels": {}}}}})
        );
    }
}
