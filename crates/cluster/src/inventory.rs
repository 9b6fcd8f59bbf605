//! What an application has in one namespace: its server groups and its Services, found by its label (T6, T7).

use std::collections::BTreeMap;

use futures::StreamExt;
use pilothouse_domain::evidence::Instance;
use pilothouse_domain::inventory::{
    ApplicationCluster, Autoscaling, Inventory, LoadBalancerView, ServerGroupView,
};
use pilothouse_domain::server_group::{ClusterName, ServerGroupName};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::evidence::{text, time};
use crate::marks::{
    ANNOTATION_PREFIX, APPLICATION_LABEL, CLUSTER_LABEL, DETAIL_LABEL, SEQUENCE_LABEL, STACK_LABEL,
};
use crate::object::{self, ObjectRef};
use crate::report::{images, replicas};

/// The most objects of one kind that are read.
const MOST: usize = 200;
/// The most Services whose endpoints are read.
const MOST_SERVICES: usize = 20;
/// How many requests are under way at once.
const AT_ONCE: usize = 4;
/// The kinds that are server groups.
const KINDS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];

impl Cluster {
    /// What there is of the application in the namespace. `account` is written on it. Six requests, and one for each Service.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster cannot be reached; what it denies, or does not know, is a note.
    pub async fn inventory(
        &self,
        account: &str,
        namespace: &str,
        application: &str,
    ) -> Result<Inventory, ClusterError> {
        let mut notes = Vec::new();
        let mut groups: Vec<(&str, Value)> = Vec::new();
        for kind in KINDS {
            let found = self.labelled("apps/v1", kind, namespace, application, &mut notes).await?;
            // A Deployment's ReplicaSets have its pods' labels; they are no groups of their own.
            let own =
                |object: &Value| object["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty);
            groups.extend(found.into_iter().filter(own).map(|object| (kind, object)));
        }
        let services = self.labelled("v1", "Service", namespace, application, &mut notes).await?;
        let scalers = self
            .labelled("autoscaling/v2", "HorizontalPodAutoscaler", namespace, application, &mut notes)
            .await?;
        let load_balancers = self.load_balancers(account, namespace, &services, &groups, &mut notes).await?;
        let clusters = clusters(application, (account, namespace), &groups, &load_balancers, &scalers);
        Ok(Inventory { clusters, load_balancers, notes })
    }

    /// The pods of one server group.
    ///
    /// # Errors
    /// [`ClusterError`]; `NotFound` when it does not exist any more.
    pub async fn server_group_instances(
        &self,
        namespace: &str,
        group: &ServerGroupView,
    ) -> Result<Vec<Instance>, ClusterError> {
        self.instances(&ObjectRef::namespaced("apps/v1", &group.kind, namespace, &group.name)).await
    }

    /// The objects of a kind that carry the application's label; none, with a note, where they may not be read.
    async fn labelled(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        application: &str,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Value>, ClusterError> {
        let operation = format!("list each {kind} of {application} in {namespace}");
        let read = async {
            let path = self.served_kind(&operation, api_version, kind).await?.collection(Some(namespace));
            let query = [("labelSelector", format!("{APPLICATION_LABEL}={application}"))];
            self.page(&operation, &path, &query, MOST).await
        };
        match read.await {
            Ok((found, more)) => {
                if more {
                    notes.push(format!("{namespace}: only the first {MOST} of each {kind} are shown"));
                }
                Ok(found)
            }
            Err(error @ (ClusterError::Denied { .. } | ClusterError::UnknownKind { .. })) => {
                notes.push(error.to_string());
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    async fn load_balancers(
        &self,
        account: &str,
        namespace: &str,
        services: &[Value],
        groups: &[(&str, Value)],
        notes: &mut Vec<String>,
    ) -> Result<Vec<LoadBalancerView>, ClusterError> {
        if services.len() > MOST_SERVICES {
            notes.push(format!("{namespace}: only the first {MOST_SERVICES} Services are shown"));
        }
        let names: Vec<String> =
            services.iter().take(MOST_SERVICES).map(|service| object::name(service).to_owned()).collect();
        let endpoints: Vec<_> = futures::stream::iter(names)
            .map(|name| async move { self.endpoints(namespace, Some(&name)).await })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut shown = Vec::new();
        for (service, endpoints) in services.iter().zip(endpoints) {
            let mut view = load_balancer(account, namespace, service, groups);
            match endpoints {
                Ok(found) => {
                    let found = found.into_values().next().unwrap_or_default();
                    view.ready = found.ready.into_iter().collect();
                    view.not_ready = found.not_ready.into_iter().collect();
                }
                Err(error @ ClusterError::Denied { .. }) => notes.push(error.to_string()),
                Err(error) => return Err(error),
            }
            shown.push(view);
        }
        Ok(shown)
    }
}

/// A Service, without its endpoints.
fn load_balancer(
    account: &str,
    namespace: &str,
    service: &Value,
    groups: &[(&str, Value)],
) -> LoadBalancerView {
    let spec = &service["spec"];
    let selector = spec["selector"].as_object().into_iter().flatten();
    let selects = |group: &&(&str, Value)| {
        selects(&spec["selector"], &group.1["spec"]["template"]["metadata"]["labels"])
    };
    LoadBalancerView {
        name: object::name(service).to_owned(),
        account: account.to_owned(),
        namespace: namespace.to_owned(),
        kind: text(&spec["type"]).unwrap_or_else(|| "ClusterIP".to_owned()),
        selector: selector
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect(),
        ports: spec["ports"].as_array().into_iter().flatten().map(port).collect(),
        ready: Vec::new(),
        not_ready: Vec::new(),
        server_groups: groups
            .iter()
            .filter(selects)
            .map(|(_, group)| object::name(group).to_owned())
            .collect(),
    }
}

/// `http 80 → 8080/TCP`
fn port(port: &Value) -> String {
    let shown = |value: &Value| text(value).unwrap_or_else(|| value.to_string());
    let name = text(&port["name"]).map(|name| format!("{name} ")).unwrap_or_default();
    let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
    let protocol = text(&port["protocol"]).unwrap_or_else(|| "TCP".to_owned());
    format!("{name}{} → {}/{protocol}", shown(&port["port"]), shown(target))
}

/// Whether a Service's selector selects pods with these labels; one without a selector selects none.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object();
    wanted.is_some_and(|all| !all.is_empty() && all.iter().all(|(key, value)| labels[key] == *value))
}

fn clusters(
    application: &str,
    (account, namespace): (&str, &str),
    groups: &[(&str, Value)],
    load_balancers: &[LoadBalancerView],
    scalers: &[Value],
) -> Vec<ApplicationCluster> {
    let mut found: BTreeMap<String, ApplicationCluster> = BTreeMap::new();
    for (kind, object) in groups {
        let named = name_of(application, object);
        let group = server_group(kind, object, named.sequence, load_balancers, scalers);
        let cluster = found.entry(named.cluster.clone()).or_insert_with(|| ApplicationCluster {
            name: named.cluster,
            stack: named.stack,
            detail: named.detail,
            account: account.to_owned(),
            namespace: namespace.to_owned(),
            server_groups: Vec::new(),
        });
        cluster.server_groups.push(group);
    }
    let mut clusters: Vec<ApplicationCluster> = found.into_values().collect();
    for cluster in &mut clusters {
        // The numbers begin again after 999: the newest is the one that was created last.
        cluster.server_groups.sort_by_key(|group| std::cmp::Reverse((group.created, group.sequence)));
    }
    clusters
}

struct Named {
    cluster: String,
    stack: Option<String>,
    detail: Option<String>,
    sequence: Option<u16>,
}

/// The cluster that a workload belongs to: by its labels, by its name, or a cluster of its own.
fn name_of(application: &str, object: &Value) -> Named {
    let label = |key: &str| text(&object["metadata"]["labels"][key]);
    let name = object::name(object);
    if let Some(cluster) = label(CLUSTER_LABEL) {
        let sequence = label(SEQUENCE_LABEL).and_then(|number| number.parse().ok());
        return Named { cluster, stack: label(STACK_LABEL), detail: label(DETAIL_LABEL), sequence };
    }
    let group = ServerGroupName::parse_of(application, name);
    let sequence = group.as_ref().map(|group| group.sequence().number());
    let cluster = group.map(|group| group.cluster().clone());
    let cluster = cluster.or_else(|| ClusterName::parse_of(application, name).ok());
    let owned = |part: Option<&str>| part.map(str::to_owned);
    match cluster {
        Some(cluster) => Named {
            cluster: cluster.to_string(),
            stack: owned(cluster.stack()),
            detail: owned(cluster.detail()),
            sequence,
        },
        None => Named { cluster: name.to_owned(), stack: None, detail: None, sequence: None },
    }
}

fn server_group(
    kind: &str,
    object: &Value,
    sequence: Option<u16>,
    load_balancers: &[LoadBalancerView],
    scalers: &[Value],
) -> ServerGroupView {
    let name = object::name(object);
    let mark = |key: &str| text(&object["metadata"]["annotations"][format!("{ANNOTATION_PREFIX}{key}")]);
    let balances = |balancer: &&LoadBalancerView| balancer.server_groups.iter().any(|group| group == name);
    ServerGroupView {
        name: name.to_owned(),
        kind: kind.to_owned(),
        sequence,
        created: time(&object["metadata"]["creationTimestamp"]),
        replicas: replicas(kind, object),
        images: images(object),
        load_balancers: load_balancers
            .iter()
            .filter(balances)
            .map(|balancer| balancer.name.clone())
            .collect(),
        autoscaling: scalers.iter().find_map(|scaler| autoscaling(kind, name, scaler)),
        release: mark("release"),
        stage: mark("stage"),
    }
}

fn autoscaling(kind: &str, name: &str, scaler: &Value) -> Option<Autoscaling> {
    let target = &scaler["spec"]["scaleTargetRef"];
    (target["kind"] == kind && target["name"] == name).then(|| Autoscaling {
        name: object::name(scaler).to_owned(),
        least: scaler["spec"]["minReplicas"].as_i64().unwrap_or(1),
        most: scaler["spec"]["maxReplicas"].as_i64().unwrap_or(1),
        wanted: scaler["status"]["desiredReplicas"].as_i64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(name: &str, created: &str, labels: &Value) -> (&'static str, Value) {
        (
            "Deployment",
            json!({
                "metadata": {"name": name, "creationTimestamp": created, "labels": labels,
                    "annotations": {"pilothouse.dev/release": "rel_1", "pilothouse.dev/stage": "Deploy"}},
                "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"image": "shop/web:1"}]}}},
                "status": {"updatedReplicas": 2, "readyReplicas": 1}
            }),
        )
    }

    #[test]
    fn server_groups_stand_under_their_clusters_the_newest_first() {
        let groups = [
            deployment("shop-prod-v999", "2026-11-20T10:00:00Z", &json!({})),
            deployment("shop-prod-v000", "2026-11-21T10:00:00Z", &json!({})),
            deployment(
                "renamed",
                "2026-11-21T10:00:00Z",
                &json!({"pilothouse.dev/cluster": "shop-prod", "pilothouse.dev/stack": "prod",
                "pilothouse.dev/sequence": "998"}),
            ),
            deployment("web", "2026-11-21T10:00:00Z", &json!({})),
        ];
        let service = json!({"metadata": {"name": "front"}, "spec": {"selector": {"app": "shop-prod-v000"}, "ports": [
            {"name": "http", "port": 80, "targetPort": 8080}, {"port": 443, "targetPort": "tls", "protocol": "TCP"}]}});
        let scaler = json!({"metadata": {"name": "more"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 9}});
        let front = load_balancer("default", "prod", &service, &groups);
        assert_eq!(
            (front.kind.as_str(), front.selector.as_slice()),
            ("ClusterIP", ["app=shop-prod-v000".to_owned()].as_slice())
        );
        assert_eq!(front.ports, ["http 80 → 8080/TCP", "443 → tls/TCP"]);
        let found = clusters("shop", ("default", "prod"), &groups, &[front], &[scaler]);
        let names: Vec<&str> = found.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(names, ["shop-prod", "web"]);
        assert_eq!((found[0].stack.as_deref(), found[1].stack.as_deref()), (Some("prod"), None));
        let sequences: Vec<Option<u16>> = found[0].server_groups.iter().map(|group| group.sequence).collect();
        assert_eq!(sequences, [Some(998), Some(0), Some(999)]);
        let newest = &found[0].server_groups[1];
        assert_eq!(
            (newest.load_balancers.as_slice(), newest.replicas.ready),
            (["front".to_owned()].as_slice(), 1)
        );
        assert_eq!(
            (newest.release.as_deref(), newest.images.as_slice()),
            (Some("rel_1"), ["shop/web:1".to_owned()].as_slice())
        );
        let scaled = found[1].server_groups[0].autoscaling.as_ref().unwrap();
        assert_eq!((scaled.name.as_str(), scaled.least, scaled.most), ("more", 2, 9));
    }

    #[test]
    fn a_service_without_a_selector_selects_nothing() {
        assert!(!selects(&json!(null), &json!({"app": "web"})));
        assert!(!selects(&json!({}), &json!({"app": "web"})));
        assert!(selects(&json!({"app": "web"}), &json!({"app": "web", "tier": "front"})));
    }
}
