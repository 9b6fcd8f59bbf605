//! The `log` subresource of pods: a few plausible lines, and the message of a rule that made the container fail.

use serde_json::Value;

use super::{Address, Api, Reply, call::Call};
use crate::{
    json,
    status::{ApiError, ApiResult},
};

pub(super) fn get(api: &Api, call: &Call, address: &Address) -> ApiResult<Reply> {
    let pod = api.shared.core.transact(|tx| tx.get("pods", &address.ns, &address.name));
    let pod = pod.ok_or_else(|| ApiError::not_found(address.kind, &address.name))?;
    let containers = json::items(&pod, "/spec/containers");
    let wanted = match (call.param("container"), containers) {
        ("", [one]) => json::text(one, "/name"),
        ("", many) => {
            let names: Vec<_> = many.iter().map(|c| json::text(c, "/name")).collect();
            let message = format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                address.name,
                names.join(" ")
            );
            return Err(ApiError::bad_request(message));
        }
        (name, _) => name,
    };
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let status =
        statuses.iter().flat_map(|s| json::items(&pod, s)).find(|c| json::text(c, "/name") == wanted);
    let Some(status) = status else {
        let message = format!("container {wanted} is not valid for pod {}", address.name);
        return Err(ApiError::bad_request(message));
    };
    let previous = call.flag("previous");
    let mut lines = if previous { ended(&status["lastState"], status) } else { current(status) };
    if lines.is_empty() {
        let message = if previous {
            format!("previous terminated container {wanted:?} in pod {:?} not found", address.name)
        } else {
            let reason = json::text(status, "/state/waiting/reason");
            format!("container {wanted:?} in pod {:?} is waiting to start: {reason}", address.name)
        };
        return Err(ApiError::bad_request(message));
    }
    if let Some(tail) = call.number("tailLines").and_then(|n| usize::try_from(n).ok()) {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    Ok(Reply::Text(lines.iter().map(|l| format!("{l}\n")).collect()))
}

fn current(status: &Value) -> Vec<String> {
    let started = json::text(status, "/state/running/startedAt");
    if !started.is_empty() {
        return vec![format!("{started} {} started", json::text(status, "/image"))];
    }
    let lines = ended(&status["state"], status);
    // While it waits to be started again the last run's log is shown.
    if lines.is_empty() { ended(&status["lastState"], status) } else { lines }
}

fn ended(state: &Value, status: &Value) -> Vec<String> {
    let Some(end) = state.get("terminated") else { return Vec::new() };
    let mut lines =
        vec![format!("{} {} started", json::text(end, "/startedAt"), json::text(status, "/image"))];
    let message = json::text(end, "/message");
    if !message.is_empty() {
        lines.push(message.to_owned());
    }
    lines
}
