//! Changes single fields of an object that exists, and nothing else.
//!
//! Server-side apply removes what a manager applied before and leaves out now; so an apply of one field alone with our
//! manager would strip the object of everything else that we own, and one with a second manager would make the next
//! ordinary apply fail on a conflict with ourselves. Therefore the fields that we own are read back from the object, the
//! change is made among them, and the whole is applied with our one manager, guarded by the object's version. An object that
//! others made keeps all its fields, and its label that says who manages it; we come to own what was changed, and our marks.

use serde_json::{Value, json};

use crate::FIELD_MANAGER;
use crate::apply::{Applied, ApplyFlags, ApplyOptions, applied};
use crate::cluster::Cluster;
use crate::discovery::Served;
use crate::error::ClusterError;
use crate::marks::MANAGED_BY;
use crate::object::ObjectRef;
use crate::owned_fields;
use crate::restore::identified;

impl Cluster {
    /// Reads the object, lets `change` set fields among those that we own, and applies them. The owners of what it sets are
    /// overruled: that is what an edit is for; `options.force` does not matter.
    ///
    /// `change` is given our part of the object, to change it, and the whole object as it is. It is called again when
    /// somebody else wrote meanwhile. What it refuses is [`ClusterError::Invalid`] with its words.
    ///
    /// # Errors
    /// `NotFound` without the object; `Invalid`; else as for apply.
    pub async fn edit(
        &self,
        object: &ObjectRef,
        options: &ApplyOptions,
        change: impl Fn(&mut Value, &Value) -> Result<(), String>,
    ) -> Result<Applied, ClusterError> {
        let (before, after) = self.edited(&format!("change {object}"), object, options, &change).await?;
        Ok(applied(object.clone(), Some(&before), &after))
    }

    /// As [`Cluster::edit`]; gives the whole object before and after.
    pub(crate) async fn edited(
        &self,
        operation: &str,
        object: &ObjectRef,
        options: &ApplyOptions,
        change: &impl Fn(&mut Value, &Value) -> Result<(), String>,
    ) -> Result<(Value, Value), ClusterError> {
        let retry = &self.transport.retry;
        retry.afresh(operation, || self.edit_once(operation, object, options, change)).await
    }

    /// As [`Cluster::edit`], with the change written as a JSON merge patch: what it names is set, and what it sets to
    /// `null` is given up, which removes it unless others own it too. Lists are replaced as a whole.
    ///
    /// # Errors
    /// As for [`Cluster::edit`].
    pub async fn set_fields(
        &self,
        object: &ObjectRef,
        options: &ApplyOptions,
        fields: &Value,
    ) -> Result<Applied, ClusterError> {
        self.edit(object, options, |ours, _| {
            merge(ours, fields);
            Ok(())
        })
        .await
    }

    /// Sets how many pods a workload has (T44), by its `spec.replicas`.
    ///
    /// # Errors
    /// `Invalid` for what has no replicas; else as for [`Cluster::edit`].
    pub async fn scale(
        &self,
        object: &ObjectRef,
        replicas: u32,
        options: &ApplyOptions,
    ) -> Result<Applied, ClusterError> {
        self.edit(object, options, |ours, live| {
            if live["spec"]["replicas"].is_null() {
                return Err(format!("{object} has no `spec.replicas`, so it cannot be scaled"));
            }
            ours["spec"]["replicas"] = Value::from(replicas);
            Ok(())
        })
        .await
    }

    async fn edit_once(
        &self,
        operation: &str,
        object: &ObjectRef,
        options: &ApplyOptions,
        change: &impl Fn(&mut Value, &Value) -> Result<(), String>,
    ) -> Result<(Value, Value), ClusterError> {
        let (object, served, live) = self.as_applied(operation, object).await?;
        let object = &object;
        let mut content = identified(ours(&live), object);
        change(&mut content, &live)
            .map_err(|message| ClusterError::Invalid { operation: operation.to_owned(), message })?;
        options.marks.write(&mut content);
        leave_manager(&mut content, &live);
        content["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        let flags = ApplyFlags { dry_run: options.dry_run, force: true, strict: false };
        let after = self.apply_as(FIELD_MANAGER, operation, &served, object, content, flags).await?;
        let after = self.remove_given_up(operation, &served, object, &live, after, options.dry_run).await?;
        Ok((live, after))
    }
}

impl Cluster {
    /// The object as it is, in the version of its kind in which we applied it last: which fields are ours is written down in
    /// that version's names, and read in another version, what it names otherwise would be missing, and be removed.
    async fn as_applied(
        &self,
        operation: &str,
        object: &ObjectRef,
    ) -> Result<(ObjectRef, Served, Value), ClusterError> {
        let served = self.served(operation, object).await?;
        let live = self.read(operation, &served, object).await?.ok_or_else(|| ClusterError::NotFound {
            operation: operation.to_owned(),
            message: format!("{object} does not exist"),
        })?;
        let version = owned_fields::applied_version(&live, FIELD_MANAGER);
        let Some(version) = version.filter(|version| **version != object.api_version) else {
            return Ok((object.clone(), served, live));
        };
        let there = ObjectRef { api_version: version.to_owned(), ..object.clone() };
        let served_there = match self.served(operation, &there).await {
            Ok(served) => served,
            // That version is served no more: the names of today have to do.
            Err(ClusterError::UnknownKind { .. }) => return Ok((object.clone(), served, live)),
            Err(error) => return Err(error),
        };
        match self.read(operation, &served_there, &there).await? {
            Some(live) => Ok((there, served_there, live)),
            None => Ok((object.clone(), served, live)),
        }
    }
}

/// Leaves the label that says who manages an object to another who set it, such as Helm: a change of one field takes nothing
/// over.
fn leave_manager(content: &mut Value, live: &Value) {
    let manager = live["metadata"]["labels"][MANAGED_BY.0].as_str();
    if manager.is_some_and(|manager| manager != MANAGED_BY.1)
        && let Some(labels) = content["metadata"]["labels"].as_object_mut()
    {
        labels.shift_remove(MANAGED_BY.0);
    }
}

/// The part of the object that we own.
pub(crate) fn ours(live: &Value) -> Value {
    let owned = owned_fields::owned_by(live, FIELD_MANAGER);
    match owned_fields::is_empty(&owned) {
        true => json!({}),
        false => owned_fields::project(live, &owned).unwrap_or_else(|| json!({})),
    }
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(map) = target.as_object_mut() else { return };
    for (key, value) in fields {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_sets_removes_and_replaces() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge(&mut target, &json!({"a": {"b": null, "d": {"e": 3}}, "list": [3]}));
        assert_eq!(target, json!({"a": {"c": 2, "d": {"e": 3}}, "list": [3]}));
    }

    #[test]
    fn of_an_object_of_others_nothing_is_ours() {
        let live = json!({"metadata": {"managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"replicas": 2}});
        assert_eq!(ours(&live), json!({}));
    }
}
