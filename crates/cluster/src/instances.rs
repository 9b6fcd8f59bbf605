//! A pod as a person wants to see it (H11).

use pilothouse_domain::evidence::{Instance, InstanceContainer};
use serde_json::Value;

use crate::container::{self, Container, ContainerRole};
use crate::evidence::{text, time};
use crate::object;

/// The pod, read out of its own fields.
pub(crate) fn instance(pod: &Value) -> Instance {
    let containers: Vec<InstanceContainer> = container::of(pod).map(|c| describe(&c)).collect();
    let ready = object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
    Instance {
        name: object::name(pod).to_owned(),
        status: status(pod),
        // A pod on its way out is taken from its Services before it stops being ready.
        ready: ready && pod["metadata"]["deletionTimestamp"].is_null(),
        newest: None,
        pod_ip: text(&pod["status"]["podIP"]),
        host_ip: text(&pod["status"]["hostIP"]),
        node: text(&pod["spec"]["nodeName"]),
        zone: text(&pod["metadata"]["labels"]["topology.kubernetes.io/zone"]),
        region: text(&pod["metadata"]["labels"]["topology.kubernetes.io/region"]),
        created: time(&pod["metadata"]["creationTimestamp"]),
        restarts: containers.iter().map(|c| c.restarts).sum(),
        containers,
    }
}

fn describe(container: &Container<'_>) -> InstanceContainer {
    let Container { role, spec, status } = container;
    let state = match (&status["state"]["waiting"], &status["state"]["terminated"]) {
        (waiting, _) if !waiting.is_null() => text(&waiting["reason"]).unwrap_or_else(|| "waiting".into()),
        (_, ended) if !ended.is_null() => text(&ended["reason"]).unwrap_or_else(|| "ended".into()),
        _ if !status["state"]["running"].is_null() => "running".to_owned(),
        _ => "unknown".to_owned(),
    };
    InstanceContainer {
        name: container.name().to_owned(),
        role: role.name().to_owned(),
        image: text(&spec["image"]).or_else(|| text(&status["image"])).unwrap_or_default(),
        digest: digest(&status["imageID"]),
        ready: status["ready"] == true,
        restarts: status["restartCount"].as_i64().unwrap_or(0),
        state,
    }
}

/// `sha256:…` of `docker-pullable://registry/shop/web@sha256:…`. A plain `sha256:…` is the number of the image on its node, not
/// the digest that a registry knows.
fn digest(image_id: &Value) -> Option<String> {
    let (_, digest) = image_id.as_str()?.rsplit_once('@')?;
    Some(digest.to_owned())
}

/// The status column of `kubectl get pods`, by the rules of its printer.
pub(crate) fn status(pod: &Value) -> String {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let own = text(&pod["status"]["reason"]);
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return match own.as_deref() {
            Some("NodeLost") => "Unknown".to_owned(),
            _ if matches!(phase, "Succeeded" | "Failed") => shown(pod, own, phase),
            _ => "Terminating".to_owned(),
        };
    }
    shown(pod, own, phase)
}

fn shown(pod: &Value, own: Option<String>, phase: &str) -> String {
    let gated = object::condition(pod, "PodScheduled").is_some_and(|c| c["reason"] == "SchedulingGated");
    let otherwise = match own {
        _ if gated => "SchedulingGated".to_owned(),
        Some(reason) => reason,
        None if phase.is_empty() => "Unknown".to_owned(),
        None => phase.to_owned(),
    };
    let initialized = object::condition(pod, "Initialized").is_some_and(|c| c["status"] == "True");
    match initializing(pod).filter(|_| !initialized) {
        Some(status) => status,
        None => running(pod, otherwise),
    }
}

/// What the first init container that is not through says; `None` when all are.
fn initializing(pod: &Value) -> Option<String> {
    let all = pod["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    let first = container::of(pod).filter(|c| c.role != ContainerRole::Main).enumerate();
    for (index, container) in first {
        let status = container.status;
        let ended = &status["state"]["terminated"];
        if ended["exitCode"] == 0 || (container.role == ContainerRole::Sidecar && status["started"] == true) {
            continue;
        }
        if !ended.is_null() {
            return Some(format!("Init:{}", end(ended)));
        }
        return Some(match container.waits_for() {
            "" | "PodInitializing" => format!("Init:{index}/{all}"),
            reason => format!("Init:{reason}"),
        });
    }
    None
}

/// What the containers say, the first before the others.
fn running(pod: &Value, otherwise: String) -> String {
    let mains: Vec<Container<'_>> = container::of(pod).filter(|c| c.role == ContainerRole::Main).collect();
    let says = |container: &Container<'_>| {
        let ended = &container.status["state"]["terminated"];
        match container.waits_for() {
            "" if ended.is_null() => None,
            "" => Some(end(ended)),
            reason => Some(reason.to_owned()),
        }
    };
    let told = mains.iter().find_map(says).unwrap_or(otherwise);
    let runs = |c: &Container<'_>| c.status["ready"] == true && !c.status["state"]["running"].is_null();
    if told == "Completed" && mains.iter().any(runs) {
        let ready = object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
        return if ready { "Running" } else { "NotReady" }.to_owned();
    }
    told
}

/// How a container ended: its reason, or its signal or exit code.
fn end(ended: &Value) -> String {
    let number = |key: &str| ended[key].as_i64().unwrap_or(0);
    text(&ended["reason"]).unwrap_or_else(|| match number("signal") {
        0 => format!("ExitCode:{}", number("exitCode")),
        signal => format!("Signal:{signal}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_status_is_what_kubectl_shows() {
        let of = |status: Value| self::status(&json!({"metadata": {}, "status": status}));
        let one = |state: Value| of(json!({"phase": "Running", "containerStatuses": [{"state": state}]}));
        assert_eq!(one(json!({"running": {}})), "Running");
        assert_eq!(one(json!({"waiting": {"reason": "CrashLoopBackOff"}})), "CrashLoopBackOff");
        assert_eq!(one(json!({"terminated": {"reason": "Error", "exitCode": 1}})), "Error");
        assert_eq!(one(json!({"terminated": {"exitCode": 3}})), "ExitCode:3");
        assert_eq!(of(json!({"phase": "Failed", "reason": "Evicted"})), "Evicted");
        assert_eq!(self::status(&json!({"metadata": {"deletionTimestamp": "x"}})), "Terminating");
        let gated = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]});
        assert_eq!(of(gated), "SchedulingGated");
        let job = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
            {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}}, {"ready": true, "state": {"running": {}}}]});
        assert_eq!(of(job), "Running");
    }

    #[test]
    fn the_status_tells_which_init_container_is_waited_for() {
        let of = |first: Value, second: Value| {
            self::status(&json!({"metadata": {},
                "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "migrate"}]},
                "status": {"phase": "Pending", "initContainerStatuses": [first, second],
                    "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}]}}))
        };
        let proxy = json!({"name": "proxy", "started": true, "state": {"running": {}}});
        let pulling = json!({"name": "migrate", "state": {"waiting": {"reason": "ImagePullBackOff"}}});
        assert_eq!(of(proxy.clone(), pulling), "Init:ImagePullBackOff");
        let runs = json!({"name": "migrate", "state": {"running": {}}});
        assert_eq!(of(proxy.clone(), runs.clone()), "Init:1/2");
        let starting = json!({"name": "proxy", "started": false, "state": {"running": {}}});
        assert_eq!(of(starting, runs), "Init:0/2");
        let failed = json!({"name": "migrate", "state": {"terminated": {"reason": "Error", "exitCode": 1}}});
        assert_eq!(of(proxy, failed), "Init:Error");
    }

    #[test]
    fn an_instance_names_the_image_that_really_runs() {
        let pod = json!({
            "metadata": {"name": "web-1", "creationTimestamp": "2026-11-21T10:00:00Z"},
            "spec": {"nodeName": "node-a", "containers": [{"name": "web", "image": "shop/web:1"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.7", "hostIP": "192.168.0.2",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "web", "ready": true, "restartCount": 2, "state": {"running": {}},
                    "imageID": "docker.io/shop/web@sha256:ab"}]}
        });
        let instance = instance(&pod);
        assert_eq!(
            (instance.restarts, instance.ready, instance.pod_ip.as_deref()),
            (2, true, Some("10.0.0.7"))
        );
        let web = &instance.containers[0];
        assert_eq!((web.digest.as_deref(), web.state.as_str()), (Some("sha256:ab"), "running"));
        assert_eq!(digest(&json!("sha256:ab")), None);
    }
}
