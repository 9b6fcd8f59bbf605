//! The columns of each kind's table.

use jiff::Timestamp;
use serde_json::Value;

use super::table::{age, duration};
use crate::{json, kinds::Kind, selector::Labels};

pub(super) struct Column {
    pub(super) name: &'static str,
    /// Shown with `-o wide` only.
    pub(super) wide: bool,
    pub(super) cell: fn(&Value, Timestamp) -> String,
}

const fn column(name: &'static str, cell: fn(&Value, Timestamp) -> String) -> Column {
    Column { name, wide: false, cell }
}

const fn wide(name: &'static str, cell: fn(&Value, Timestamp) -> String) -> Column {
    Column { name, wide: true, cell }
}

const NAME: Column = column("Name", |o, _| json::name(o).to_owned());
const AGE: Column = column("Age", |o, now| age(o, "/metadata/creationTimestamp", now));
const CONTAINERS: Column = wide("Containers", |o, _| joined(o, "/spec/template/spec/containers", "/name"));
const IMAGES: Column = wide("Images", |o, _| joined(o, "/spec/template/spec/containers", "/image"));
const SELECTOR: Column =
    wide("Selector", |o, _| or_none(Labels::from_object(&o["spec"]["selector"]).to_string()));

fn number(object: &Value, pointer: &str) -> String {
    json::count(object, pointer).to_string()
}

fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

fn joined(object: &Value, list: &str, field: &str) -> String {
    json::items(object, list).iter().map(|i| json::text(i, field)).collect::<Vec<_>>().join(",")
}

/// The columns of a kind.
pub(super) fn of(kind: &Kind) -> Vec<Column> {
    match kind.resource.as_str() {
        "pods" => pods(),
        "deployments.apps" | "statefulsets.apps" | "replicasets.apps" | "daemonsets.apps" => workload(kind),
        "jobs.batch" => vec![
            NAME,
            column("Status", |o, _| job_status(o)),
            column("Completions", |o, _| {
                format!(
                    "{}/{}",
                    number(o, "/status/succeeded"),
                    json::int(o, "/spec/completions").unwrap_or(1)
                )
            }),
            column("Duration", job_duration),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        "services" => services(),
        "endpoints" => vec![NAME, column("Endpoints", |o, _| endpoints(o)), AGE],
        "endpointslices.discovery.k8s.io" => vec![
            NAME,
            column("AddressType", |o, _| json::text(o, "/addressType").to_owned()),
            column("Ports", |o, _| {
                or_none(
                    json::items(o, "/ports").iter().map(|p| number(p, "/port")).collect::<Vec<_>>().join(","),
                )
            }),
            column("Endpoints", |o, _| {
                let all: Vec<_> =
                    json::items(o, "/endpoints").iter().map(|e| json::text(e, "/addresses/0")).collect();
                or_none(all.join(","))
            }),
            AGE,
        ],
        "configmaps" => vec![NAME, column("Data", |o, _| entries(o, &["/data", "/binaryData"])), AGE],
        "secrets" => vec![
            NAME,
            column("Type", |o, _| json::text(o, "/type").to_owned()),
            column("Data", |o, _| entries(o, &["/data"])),
            AGE,
        ],
        "serviceaccounts" => {
            vec![NAME, column("Secrets", |o, _| json::items(o, "/secrets").len().to_string()), AGE]
        }
        "events" => events(),
        "namespaces" => vec![NAME, column("Status", |o, _| json::text(o, "/status/phase").to_owned()), AGE],
        "nodes" => vec![
            NAME,
            column("Status", |o, _| {
                let cordoned = if json::flag(o, "/spec/unschedulable") { ",SchedulingDisabled" } else { "" };
                format!("Ready{cordoned}")
            }),
            column("Roles", |_, _| "<none>".to_owned()),
            AGE,
            column("Version", |o, _| json::text(o, "/status/nodeInfo/kubeletVersion").to_owned()),
        ],
        "ingresses.networking.k8s.io" => ingresses(),
        "horizontalpodautoscalers.autoscaling" => vec![
            NAME,
            column("Reference", |o, _| {
                format!(
                    "{}/{}",
                    json::text(o, "/spec/scaleTargetRef/kind"),
                    json::text(o, "/spec/scaleTargetRef/name")
                )
            }),
            column("Targets", |o, _| {
                let wanted = json::int(o, "/spec/metrics/0/resource/target/averageUtilization");
                let name = json::text(o, "/spec/metrics/0/resource/name");
                wanted.map_or_else(|| "<none>".to_owned(), |w| format!("{name}: <unknown>/{w}%"))
            }),
            column("MinPods", |o, _| number(o, "/spec/minReplicas")),
            column("MaxPods", |o, _| number(o, "/spec/maxReplicas")),
            column("Replicas", |o, _| number(o, "/status/currentReplicas")),
            AGE,
        ],
        _ => others(kind),
    }
}

/// The columns of kinds that are looked at less.
fn others(kind: &Kind) -> Vec<Column> {
    match kind.resource.as_str() {
        "poddisruptionbudgets.policy" => vec![
            NAME,
            column("Min Available", |o, _| amount(&o["spec"]["minAvailable"])),
            column("Max Unavailable", |o, _| amount(&o["spec"]["maxUnavailable"])),
            column("Allowed Disruptions", |o, _| number(o, "/status/disruptionsAllowed")),
            AGE,
        ],
        "cronjobs.batch" => vec![
            NAME,
            column("Schedule", |o, _| json::text(o, "/spec/schedule").to_owned()),
            column("Timezone", |o, _| or_none(json::text(o, "/spec/timeZone").to_owned())),
            column("Suspend", |o, _| {
                if json::flag(o, "/spec/suspend") { "True" } else { "False" }.to_owned()
            }),
            column("Active", |o, _| json::items(o, "/status/active").len().to_string()),
            column("Last Schedule", |_, _| "<none>".to_owned()),
            AGE,
        ],
        "persistentvolumeclaims" => vec![
            NAME,
            column("Status", |o, _| json::text(o, "/status/phase").to_owned()),
            column("Volume", |o, _| json::text(o, "/spec/volumeName").to_owned()),
            column("Capacity", |o, _| json::text(o, "/spec/resources/requests/storage").to_owned()),
            AGE,
        ],
        "resourcequotas" => vec![NAME, column("Request", |o, _| usage(o)), AGE],
        "customresourcedefinitions.apiextensions.k8s.io" => {
            vec![NAME, column("Created At", |o, _| json::text(o, "/metadata/creationTimestamp").to_owned())]
        }
        _ => vec![NAME, AGE],
    }
}

/// A number or percentage, `N/A` when it is absent.
fn amount(value: &Value) -> String {
    match value {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is used of a quota: `pods: 2/5, requests.cpu: 1/4`.
fn usage(quota: &Value) -> String {
    let hard = json::map(quota, "/status/hard").into_iter().flatten();
    let all: Vec<_> = hard
        .map(|(name, hard)| format!("{name}: {}/{}", amount(&quota["status"]["used"][name]), amount(hard)))
        .collect();
    all.join(", ")
}

fn pods() -> Vec<Column> {
    vec![
        NAME,
        column("Ready", |o, _| {
            let statuses = json::items(o, "/status/containerStatuses");
            let ready = statuses.iter().filter(|s| json::flag(s, "/ready")).count();
            format!("{ready}/{}", json::items(o, "/spec/containers").len())
        }),
        column("Status", |o, _| pod_status(o)),
        column("Restarts", restarts),
        AGE,
        wide("IP", |o, _| or_none(json::text(o, "/status/podIP").to_owned())),
        wide("Node", |o, _| or_none(json::text(o, "/spec/nodeName").to_owned())),
        wide("Nominated Node", |_, _| "<none>".to_owned()),
        wide("Readiness Gates", |_, _| "<none>".to_owned()),
    ]
}

fn restarts(pod: &Value, now: Timestamp) -> String {
    let statuses = json::items(pod, "/status/containerStatuses");
    let count: i64 = statuses.iter().map(|s| json::count(s, "/restartCount")).sum();
    let last = statuses.iter().find(|s| s.pointer("/lastState/terminated").is_some());
    match last.filter(|_| count > 0) {
        Some(status) => format!("{count} ({} ago)", age(status, "/lastState/terminated/finishedAt", now)),
        None => count.to_string(),
    }
}

/// The one word for a pod's state: the reason of what keeps it from running, if there is one.
fn pod_status(pod: &Value) -> String {
    let mut status = json::text(pod, "/status/phase");
    let reason = json::text(pod, "/status/reason");
    if !reason.is_empty() {
        status = reason;
    }
    let init = json::items(pod, "/status/initContainerStatuses");
    if let Some((index, waiting)) =
        init.iter().enumerate().find(|(_, s)| json::int(s, "/state/terminated/exitCode") != Some(0))
    {
        if json::is_deleting(pod) {
            return "Terminating".to_owned();
        }
        let why =
            [json::text(waiting, "/state/waiting/reason"), json::text(waiting, "/state/terminated/reason")];
        return match why.into_iter().find(|w| !w.is_empty() && *w != "PodInitializing") {
            Some(why) => format!("Init:{why}"),
            None => format!("Init:{index}/{}", init.len()),
        };
    }
    for container in json::items(pod, "/status/containerStatuses").iter().rev() {
        let why = [
            json::text(container, "/state/waiting/reason"),
            json::text(container, "/state/terminated/reason"),
        ];
        if let Some(why) = why.into_iter().find(|w| !w.is_empty()) {
            status = why;
        }
    }
    if json::is_deleting(pod) { "Terminating".to_owned() } else { status.to_owned() }
}

fn workload(kind: &Kind) -> Vec<Column> {
    let ready: Column = column("Ready", |o, _| {
        format!("{}/{}", json::count(o, "/status/readyReplicas"), json::count(o, "/spec/replicas"))
    });
    match kind.plural {
        "deployments" => vec![
            NAME,
            ready,
            column("Up-to-date", |o, _| number(o, "/status/updatedReplicas")),
            column("Available", |o, _| number(o, "/status/availableReplicas")),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        "statefulsets" => vec![NAME, ready, AGE, CONTAINERS, IMAGES],
        "replicasets" => vec![
            NAME,
            column("Desired", |o, _| number(o, "/spec/replicas")),
            column("Current", |o, _| number(o, "/status/replicas")),
            column("Ready", |o, _| number(o, "/status/readyReplicas")),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        _ => vec![
            NAME,
            column("Desired", |o, _| number(o, "/status/desiredNumberScheduled")),
            column("Current", |o, _| number(o, "/status/currentNumberScheduled")),
            column("Ready", |o, _| number(o, "/status/numberReady")),
            column("Up-to-date", |o, _| number(o, "/status/updatedNumberScheduled")),
            column("Available", |o, _| number(o, "/status/numberAvailable")),
            column("Node Selector", |o, _| {
                or_none(Labels::from_map(&o["spec"]["template"]["spec"]["nodeSelector"]).to_string())
            }),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
    }
}

fn job_status(job: &Value) -> String {
    let is = |name: &str| {
        json::items(job, "/status/conditions")
            .iter()
            .any(|c| json::text(c, "/type") == name && json::text(c, "/status") == "True")
    };
    let state = ["Complete", "Failed", "Suspended"].into_iter().find(|s| is(s));
    state.unwrap_or(if json::is_deleting(job) { "Terminating" } else { "Running" }).to_owned()
}

fn job_duration(job: &Value, now: Timestamp) -> String {
    let Ok(start) = json::text(job, "/status/startTime").parse::<Timestamp>() else { return String::new() };
    let end = json::text(job, "/status/completionTime").parse().unwrap_or(now);
    duration(end.duration_since(start).as_secs())
}

fn services() -> Vec<Column> {
    vec![
        NAME,
        column("Type", |o, _| json::text(o, "/spec/type").to_owned()),
        column("Cluster-IP", |o, _| or_none(json::text(o, "/spec/clusterIP").to_owned())),
        column("External-IP", |o, _| match json::text(o, "/spec/type") {
            "ExternalName" => json::text(o, "/spec/externalName").to_owned(),
            "LoadBalancer" => {
                let ip = json::text(o, "/status/loadBalancer/ingress/0/ip");
                if ip.is_empty() { "<pending>".to_owned() } else { ip.to_owned() }
            }
            _ => "<none>".to_owned(),
        }),
        column("Port(s)", |o, _| {
            let ports = json::items(o, "/spec/ports").iter().map(|p| {
                let node = json::int(p, "/nodePort").map(|n| format!(":{n}")).unwrap_or_default();
                format!("{}{node}/{}", json::count(p, "/port"), json::text(p, "/protocol"))
            });
            or_none(ports.collect::<Vec<_>>().join(","))
        }),
        AGE,
        wide("Selector", |o, _| or_none(Labels::from_map(&o["spec"]["selector"]).to_string())),
    ]
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in json::items(object, "/subsets") {
        for address in json::items(subset, "/addresses") {
            let ports = json::items(subset, "/ports");
            all.extend(
                ports.iter().map(|p| format!("{}:{}", json::text(address, "/ip"), json::count(p, "/port"))),
            );
            if ports.is_empty() {
                all.push(json::text(address, "/ip").to_owned());
            }
        }
    }
    if all.len() > 3 {
        let more = all.len() - 3;
        return format!("{} + {more} more...", all[..3].join(","));
    }
    or_none(all.join(","))
}

fn entries(object: &Value, maps: &[&str]) -> String {
    maps.iter().map(|m| json::map(object, m).map_or(0, serde_json::Map::len)).sum::<usize>().to_string()
}

fn events() -> Vec<Column> {
    vec![
        column("Last Seen", |o, now| age(o, "/lastTimestamp", now)),
        column("Type", |o, _| json::text(o, "/type").to_owned()),
        column("Reason", |o, _| json::text(o, "/reason").to_owned()),
        column("Object", |o, _| {
            let kind = json::text(o, "/involvedObject/kind").to_lowercase();
            format!("{kind}/{}", json::text(o, "/involvedObject/name"))
        }),
        wide("Subobject", |o, _| json::text(o, "/involvedObject/fieldPath").to_owned()),
        wide("Source", |o, _| json::text(o, "/source/component").to_owned()),
        column("Message", |o, _| json::text(o, "/message").trim().to_owned()),
        wide("First Seen", |o, now| age(o, "/firstTimestamp", now)),
        wide("Count", |o, _| number(o, "/count")),
        wide("Name", |o, _| json::name(o).to_owned()),
    ]
}

fn ingresses() -> Vec<Column> {
    vec![
        NAME,
        column("Class", |o, _| or_none(json::text(o, "/spec/ingressClassName").to_owned())),
        column("Hosts", |o, _| {
            let hosts = joined(o, "/spec/rules", "/host");
            if hosts.is_empty() { "*".to_owned() } else { hosts }
        }),
        column("Address", |o, _| joined(o, "/status/loadBalancer/ingress", "/ip")),
        column("Ports", |o, _| {
            if json::items(o, "/spec/tls").is_empty() { "80".to_owned() } else { "80, 443".to_owned() }
        }),
        AGE,
    ]
}
