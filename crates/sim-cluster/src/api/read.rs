//! GET of an object and of a collection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Address, Api, Reply,
    call::{Call, Form},
    events, table,
};
use crate::{
    json,
    kinds::Kind,
    status::{ApiError, ApiResult},
};

pub(super) fn get(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let object = api.shared.core.transact(|tx| tx.get(&address.kind.resource, &address.ns, &address.name));
    let object = object.ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
    Ok(Reply::ok(shown(api, call, address, &object)))
}

/// One object in the form that the client asks for.
pub(super) fn shown(api: &Api, call: &Call, address: &Address, object: &Arc<Value>) -> Value {
    match call.form() {
        Form::Object => as_served(address.kind, object),
        Form::Metadata => partial(object),
        Form::Table => {
            let version = json::text(object, "/metadata/resourceVersion");
            table::of(
                address.kind,
                std::slice::from_ref(object),
                &table_options(api, call),
                &json!({ "resourceVersion": version }),
            )
        }
    }
}

pub(super) fn table_options(api: &Api, call: &Call) -> table::Options {
    table::Options { now: api.shared.core.now(), include: call.param("includeObject").to_owned() }
}

/// An object as the group and version of the request have it.
pub(super) fn as_served(kind: &Kind, object: &Value) -> Value {
    if events::is_newer(kind) {
        return events::to_newer(object);
    }
    let mut shown = object.clone();
    if kind.custom.is_some() && object["apiVersion"] != kind.api_version().as_str() {
        // Versions of a custom resource differ in name only, unless a webhook converts them.
        json::set(&mut shown, "/apiVersion", kind.api_version());
    }
    shown
}

/// An object's metadata only.
pub(super) fn partial(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}

pub(super) fn list(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let (labels, fields) = (call.labels()?, call.fields(address.kind)?);
    let (all, now_version) =
        api.shared.core.transact(|tx| (tx.list(&address.kind.resource, &address.ns), tx.version()));
    let (from, version) = match call.param("continue") {
        "" => (None, now_version.to_string()),
        token => {
            let (version, position) = read_token(token)
                .ok_or_else(|| ApiError::expired("the provided continue parameter is not valid"))?;
            let known = api.shared.core.transact(|tx| tx.changes_since(version.parse().unwrap_or(0)).is_ok());
            if !known {
                return Err(ApiError::expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
                     the continue parameter.",
                ));
            }
            (Some(position), version)
        }
    };
    if let Some(wanted) = call.number("resourceVersion").filter(|v| *v > now_version) {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {now_version}");
        let cause = json!({ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" });
        let details = json!({ "retryAfterSeconds": 1, "causes": [cause] });
        return Err(ApiError { details, ..ApiError::new(504, "Timeout", message) });
    }
    let position = |o: &Value| (json::namespace(o).to_owned(), json::name(o).to_owned());
    let mut selected: Vec<_> = all
        .into_iter()
        .filter(|o| labels.select(o) && fields.select(o))
        .filter(|o| from.as_ref().is_none_or(|f| position(o) > *f))
        .collect();
    let mut metadata = json!({ "resourceVersion": version });
    let limit = call.number("limit").and_then(|l| usize::try_from(l).ok()).filter(|l| *l > 0);
    if let Some(limit) = limit.filter(|l| *l < selected.len()) {
        let rest = selected.split_off(limit);
        metadata["remainingItemCount"] = rest.len().into();
        if let Some(last) = selected.last() {
            let (ns, name) = position(last);
            metadata["continue"] = token(&version, &ns, &name).into();
        }
    }
    Ok(Reply::ok(shown_list(api, call, address, &selected, &metadata)))
}

fn shown_list(api: &Api, call: &Call, address: &Address, objects: &[Arc<Value>], metadata: &Value) -> Value {
    let kind = address.kind;
    match call.form() {
        Form::Table => table::of(kind, objects, &table_options(api, call), metadata),
        Form::Metadata => {
            let items: Vec<_> = objects.iter().map(|o| partial(o)).collect();
            json!({ "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items })
        }
        Form::Object => {
            // Items of a real list carry neither kind nor version.
            let items: Vec<_> = objects
                .iter()
                .map(|o| {
                    let mut item = as_served(kind, o);
                    json::remove(&mut item, "/kind");
                    json::remove(&mut item, "/apiVersion");
                    item
                })
                .collect();
            json!({ "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(), "metadata": metadata, "items": items })
        }
    }
}

/// A `continue` token: the version of the first page and the last object shown, in hexadecimal.
fn token(version: &str, ns: &str, name: &str) -> String {
    format!("{version}/{ns}/{name}").bytes().map(|b| format!("{b:02x}")).collect()
}

fn read_token(token: &str) -> Option<(String, (String, String))> {
    let bytes: Option<Vec<u8>> =
        (0..token.len()).step_by(2).map(|i| u8::from_str_radix(token.get(i..i + 2)?, 16).ok()).collect();
    let text = String::from_utf8(bytes?).ok()?;
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    Some((parts.next()?, (parts.next()?, parts.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continue_token_is_read_back() {
        let read = read_token(&token("12", "prod", "web.1"));
        assert_eq!(read, Some(("12".to_owned(), ("prod".to_owned(), "web.1".to_owned()))));
        assert_eq!(read_token("zz"), None);
    }
}
