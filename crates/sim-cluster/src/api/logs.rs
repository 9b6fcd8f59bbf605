//! The `log` subresource of pods: a few plausible lines, and the message of a rule that made the container fail. Lines are kept with their time.

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
            let names = |all: &[Value]| {
                all.iter().map(|c| json::text(c, "/name").to_owned()).collect::<Vec<_>>().join(" ")
            };
            let mut message = format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                address.name,
                names(many)
            );
            let init = json::items(&pod, "/spec/initContainers");
            if !init.is_empty() {
                message = format!("{message} or one of the init containers: [{}]", names(init));
            }
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
            let reason = match json::text(status, "/state/waiting/reason") {
                "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
                "" => "ContainerCreating",
                reason => reason,
            };
            format!("container {wanted:?} in pod {:?} is waiting to start: {reason}", address.name)
        };
        return Err(ApiError::bad_request(message));
    }
    let now = api.shared.core.now();
    if let Some(seconds) = call.number("sinceSeconds").and_then(|s| i64::try_from(s).ok()) {
        let since = now.checked_sub(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now);
        lines.retain(|l| stamp_of(l).parse::<jiff::Timestamp>().is_ok_and(|at| at >= since));
    }
    if let Some(tail) = call.number("tailLines").and_then(|n| usize::try_from(n).ok()) {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let with_times = call.flag("timestamps");
    let mut text: String = lines
        .iter()
        .map(|l| {
            if with_times {
                format!("{l}\n")
            } else {
                format!("{}\n", l.split_once(' ').map_or("", |(_, line)| line))
            }
        })
        .collect();
    if let Some(most) = call.number("limitBytes").and_then(|n| usize::try_from(n).ok())
        && most < text.len()
    {
        let cut = (0..=most).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(cut);
    }
    Ok(Reply::Text(text))
}

fn stamp_of(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
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
        lines.extend(message.lines().map(|l| format!("{} {l}", json::text(end, "/finishedAt"))));
    }
    lines
}
