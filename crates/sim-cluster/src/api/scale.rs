//! The `scale` subresource.

use serde_json::{Value, json};

use super::{Address, Api, Reply, call::Call, writes};
use crate::{
    custom::ScalePaths,
    json,
    kinds::Kind,
    selector::Labels,
    status::{ApiError, ApiResult, FieldError},
};

/// Where a kind's counts and its selector stand.
fn paths(kind: &Kind) -> ScalePaths {
    let custom = kind.custom.as_ref().and_then(|c| c.scale.clone());
    custom.unwrap_or_else(|| ScalePaths {
        spec: "/spec/replicas".to_owned(),
        status: "/status/replicas".to_owned(),
        selector: String::new(),
    })
}

fn scale_of(kind: &Kind, object: &Value) -> Value {
    let paths = paths(kind);
    let selector = if kind.custom.is_some() {
        json::text(object, &paths.selector).to_owned()
    } else {
        Labels::from_object(&object["spec"]["selector"]).to_string()
    };
    let metadata = &object["metadata"];
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        kept[field] = metadata[field].clone();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept,
        "spec": { "replicas": json::count(object, &paths.spec) },
        "status": {
            "replicas": json::count(object, &paths.status), "selector": selector,
        },
    })
}

pub(super) fn get(api: &Api, address: &Address) -> ApiResult<Reply> {
    let object = api.shared.core.transact(|tx| tx.get(&address.kind.resource, &address.ns, &address.name));
    let object = object.ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
    Ok(Reply::ok(scale_of(address.kind, &object)))
}

pub(super) fn write(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let body = call.body_value()?;
    let options = call.options("scale")?;
    let updated = api.shared.core.transact(|tx| {
        let live = tx
            .get(&address.kind.resource, &address.ns, &address.name)
            .ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
        let before = scale_of(address.kind, &live);
        let after = if call.method == http::Method::PUT { body } else { writes::patched(call, address.kind, &before, &body)? };
        let replicas = json::int(&after, "/spec/replicas").unwrap_or(0);
        if replicas < 0 {
            let error = FieldError::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
            let mut refused = ApiError::invalid(address.kind, &address.name, &[error]);
            refused.message =
                format!("Scale.autoscaling {:?} is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0", address.name);
            return Err(refused);
        }
        let mut object = Value::clone(&live);
        json::set(&mut object, &paths(address.kind).spec, replicas);
        json::set(&mut object, "/metadata/resourceVersion", after["metadata"]["resourceVersion"].clone());
        tx.update(address.kind, &address.ns, &address.name, object, &options)
    })?;
    Ok(Reply::ok(scale_of(address.kind, &updated)))
}
