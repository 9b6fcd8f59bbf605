//! The `eviction` subresource of pods: a deletion that disruption budgets allow.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Address, Api, Reply, call::Call, writes};
use crate::{
    json,
    kinds::Kind,
    selector::Labels,
    status::{ApiError, ApiResult},
    store::{Key, Tx},
    write::{CONTROLLER, DeleteOptions, Options},
};

pub(super) fn evict(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let body = call.body_value()?;
    if !json::name(&body).is_empty() && json::name(&body) != address.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let given = body.get("deleteOptions").unwrap_or(&Value::Null);
    let mut options = writes::options_from(given);
    options.dry_run = call.dry_run() || given["dryRun"] == json!(["All"]);
    api.shared.core.transact(|tx| {
        let pod = tx
            .get("pods", &address.ns, &address.name)
            .ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
        spend(tx, &pod, options.dry_run)?;
        delete(tx, address.kind, address, &options)
    })?;
    let body =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(Reply::Json { code: StatusCode::CREATED, body, warnings: Vec::new() })
}

fn delete(tx: &mut Tx<'_>, kind: &'static Kind, address: &Address, options: &DeleteOptions) -> ApiResult<()> {
    tx.delete(kind, &address.ns, &address.name, options).map(drop)
}

/// Takes one disruption from the budget that covers the pod, if there is one.
fn spend(tx: &mut Tx<'_>, pod: &Value, dry_run: bool) -> ApiResult<()> {
    // Pods that do not run yet or any more, or are ending, disrupt nobody.
    if json::text(pod, "/status/phase") != "Running" || json::is_deleting(pod) {
        return Ok(());
    }
    let ns = json::namespace(pod);
    let covers = |budget: &Value| {
        let selector = Labels::from_object(&budget["spec"]["selector"]);
        !selector.is_empty() && selector.select(pod)
    };
    let budgets: Vec<_> =
        tx.list("poddisruptionbudgets.policy", ns).into_iter().filter(|b| covers(b)).collect();
    let budget = match budgets.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(ApiError::new(500, "", message));
        }
    };
    let count = |field: &str| json::count(budget, &format!("/status/{field}"));
    let (healthy, desired) = (count("currentHealthy"), count("desiredHealthy"));
    let ready =
        json::items(pod, "/status/conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    if !ready && healthy >= desired && desired > 0 {
        return Ok(());
    }
    let name = json::name(budget);
    if count("observedGeneration") < json::count(budget, "/metadata/generation") {
        return Err(refused(
            10,
            &format!("The disruption budget {name} is still being processed by the server."),
        ));
    }
    if count("disruptionsAllowed") == 0 {
        let cause =
            format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently");
        return Err(refused(0, &cause));
    }
    if !dry_run {
        let left = count("disruptionsAllowed") - 1;
        tx.modify(
            &Key::of("poddisruptionbudgets.policy", budget),
            &Options::by(CONTROLLER).on("status"),
            |b| {
                json::set(b, "/status/disruptionsAllowed", left);
            },
        );
    }
    Ok(())
}

fn refused(seconds: u32, cause: &str) -> ApiError {
    let mut details = json!({ "causes": [{ "reason": "DisruptionBudget", "message": cause }] });
    if seconds > 0 {
        details["retryAfterSeconds"] = seconds.into();
    }
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    ApiError { details, ..ApiError::new(429, "TooManyRequests", message) }
}
