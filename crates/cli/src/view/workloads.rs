//! Workloads, their instances and the events about them, for people (H9-H12).

use std::fmt::Write;

use jiff::Timestamp;
use owo_colors::OwoColorize;
use pilothouse_serve_api::api::{Instance, KeyEvent, StageWorkloads, WorkloadReport};

use super::time::ago;
use crate::output::table;

/// Everything that runs, or ran, for a stage.
pub(crate) fn workloads(seen: &StageWorkloads, now: Timestamp) -> String {
    let mut text = String::new();
    let when = match (seen.live, seen.seen_at) {
        (true, _) => "as it is now".to_owned(),
        (false, Some(at)) => format!("as it was when the stage ended, {}", ago(now, at)),
        (false, None) => String::new(),
    };
    if !when.is_empty() {
        let _ = writeln!(text, "{}", when.dimmed());
    }
    for workload in &seen.workloads {
        let _ = write!(text, "\n{}", report(workload, now));
    }
    for note in &seen.notes {
        let _ = writeln!(text, "{note}");
    }
    text.trim_end().to_owned()
}

fn report(workload: &WorkloadReport, now: Timestamp) -> String {
    let WorkloadReport { kind, namespace, name, replicas, progress, .. } = workload;
    let created = workload.created.map(|at| format!(", created {}", ago(now, at))).unwrap_or_default();
    let mut text = format!("{} {namespace}/{name}: {progress}\n", kind.bold());
    let _ = writeln!(
        text,
        "{} wanted, {} updated, {} ready, {} available{created}",
        replicas.wanted, replicas.updated, replicas.ready, replicas.available
    );
    for image in &workload.images {
        let _ = writeln!(text, "image {image}");
    }
    let _ = writeln!(text, "\n{}", instances(&workload.instances, now));
    let _ = writeln!(text, "\n{}", events(&workload.events, now));
    if !workload.left_out.is_empty() {
        let _ = writeln!(text, "left out: {}", workload.left_out.join(", "));
    }
    text
}

/// The pods, one a line (H11).
pub(crate) fn instances(all: &[Instance], now: Timestamp) -> String {
    let rows = all.iter().map(|instance| row(instance, now)).collect();
    let headings =
        ["instance", "ready", "status", "restarts", "version", "pod ip", "node", "age", "running image"];
    table(&headings, rows, "no instances")
}

fn row(instance: &Instance, now: Timestamp) -> Vec<String> {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let node = match (&instance.node, &instance.host_ip) {
        (Some(node), Some(ip)) => format!("{node} ({ip})"),
        (node, ip) => shown(if node.is_some() { node } else { ip }),
    };
    let mains = || instance.containers.iter().filter(|c| c.role == "container");
    let digests: Vec<&str> = mains().filter_map(|c| c.digest.as_deref()).collect();
    vec![
        instance.name.clone(),
        format!("{}/{}", mains().filter(|c| c.ready).count(), mains().count()),
        instance.status.clone(),
        instance.restarts.to_string(),
        match instance.newest {
            Some(true) => "newest",
            Some(false) => "earlier",
            None => "-",
        }
        .to_owned(),
        shown(&instance.pod_ip),
        node,
        instance.created.map_or_else(|| "-".to_owned(), |at| ago(now, at)),
        digests.iter().map(|d| d.chars().take(19).collect::<String>()).collect::<Vec<_>>().join(", "),
    ]
}

/// The events, the most recent first (H12).
fn events(all: &[KeyEvent], now: Timestamp) -> String {
    let when = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| ago(now, at));
    let row = |event: &KeyEvent| {
        vec![
            when(event.last),
            when(event.first),
            event.count.to_string(),
            event.kind.clone(),
            event.reason.clone(),
            event.component.clone(),
            event.about.clone(),
            event.message.lines().next().unwrap_or_default().to_owned(),
        ]
    };
    let headings = ["last", "first", "times", "type", "event", "component", "about", "message"];
    table(&headings, all.iter().map(row).collect(), "no events")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ran_is_shown_with_its_instances_and_events() {
        let seen: StageWorkloads = serde_json::from_value(json!({
            "environment": "prod", "attempt": 1, "stage": "Deploy", "live": false, "seenAt": "2026-11-21T09:58:00Z",
            "workloads": [{
                "kind": "Deployment", "namespace": "prod", "name": "web", "created": "2026-11-20T10:00:00Z",
                "replicas": {"wanted": 2, "updated": 1, "ready": 2, "available": 2}, "images": ["shop/web:1.1.0"],
                "progress": "1 of 2 pods updated",
                "instances": [{"name": "web-1", "status": "CrashLoopBackOff", "ready": false, "newest": true, "podIp": "10.0.0.7",
                    "hostIp": "192.168.0.2", "node": "node-a", "created": "2026-11-21T09:57:00Z", "restarts": 2,
                    "containers": [{"name": "web", "role": "container", "image": "shop/web:1.1.0", "digest": "sha256:0123456789abcdef",
                        "ready": false, "restarts": 2, "state": "CrashLoopBackOff"}]}],
                "events": [{"about": "Pod web-1", "component": "kubelet", "type": "Warning", "reason": "BackOff",
                    "message": "Back-off restarting failed container", "first": "2026-11-21T09:57:10Z",
                    "last": "2026-11-21T09:57:50Z", "count": 3}],
                "leftOut": ["3 more events"],
            }],
            "notes": ["Job prod/migrate does not exist"],
        }))
        .unwrap();
        let text = workloads(&seen, "2026-11-21T10:00:00Z".parse().unwrap());
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r"
        as it was when the stage ended, 2m ago

        Deployment prod/web: 1 of 2 pods updated
        2 wanted, 1 updated, 2 ready, 2 available, created 1d ago
        image shop/web:1.1.0

        INSTANCE  READY  STATUS            RESTARTS  VERSION  POD IP    NODE                  AGE     RUNNING IMAGE
        web-1     0/1    CrashLoopBackOff  2         newest   10.0.0.7  node-a (192.168.0.2)  3m ago  sha256:0123456789ab

        LAST    FIRST   TIMES  TYPE     EVENT    COMPONENT  ABOUT      MESSAGE
        2m ago  2m ago  3      Warning  BackOff  kubelet    Pod web-1  Back-off restarting failed container
        left out: 3 more events
        Job prod/migrate does not exist
        ");
    }
}
