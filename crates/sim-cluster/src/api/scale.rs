//! The `scale` subresource.

use serde_json::{Value, json};

use super::{Address, Api, Reply, call::Call, writes};
use crate::{
    json,
    selector::Labels,
    status::{ApiError, ApiResult, FieldError},
};

fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        kept[field] = metadata[field].clone();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept,
        "spec": { "replicas": json::count(object, "/spec/replicas") },
        "status": {
            "replicas": json::count(object, "/status/replicas"),
            "selector": Labels::from_object(&object["spec"]["selector"]).to_string(),
        },
    })
}

pub(super) fn get(api: &Api, address: &Address) -> ApiResult<Reply> {
    let object = api.shared.core.transact(|tx| tx.get(&address.kind.resource, &address.ns, &address.name));
    let object = object.ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
    Ok(Reply::ok(scale_of(&object)))
}

pub(super) fn write(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let body = call.body_value()?;
    let options = call.options("scale")?;
    let updated = api.shared.core.transact(|tx| {
        let live = tx
            .get(&address.kind.resource, &address.ns, &address.name)
            .ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
        let before = scale_of(&live);
        let after = if call.method == http::Method::PUT { body } else { writes::patched(call, &before, &body)? };
        let replicas = json::int(&after, "/spec/replicas").unwrap_or(0);
        if replicas < 0 {
            let error = FieldError::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
            let mut refused = ApiError::invalid(address.kind, &address.name, &[error]);
            refused.message =
                format!("Scale.autoscaling {:?} is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0", address.name);
            return Err(refused);
        }
        let mut object = Value::clone(&live);
        json::set(&mut object, "/spec/replicas", replicas);
        json::set(&mut object, "/metadata/resourceVersion", after["metadata"]["resourceVersion"].clone());
        tx.update(address.kind, &address.ns, &address.name, object, &options)
    })?;
    Ok(Reply::ok(scale_of(&updated)))
}
