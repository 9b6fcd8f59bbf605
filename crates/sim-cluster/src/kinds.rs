//! The registry of kinds: one line each.

use std::sync::LazyLock;

use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch, coordination::v1 as coordination,
    core::v1 as core, discovery::v1 as discovery, events::v1 as newer_events, networking::v1 as networking,
    policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;

use crate::{
    custom::{self, Custom},
    typed::{self, Typed},
};

/// A kind of object and where it is served.
#[derive(Debug)]
pub(crate) struct Kind {
    /// `deployments.apps`; `pods` in the core group. The identity of the kind.
    pub(crate) resource: String,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Has a `status` subresource.
    pub(crate) status: bool,
    /// Has a `scale` subresource.
    pub(crate) scale: bool,
    /// Shown by `kubectl get all`.
    pub(crate) in_all: bool,
    /// Checks field names and types; `None` for custom resources.
    pub(crate) typed: Option<Typed>,
    /// What a custom resource has.
    pub(crate) custom: Option<Custom>,
}

impl Kind {
    /// `apps/v1`, or `v1` in the core group.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(crate) fn singular(&self) -> String {
        self.kind.to_lowercase()
    }

    pub(crate) fn is(&self, resource: &str) -> bool {
        self.resource == resource
    }
}

struct Flags(&'static str);

impl Flags {
    fn has(&self, c: char) -> bool {
        self.0.contains(c)
    }
}

/// `flags`: c cluster-scoped, s status, r scale ("replicas"), a in "all".
fn kind(
    group_version: (&'static str, &'static str),
    (plural, name): (&'static str, &'static str),
    short: &'static [&'static str],
    flags: &'static str,
    typed: Option<Typed>,
) -> Kind {
    let (group, version) = group_version;
    let flags = Flags(flags);
    Kind {
        resource: if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") },
        group,
        version,
        plural,
        kind: name,
        short,
        namespaced: !flags.has('c'),
        status: flags.has('s'),
        scale: flags.has('r'),
        in_all: flags.has('a'),
        typed,
        custom: None,
    }
}

/// A custom resource that every cluster here has, and the columns of its table.
fn custom_kind(
    group_version: (&'static str, &'static str),
    names: (&'static str, &'static str),
    short: &'static [&'static str],
    flags: &'static str,
    (schema, columns): (Option<&str>, &[&str]),
) -> Kind {
    let schema = schema.map(|s| serde_json::from_str(s).expect("the schemas of this crate are JSON"));
    Kind { custom: Some(Custom::new(schema, columns)), ..kind(group_version, names, short, flags, None) }
}

const CORE: (&str, &str) = ("", "v1");
const APPS: (&str, &str) = ("apps", "v1");
const BATCH: (&str, &str) = ("batch", "v1");
const NETWORKING: (&str, &str) = ("networking.k8s.io", "v1");
const RBAC: (&str, &str) = ("rbac.authorization.k8s.io", "v1");
const GATEWAY: (&str, &str) = ("gateway.networking.k8s.io", "v1");
const ISTIO: (&str, &str) = ("networking.istio.io", "v1");

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let mut kinds = core_kinds();
    kinds.extend(group_kinds());
    kinds.extend(custom_kinds());
    // The core group's events under newer names: the same objects.
    let events = ("events", "Event");
    kinds.push(Kind {
        resource: "events".to_owned(),
        ..kind(("events.k8s.io", "v1"), events, &["ev"], "", typed::check::<newer_events::Event>())
    });
    kinds
});

fn core_kinds() -> Vec<Kind> {
    vec![
        kind(CORE, ("namespaces", "Namespace"), &["ns"], "cs", typed::check::<core::Namespace>()),
        kind(CORE, ("nodes", "Node"), &["no"], "cs", typed::check::<core::Node>()),
        kind(CORE, ("pods", "Pod"), &["po"], "sa", typed::check::<core::Pod>()),
        kind(CORE, ("services", "Service"), &["svc"], "sa", typed::check::<core::Service>()),
        kind(CORE, ("endpoints", "Endpoints"), &["ep"], "", typed::check::<core::Endpoints>()),
        kind(CORE, ("configmaps", "ConfigMap"), &["cm"], "", typed::check::<core::ConfigMap>()),
        kind(CORE, ("secrets", "Secret"), &[], "", typed::check::<core::Secret>()),
        kind(CORE, ("events", "Event"), &["ev"], "", typed::check::<core::Event>()),
        kind(
            CORE,
            ("serviceaccounts", "ServiceAccount"),
            &["sa"],
            "",
            typed::check::<core::ServiceAccount>(),
        ),
        kind(
            CORE,
            ("persistentvolumeclaims", "PersistentVolumeClaim"),
            &["pvc"],
            "s",
            typed::check::<core::PersistentVolumeClaim>(),
        ),
        kind(
            CORE,
            ("persistentvolumes", "PersistentVolume"),
            &["pv"],
            "cs",
            typed::check::<core::PersistentVolume>(),
        ),
        kind(
            CORE,
            ("resourcequotas", "ResourceQuota"),
            &["quota"],
            "s",
            typed::check::<core::ResourceQuota>(),
        ),
        kind(CORE, ("limitranges", "LimitRange"), &["limits"], "", typed::check::<core::LimitRange>()),
        kind(
            CORE,
            ("replicationcontrollers", "ReplicationController"),
            &["rc"],
            "sra",
            typed::check::<core::ReplicationController>(),
        ),
    ]
}

fn group_kinds() -> Vec<Kind> {
    vec![
        kind(APPS, ("deployments", "Deployment"), &["deploy"], "sra", typed::check::<apps::Deployment>()),
        kind(APPS, ("replicasets", "ReplicaSet"), &["rs"], "sra", typed::check::<apps::ReplicaSet>()),
        kind(APPS, ("statefulsets", "StatefulSet"), &["sts"], "sra", typed::check::<apps::StatefulSet>()),
        kind(APPS, ("daemonsets", "DaemonSet"), &["ds"], "sa", typed::check::<apps::DaemonSet>()),
        kind(
            APPS,
            ("controllerrevisions", "ControllerRevision"),
            &[],
            "",
            typed::check::<apps::ControllerRevision>(),
        ),
        kind(BATCH, ("jobs", "Job"), &[], "sa", typed::check::<batch::Job>()),
        kind(BATCH, ("cronjobs", "CronJob"), &["cj"], "sa", typed::check::<batch::CronJob>()),
        kind(NETWORKING, ("ingresses", "Ingress"), &["ing"], "s", typed::check::<networking::Ingress>()),
        kind(
            NETWORKING,
            ("ingressclasses", "IngressClass"),
            &[],
            "c",
            typed::check::<networking::IngressClass>(),
        ),
        kind(
            NETWORKING,
            ("networkpolicies", "NetworkPolicy"),
            &["netpol"],
            "",
            typed::check::<networking::NetworkPolicy>(),
        ),
        kind(
            ("autoscaling", "v2"),
            ("horizontalpodautoscalers", "HorizontalPodAutoscaler"),
            &["hpa"],
            "sa",
            typed::check::<autoscaling::HorizontalPodAutoscaler>(),
        ),
        kind(
            ("policy", "v1"),
            ("poddisruptionbudgets", "PodDisruptionBudget"),
            &["pdb"],
            "s",
            typed::check::<policy::PodDisruptionBudget>(),
        ),
        kind(
            ("discovery.k8s.io", "v1"),
            ("endpointslices", "EndpointSlice"),
            &[],
            "",
            typed::check::<discovery::EndpointSlice>(),
        ),
        kind(
            ("coordination.k8s.io", "v1"),
            ("leases", "Lease"),
            &[],
            "",
            typed::check::<coordination::Lease>(),
        ),
        kind(RBAC, ("roles", "Role"), &[], "", typed::check::<rbac::Role>()),
        kind(RBAC, ("rolebindings", "RoleBinding"), &[], "", typed::check::<rbac::RoleBinding>()),
        kind(RBAC, ("clusterroles", "ClusterRole"), &[], "c", typed::check::<rbac::ClusterRole>()),
        kind(
            RBAC,
            ("clusterrolebindings", "ClusterRoleBinding"),
            &[],
            "c",
            typed::check::<rbac::ClusterRoleBinding>(),
        ),
        kind(
            ("scheduling.k8s.io", "v1"),
            ("priorityclasses", "PriorityClass"),
            &["pc"],
            "c",
            typed::check::<scheduling::PriorityClass>(),
        ),
        kind(
            ("storage.k8s.io", "v1"),
            ("storageclasses", "StorageClass"),
            &["sc"],
            "c",
            typed::check::<storage::StorageClass>(),
        ),
        kind(
            ("apiextensions.k8s.io", "v1"),
            ("customresourcedefinitions", "CustomResourceDefinition"),
            &["crd", "crds"],
            "cs",
            typed::check::<extensions::CustomResourceDefinition>(),
        ),
    ]
}

/// Those of the Gateway API and of Istio.
fn custom_kinds() -> Vec<Kind> {
    vec![
        custom_kind(
            GATEWAY,
            ("gatewayclasses", "GatewayClass"),
            &["gc"],
            "cs",
            (None, &["Controller=.spec.controllerName"]),
        ),
        custom_kind(
            GATEWAY,
            ("gateways", "Gateway"),
            &["gtw"],
            "s",
            (Some(CONDITIONS), &["Class=.spec.gatewayClassName"]),
        ),
        custom_kind(
            GATEWAY,
            ("httproutes", "HTTPRoute"),
            &[],
            "s",
            (Some(include_str!("custom/httproute.json")), &["Hostnames=.spec.hostnames"]),
        ),
        custom_kind(
            ISTIO,
            ("virtualservices", "VirtualService"),
            &["vs"],
            "s",
            (None, &["Gateways=.spec.gateways", "Hosts=.spec.hosts"]),
        ),
        custom_kind(
            ISTIO,
            ("destinationrules", "DestinationRule"),
            &["dr"],
            "s",
            (None, &["Host=.spec.host"]),
        ),
        custom_kind(ISTIO, ("gateways", "Gateway"), &["gw"], "s", (None, &[])),
    ]
}

/// The part of a Gateway's schema that says how its lists merge.
const CONDITIONS: &str = r#"{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "listeners": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}}"#;

/// Every kind, in the order of discovery.
pub(crate) fn all() -> &'static [Kind] {
    &KINDS
}

/// The kind of `resource` (`deployments.apps`). Only for resources of this crate's code, and those of objects that are stored.
pub(crate) fn of(resource: &str) -> &'static Kind {
    let built_in = KINDS.iter().find(|k| k.resource == resource);
    built_in
        .or_else(|| custom::defined(resource))
        .expect("the resource is one of the registry's, or was defined")
}
