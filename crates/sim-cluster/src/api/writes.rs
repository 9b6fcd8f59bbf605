//! POST, PUT, PATCH and DELETE.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Address, Api, Reply,
    call::{Call, check_types},
    events, read,
};
use crate::{
    json,
    kinds::{self, Kind},
    patch as patches,
    requests::Asked,
    status::{ApiError, ApiResult, FieldError},
    write::{DeleteOptions, Options, Propagation},
};

fn reply(
    api: &Api,
    call: &Call,
    address: &Address,
    object: &Arc<Value>,
    created: bool,
    warnings: Vec<String>,
) -> Reply {
    let code = if created { StatusCode::CREATED } else { StatusCode::OK };
    Reply::Json { code, body: read::shown(api, call, address, object), warnings }
}

pub(super) fn create(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let decoded = call.object(address.kind)?;
    let options = call.options("")?;
    let (kind, object) = if events::is_newer(address.kind) {
        (kinds::of("events"), events::to_core(&decoded.object))
    } else {
        (address.kind, decoded.object)
    };
    let made = api.shared.core.transact(|tx| tx.create(kind, &address.ns, object, &options))?;
    Ok(reply(api, call, address, &made, true, decoded.warnings))
}

/// Kinds that are replaced only with the version that is replaced; the others also without.
fn needs_version(kind: &Kind) -> bool {
    kind.custom.is_some()
        || matches!(
            kind.plural,
            "namespaces" | "leases" | "poddisruptionbudgets" | "customresourcedefinitions"
        )
}

fn subresource(address: &Address) -> &'static str {
    if address.sub == "status" { "status" } else { "" }
}

pub(super) fn replace(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let decoded = call.object(address.kind)?;
    let options = call.options(subresource(address))?;
    if json::text(&decoded.object, "/metadata/resourceVersion").is_empty() && needs_version(address.kind) {
        let text = "must be specified for an update";
        let error = FieldError::invalid("metadata.resourceVersion", &0.into(), text);
        return Err(ApiError::invalid(address.kind, &address.name, &[error]));
    }
    let new = api
        .shared
        .core
        .transact(|tx| tx.update(address.kind, &address.ns, &address.name, decoded.object, &options))?;
    Ok(reply(api, call, address, &new, false, decoded.warnings))
}

pub(super) fn patch(api: &Api, call: &Call, address: &Address, asked: &Asked) -> ApiResult<Reply> {
    let options = call.options(subresource(address))?;
    if matches!(call.media_type(), "application/apply-patch+yaml" | "application/apply-patch+cbor") {
        let exists =
            api.shared.core.transact(|tx| tx.get(&address.kind.resource, &address.ns, &address.name));
        if exists.is_none() {
            // An apply that creates needs both permissions.
            api.authorize(&call.identity, &Asked { verb: "create".to_owned(), ..asked.clone() })?;
        }
        return apply(api, call, address, &options);
    }
    let body = call.body_value()?;
    api.shared
        .core
        .transact(|tx| {
            let live = tx
                .get(&address.kind.resource, &address.ns, &address.name)
                .ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
            let patched = patched(call, address.kind, &live, &body)?;
            let decoded = call.decode(address.kind, patched)?;
            let new = tx.update(address.kind, &address.ns, &address.name, decoded.object, &options)?;
            Ok((new, decoded.warnings))
        })
        .map(|(new, warnings)| reply(api, call, address, &new, false, warnings))
}

/// `live` after the patch of this request.
pub(super) fn patched(call: &Call, kind: &Kind, live: &Value, body: &Value) -> ApiResult<Value> {
    match call.media_type() {
        "application/json-patch+json" => patches::json_patch(live, body),
        "application/merge-patch+json" => patches::merge_patch(live, body),
        "application/strategic-merge-patch+json" if kind.custom.is_none() => {
            patches::strategic_merge_patch(live, body)
        }
        _ if kind.custom.is_some() => Err(ApiError::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
             application/merge-patch+json, application/apply-patch+yaml",
        )),
        _ => Err(ApiError::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
             application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

fn apply(api: &Api, call: &Call, address: &Address, options: &Options) -> ApiResult<Reply> {
    if call.param("fieldManager").is_empty() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        let mut refused = ApiError::invalid(address.kind, "", &[error]);
        refused.message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch".to_owned();
        return Err(refused);
    }
    let mut config = call.body_value()?;
    if json::text(&config, "/kind").is_empty() || json::text(&config, "/apiVersion").is_empty() {
        return Err(ApiError::bad_request("invalid object type: /, Kind="));
    }
    // A real API server cannot build its typed object then, and says so with a 500 without a reason.
    let refuse = |what: String| {
        let (ns, name) = (&address.ns, &address.name);
        let version = address.kind.api_version();
        let message = format!(
            "failed to create typed patch object ({ns}/{name}; {version}, Kind={}): {what}",
            address.kind.kind
        );
        ApiError::new(500, "", message)
    };
    let unknown = check_types(address.kind, &mut config).map_err(refuse)?;
    if let Some(path) = unknown.first() {
        return Err(refuse(format!(".{path}: field not declared in schema")));
    }
    let (object, created) =
        api.shared.core.transact(|tx| tx.apply(address.kind, &address.ns, &address.name, config, options))?;
    Ok(reply(api, call, address, &object, created, Vec::new()))
}

fn delete_options(call: &Call) -> ApiResult<DeleteOptions> {
    let body = call.body_value()?;
    let mut options = options_from(&body);
    let dry_run = call.param("dryRun");
    if !matches!(dry_run, "" | "All") {
        let text = format!("dryRun: Unsupported value: {dry_run:?}: supported values: \"All\"");
        return Err(invalid_delete_options(&text));
    }
    options.dry_run = call.dry_run();
    if let Ok(seconds) = call.param("gracePeriodSeconds").parse() {
        options.grace_seconds = Some(seconds);
    }
    let policy = match call.param("propagationPolicy") {
        "" => json::text(&body, "/propagationPolicy"),
        given => given,
    };
    if !policy.is_empty() && body.get("orphanDependents").is_some_and(|o| !o.is_null()) {
        let text =
            "propagationPolicy: Invalid value: orphanDependents and deletionPropagation cannot be both set";
        return Err(invalid_delete_options(text));
    }
    options.propagation = match policy {
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        "Orphan" => Some(Propagation::Orphan),
        "" if body["orphanDependents"] == json!(true) => Some(Propagation::Orphan),
        "" if body["orphanDependents"] == json!(false) => Some(Propagation::Background),
        "" => None,
        other => {
            return Err(invalid_delete_options(&format!(
                "propagationPolicy: Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            )));
        }
    };
    Ok(options)
}

fn invalid_delete_options(what: &str) -> ApiError {
    ApiError::new(422, "Invalid", format!("DeleteOptions.meta.k8s.io \"\" is invalid: {what}"))
}

/// Grace and preconditions of a `DeleteOptions` object.
pub(super) fn options_from(body: &Value) -> DeleteOptions {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    DeleteOptions {
        grace_seconds: body["gracePeriodSeconds"].as_i64(),
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
        ..DeleteOptions::default()
    }
}

pub(super) fn delete(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let options = delete_options(call)?;
    let (object, gone) =
        api.shared.core.transact(|tx| tx.delete(address.kind, &address.ns, &address.name, &options))?;
    let mut warnings = Vec::new();
    if address.kind.is("jobs.batch") && options.propagation.is_none() {
        warnings.push(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set \
             propagationPolicy=Orphan to suppress this warning"
                .to_owned(),
        );
    }
    let returns_object = matches!(
        address.kind.plural,
        "pods"
            | "services"
            | "serviceaccounts"
            | "persistentvolumeclaims"
            | "persistentvolumes"
            | "resourcequotas"
    );
    if !gone || returns_object {
        return Ok(reply(api, call, address, &object, false, warnings));
    }
    let mut details = json!({ "name": address.name, "kind": address.kind.plural, "uid": json::uid(&object) });
    if !address.kind.group.is_empty() {
        details["group"] = address.kind.group.into();
    }
    let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
    Ok(Reply::Json { code: StatusCode::OK, body, warnings })
}

pub(super) fn delete_collection(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let options = delete_options(call)?;
    let (labels, fields) = (call.labels()?, call.fields(address.kind)?);
    let kind = address.kind;
    let (items, version) = api.shared.core.transact(|tx| {
        let all = tx.list(&kind.resource, &address.ns);
        let mut deleted = Vec::new();
        for object in all.iter().filter(|o| labels.select(o) && fields.select(o)) {
            let (object, _) = tx.delete(kind, json::namespace(object), json::name(object), &options)?;
            deleted.push(Value::clone(&object));
        }
        Ok((deleted, tx.version()))
    })?;
    Ok(Reply::ok(json!({
        "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": { "resourceVersion": version.to_string() }, "items": items,
    })))
}
