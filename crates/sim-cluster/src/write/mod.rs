//! Creating, changing and deleting objects as the API server does it. Requests and controllers write through the same functions.

pub(crate) mod allocate;
mod delete;
mod pods;
mod quota;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    custom,
    fields::{self, Manager, same_but_managed_fields, track_update},
    json,
    kinds::{self, Kind},
    status::{ApiError, ApiResult},
    store::{Key, Tx},
    strategy,
};
pub(crate) use delete::{DeleteOptions, FOREGROUND, Propagation, drop_owner};

/// How to write, and on whose behalf.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) manager: Manager,
    /// Check and answer, but store nothing.
    pub(crate) dry_run: bool,
    /// Take fields from other managers (server-side apply).
    pub(crate) force: bool,
}

impl Options {
    pub(crate) fn by(manager: &str) -> Self {
        let manager = Manager { name: manager.to_owned(), subresource: "" };
        Self { manager, dry_run: false, force: false }
    }

    /// The same, for a subresource.
    pub(crate) fn on(mut self, subresource: &'static str) -> Self {
        self.manager.subresource = subresource;
        self
    }
}

/// The manager of what the built-in controllers write.
pub(crate) const CONTROLLER: &str = "kube-controller-manager";

impl Tx<'_> {
    /// Creates an object; `ns` is the namespace of the request.
    pub(crate) fn create(
        &mut self,
        kind: &'static Kind,
        ns: &str,
        mut object: Value,
        options: &Options,
    ) -> ApiResult<Arc<Value>> {
        self.place(kind, ns, &mut object)?;
        self.name(&mut object);
        json::remove(&mut object, "/metadata/managedFields");
        self.finish_create(kind, object, options, true)
    }

    /// Creates or changes an object by server-side apply. The flag says whether it was created.
    pub(crate) fn apply(
        &mut self,
        kind: &'static Kind,
        ns: &str,
        name: &str,
        mut config: Value,
        options: &Options,
    ) -> ApiResult<(Arc<Value>, bool)> {
        if config
            .pointer("/metadata/managedFields")
            .is_some_and(|m| m.as_array().is_none_or(|a| !a.is_empty()))
        {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        json::remove(&mut config, "/metadata/managedFields");
        self.place(kind, ns, &mut config)?;
        check_name(name, &mut config)?;
        let live = self.get(&kind.resource, ns, name);
        let wanted_version = json::text(&config, "/metadata/resourceVersion").to_owned();
        json::remove(&mut config, "/metadata/resourceVersion");
        if options.manager.subresource == "status" {
            let metadata = json!({ "name": name, "namespace": ns });
            config = json!({ "apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": metadata, "status": config["status"] });
        } else if kind.status {
            json::remove(&mut config, "/status");
        }
        let before = live.as_deref().cloned().unwrap_or(Value::Null);
        let mut merged =
            fields::apply(kind, &before, &config, &options.manager, options.force, &self.stamp())?;
        if live.is_none() {
            if !options.manager.subresource.is_empty() {
                return Err(ApiError::not_found(kind, name));
            }
            if !wanted_version.is_empty() {
                return Err(ApiError::modified(kind, name));
            }
            return Ok((self.finish_create(kind, merged, options, false)?, true));
        }
        if !wanted_version.is_empty() {
            json::set(&mut merged, "/metadata/resourceVersion", wanted_version);
        }
        Ok((self.finish_update(kind, &before, merged, options, false)?, false))
    }

    /// Replaces an object, or its part that is the subresource of `options`.
    pub(crate) fn update(
        &mut self,
        kind: &'static Kind,
        ns: &str,
        name: &str,
        mut object: Value,
        options: &Options,
    ) -> ApiResult<Arc<Value>> {
        self.place(kind, ns, &mut object)?;
        check_name(name, &mut object)?;
        let live = self.get(&kind.resource, ns, name).ok_or_else(|| ApiError::not_found(kind, name))?;
        self.finish_update(kind, &live, object, options, true)
    }

    /// Changes an object in place on behalf of a controller; does nothing when it is gone or `change` changes nothing. A refusal is logged.
    pub(crate) fn modify(
        &mut self,
        key: &Key,
        options: &Options,
        change: impl FnOnce(&mut Value),
    ) -> Option<Arc<Value>> {
        let kind = kinds::of(key.resource);
        let live = self.get_key(key)?;
        let mut new = Value::clone(&live);
        change(&mut new);
        if new == *live {
            return Some(live);
        }
        match self.finish_update(kind, &live, new, options, true) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::warn!(
                    resource = key.resource,
                    ns = key.ns,
                    name = key.name,
                    message = error.message,
                    "a controller's write was refused"
                );
                None
            }
        }
    }

    /// Checks kind and namespace of what a request brings, and fills them in.
    fn place(&self, kind: &'static Kind, ns: &str, object: &mut Value) -> ApiResult<()> {
        if !object.is_object() {
            return Err(ApiError::bad_request("the object provided is not an object"));
        }
        let (given_version, given_kind) =
            (json::text(object, "/apiVersion").to_owned(), json::text(object, "/kind").to_owned());
        if !given_version.is_empty() && given_version != kind.api_version() {
            let expected = kind.api_version();
            let message = format!(
                "the API version in the data ({given_version}) does not match the expected API version ({expected})"
            );
            return Err(ApiError::bad_request(message));
        }
        if !given_kind.is_empty() && given_kind != kind.kind {
            let message = format!(
                "{given_kind} in version {:?} cannot be handled as a {}: no kind {given_kind:?} is registered for version {:?}",
                kind.version,
                kind.kind,
                kind.api_version()
            );
            return Err(ApiError::bad_request(message));
        }
        json::set(object, "/apiVersion", kind.api_version());
        json::set(object, "/kind", kind.kind);
        let given = json::namespace(object);
        if kind.namespaced {
            if !given.is_empty() && given != ns {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            json::set(object, "/metadata/namespace", ns);
        } else if !given.is_empty() {
            json::remove(object, "/metadata/namespace");
        }
        Ok(())
    }

    fn name(&mut self, object: &mut Value) {
        let prefix = json::text(object, "/metadata/generateName");
        if json::name(object).is_empty() && !prefix.is_empty() {
            let kept: String = prefix.chars().take(58).collect();
            let name = format!("{kept}{}", self.state.rng.suffix());
            json::set(object, "/metadata/name", name);
        }
    }

    fn finish_create(
        &mut self,
        kind: &'static Kind,
        mut object: Value,
        options: &Options,
        track: bool,
    ) -> ApiResult<Arc<Value>> {
        json::drop_nulls(&mut object);
        self.admit(kind, &object)?;
        if !json::text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        for field in ["uid", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            json::remove(&mut object, &format!("/metadata/{field}"));
        }
        json::set(&mut object, "/metadata/uid", self.state.rng.uuid());
        json::set(&mut object, "/metadata/creationTimestamp", self.stamp());
        if has_generation(kind) {
            json::set(&mut object, "/metadata/generation", 1);
        }
        if kind.status && kind.resource != "nodes" {
            json::remove(&mut object, "/status");
        }
        strategy::set_defaults(kind, &mut object);
        match kind.resource.as_str() {
            "pods" => strategy::finish_pod(&mut object),
            "services" => self.allocate_addresses(None, &mut object),
            "persistentvolumeclaims" => json::set(&mut object, "/status/phase", "Bound"),
            custom::DEFINITIONS => custom::establish(&mut object, &self.stamp()),
            _ => {}
        }
        if kind.is("pods") {
            self.admit_limits(kind, &mut object)?;
        }
        strategy::validate(kind, None, &object)?;
        let (ns, name) = (json::namespace(&object).to_owned(), json::name(&object).to_owned());
        if kind.is("pods") {
            self.admit_pod(kind, &ns, &mut object)?;
        }
        if self.get(&kind.resource, &ns, &name).is_some() {
            return Err(ApiError::already_exists(kind, &name));
        }
        if kind.namespaced {
            self.admit_quota(kind, &object)?;
        }
        if track && !kind.is("events") {
            track_update(kind, &Value::Null, &mut object, &options.manager, &self.stamp());
        }
        if options.dry_run {
            return Ok(Arc::new(object));
        }
        check_size(&object)?;
        let stored = self.put(kind, object);
        if kind.is("namespaces") {
            self.furnish(&name);
        }
        Ok(stored)
    }

    /// Refuses objects for namespaces that are absent or going away.
    fn admit(&self, kind: &'static Kind, object: &Value) -> ApiResult<()> {
        let ns = json::namespace(object);
        if !kind.namespaced {
            return Ok(());
        }
        match self.get("namespaces", "", ns) {
            None => Err(ApiError::not_found(kinds::of("namespaces"), ns)),
            Some(namespace) if json::is_deleting(&namespace) => {
                let why =
                    format!("unable to create new content in namespace {ns} because it is being terminated");
                let mut error = ApiError::forbidden(kind, json::name(object), &why);
                error.details["causes"] = json!([{ "reason": "NamespaceTerminating", "message": format!("namespace {ns} is being terminated"), "field": "metadata.namespace" }]);
                Err(error)
            }
            Some(_) => Ok(()),
        }
    }

    /// What every namespace has from the start.
    fn furnish(&mut self, ns: &str) {
        let options = Options::by(CONTROLLER);
        let account = json!({ "metadata": { "name": "default" } });
        let authority = json!({
            "metadata": { "name": "kube-root-ca.crt", "annotations": { "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver." } },
            "data": { "ca.crt": "" }
        });
        for (resource, object) in [("serviceaccounts", account), ("configmaps", authority)] {
            // They exist already when a namespace is created again before its contents are gone: nothing to do.
            let _ = self.create(kinds::of(resource), ns, object, &options);
        }
    }

    fn finish_update(
        &mut self,
        kind: &'static Kind,
        live: &Value,
        mut new: Value,
        options: &Options,
        track: bool,
    ) -> ApiResult<Arc<Value>> {
        let name = json::name(live).to_owned();
        check_preconditions(kind, live, &new)?;
        json::drop_nulls(&mut new);
        let status_only = options.manager.subresource == "status";
        if status_only {
            let status = new.get("status").cloned();
            let managed = new.pointer("/metadata/managedFields").cloned();
            new = live.clone();
            match status {
                Some(status) => json::set(&mut new, "/status", status),
                None => drop(json::remove(&mut new, "/status")),
            }
            if let Some(managed) = managed.filter(|_| !track) {
                json::set(&mut new, "/metadata/managedFields", managed);
            }
        } else if kind.status {
            match live.get("status") {
                Some(status) => json::set(&mut new, "/status", status.clone()),
                None => drop(json::remove(&mut new, "/status")),
            }
        }
        keep_system_metadata(live, &mut new);
        if !status_only {
            if kind.is("services") {
                self.allocate_addresses(Some(live), &mut new);
            }
            strategy::set_defaults(kind, &mut new);
            if kind.is(custom::DEFINITIONS) {
                custom::establish(&mut new, json::text(live, "/status/conditions/0/lastTransitionTime"));
            }
            strategy::validate(kind, Some(live), &new)?;
            if has_generation(kind) && wants_other(kind, live, &new) {
                json::set(&mut new, "/metadata/generation", json::count(live, "/metadata/generation") + 1);
            }
        }
        // Nobody applies a pod's status, and it is written most of all.
        let is_pod_status = status_only && kind.is("pods");
        if track && !kind.is("events") && !is_pod_status {
            track_update(kind, live, &mut new, &options.manager, &self.stamp());
        }
        if same_but_managed_fields(live, &new, !track) {
            return Ok(self
                .get(&kind.resource, json::namespace(live), &name)
                .unwrap_or_else(|| Arc::new(live.clone())));
        }
        if options.dry_run {
            return Ok(Arc::new(new));
        }
        check_size(&new)?;
        let finished = json::is_deleting(&new)
            && json::items(&new, "/metadata/finalizers").is_empty()
            && !kind.is("pods");
        let stored = self.put(kind, new);
        if finished && !kind.is("namespaces") {
            self.remove(&Key::of(&kind.resource, &stored));
        }
        Ok(stored)
    }
}

/// Kinds whose `metadata.generation` is set and counts changes of what is wanted.
fn has_generation(kind: &Kind) -> bool {
    kind.custom.is_some()
        || matches!(
            kind.plural,
            "deployments"
                | "replicasets"
                | "statefulsets"
                | "daemonsets"
                | "replicationcontrollers"
                | "jobs"
                | "cronjobs"
                | "horizontalpodautoscalers"
                | "poddisruptionbudgets"
                | "ingresses"
                | "ingressclasses"
                | "networkpolicies"
                | "endpointslices"
                | "priorityclasses"
                | "customresourcedefinitions"
        )
}

/// Whether what is wanted differs: the spec; of kinds without one, and of custom resources, everything but metadata and a separate status.
fn wants_other(kind: &Kind, old: &Value, new: &Value) -> bool {
    if kind.custom.is_none() && old.get("spec").is_some() {
        return old["spec"] != new["spec"];
    }
    let wanted = |object: &Value| {
        let mut object = object.clone();
        json::remove(&mut object, "/metadata");
        if kind.status {
            json::remove(&mut object, "/status");
        }
        object
    };
    wanted(old) != wanted(new)
}

/// What etcd takes: 1.5 MiB.
const MAX_STORED: usize = 1536 * 1024;

fn check_size(object: &Value) -> ApiResult<()> {
    // Most objects are small: measuring those is not worth it.
    let large = |v: &Value| v.as_object().is_some_and(|m| m.len() > 500 || m.values().any(is_long));
    let suspicious = object.as_object().is_some_and(|m| m.values().any(|v| large(v) || is_long(v)));
    if suspicious && object.to_string().len() > MAX_STORED {
        return Err(ApiError::new(500, "", "etcdserver: request is too large"));
    }
    Ok(())
}

fn is_long(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > 65_536,
        Value::Array(list) => list.len() > 500 || list.iter().any(is_long),
        Value::Object(map) => map.len() > 500 || map.values().any(is_long),
        _ => false,
    }
}

fn check_name(name: &str, object: &mut Value) -> ApiResult<()> {
    let given = json::name(object);
    if !given.is_empty() && given != name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    json::set(object, "/metadata/name", name);
    Ok(())
}

fn check_preconditions(kind: &Kind, live: &Value, new: &Value) -> ApiResult<()> {
    let wanted = json::text(new, "/metadata/resourceVersion");
    if !wanted.is_empty() && wanted != "0" && wanted != json::text(live, "/metadata/resourceVersion") {
        return Err(ApiError::modified(kind, json::name(live)));
    }
    let uid = json::uid(new);
    if !uid.is_empty() && uid != json::uid(live) {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            json::uid(live)
        );
        return Err(ApiError::conflict(kind, json::name(live), &why));
    }
    Ok(())
}

/// What a client cannot change.
fn keep_system_metadata(live: &Value, new: &mut Value) {
    for field in [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let pointer = format!("/metadata/{field}");
        match live.pointer(&pointer) {
            Some(value) => json::set(new, &pointer, value.clone()),
            None => drop(json::remove(new, &pointer)),
        }
    }
}
