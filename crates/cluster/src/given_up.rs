//! Fields that we gave up, and that stayed nevertheless.
//!
//! Server-side apply removes what its manager leaves out and nobody else owns. A real server does not always: where some
//! owner writes the object in another version of its kind (an autoscaler in `autoscaling/v1`, which keeps `behavior` in an
//! annotation), our value comes back with what is theirs. It would be nobody's then, and stay for good: an autoscaler that
//! we paused would be paused for ever. What is left so is removed by a merge patch; what the server puts there by default, it
//! puts there again.

use serde_json::{Value, json};

use crate::FIELD_MANAGER;
use crate::cluster::Cluster;
use crate::discovery::Served;
use crate::error::ClusterError;
use crate::field_walk;
use crate::object::ObjectRef;
use crate::owned_fields;
use crate::transport::Call;

impl Cluster {
    /// Removes what an apply should have removed and did not; gives the object as it is then. After a dry run there is nothing.
    ///
    /// # Errors
    /// As for apply; a conflict when somebody wrote the object since.
    pub(crate) async fn remove_given_up(
        &self,
        operation: &str,
        served: &Served,
        object: &ObjectRef,
        live: &Value,
        after: Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError> {
        let left = left_over(live, &after).filter(|_| !self.only_asks(dry_run));
        let Some(mut patch) = left else { return Ok(after) };
        patch["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"].clone();
        let call = Call::merge(served.path(object), patch)
            .query("fieldManager", FIELD_MANAGER)
            .sensitive(object.is_secret());
        self.transport.call(operation, &call).await
    }
}

/// The merge patch that removes what we owned in `live`, nobody owns in `after`, and still has our value there. Items of lists
/// are left: a merge patch cannot name them.
fn left_over(live: &Value, after: &Value) -> Option<Value> {
    let owned = |object| owned_fields::owned_by(object, FIELD_MANAGER);
    let given_up = owned_fields::difference(&owned(live), &owned(after));
    let given_up = owned_fields::difference(&given_up, &owned_fields::owned_by_others(after, FIELD_MANAGER));
    let mut patch = json!({});
    let mut is_empty = true;
    for field in field_walk::leaves(&given_up, live, after) {
        let names: Option<Vec<&str>> = field.tree_path.iter().map(|key| key.strip_prefix("f:")).collect();
        if let Some(names) = names
            && field.got.is_some()
            && field.got == field.want
        {
            let at = names.iter().fold(&mut patch, |at, name| &mut at[*name]);
            *at = Value::Null;
            is_empty = false;
        }
    }
    (!is_empty).then_some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(spec: &Value, managers: &Value) -> Value {
        json!({"metadata": {"name": "web", "managedFields": managers}, "spec": spec})
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "autoscaling/v2", "fieldsV1": fields})
    }

    /// What a real server answered: the owner is gone, and what it owned is not.
    #[test]
    fn what_was_ours_alone_and_stayed_is_removed() {
        let paused =
            json!({"minReplicas": 1, "behavior": {"scaleUp": {"selectPolicy": "Disabled", "policies": []}}});
        let ours = json!({"f:spec": {"f:behavior": {"f:scaleUp": {"f:selectPolicy": {}}}}});
        let live = object(&paused, &json!([entry(FIELD_MANAGER, "Apply", &ours)]));
        let patch = left_over(&live, &object(&paused, &json!([])));
        assert_eq!(patch, Some(json!({"spec": {"behavior": {"scaleUp": {"selectPolicy": null}}}})));
    }

    #[test]
    fn what_went_changed_or_is_owned_by_others_is_let_be() {
        let ours = json!({"f:spec": {"f:replicas": {}, "f:paused": {}, "f:minReadySeconds": {}, "f:ports": {"k:{\"port\":80}": {"f:name": {}}}}});
        let spec = json!({"replicas": 3, "paused": true, "minReadySeconds": 5, "ports": [{"port": 80, "name": "http"}]});
        let live = object(&spec, &json!([entry(FIELD_MANAGER, "Apply", &ours)]));
        // One is another's, one is gone, one has its default again, and one is in a list.
        let others = json!([entry("kubectl", "Update", &json!({"f:spec": {"f:replicas": {}}}))]);
        let spec = json!({"replicas": 3, "minReadySeconds": 0, "ports": [{"port": 80, "name": "http"}]});
        assert_eq!(left_over(&live, &object(&spec, &others)), None);
    }
}
