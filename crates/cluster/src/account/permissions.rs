//! The permissions that our actions need, and which of them the credentials have (T10).
//!
//! One list is asked of a cluster, written into the `ClusterRole` that is shipped, and told to people.

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::transport::Call;

/// Something that our actions do in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The API group; empty for the core's.
    pub group: &'static str,
    /// The resource, with its subresource: `pods/log`.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// Whether no deployment works without it.
    pub required: bool,
    /// What does not work without it.
    pub used_for: &'static str,
}

const READ: &[&str] = &["get", "list", "watch"];
/// What server-side apply, a snapshot, a restore and a rollout's watch take together.
const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

const fn needs(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    used_for: &'static str,
) -> Permission {
    Permission { group, resource, verbs, required: false, used_for }
}

const fn requires(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    used_for: &'static str,
) -> Permission {
    Permission { group, resource, verbs, required: true, used_for }
}

const APPLIED: &str = "deploying, changing and taking back objects of this kind";
const ROUTES: &str = "moving traffic by weight";

/// Everything that the stage types do, with the kinds that come with Kubernetes and the routes that traffic is moved by. Written by
/// hand, and held by `tests/it`: every test of the whole system deploys as the service account that has this and no more.
pub const PERMISSIONS: &[Permission] = &[
    requires("apps", "deployments", OWN, "deploying, watching and taking back Deployments"),
    requires("apps", "replicasets", READ, "watching rollouts of Deployments"),
    requires("", "pods", READ, "watching rollouts: which pod fails, and why"),
    requires("", "events", &["list", "watch"], "saying why a rollout fails"),
    needs("apps", "statefulsets", OWN, "deploying, watching and taking back StatefulSets"),
    needs("apps", "daemonsets", OWN, "deploying, watching and taking back DaemonSets"),
    needs("apps", "controllerrevisions", READ, "watching rollouts of StatefulSets and DaemonSets"),
    needs("apps", "replicasets", &["create", "patch", "delete"], "server groups that are ReplicaSets"),
    needs(
        "",
        "pods",
        &["delete"],
        "freeing a StatefulSet whose rollout hangs on a pod, when it is taken back",
    ),
    needs("", "pods", &["patch"], "enabling and disabling server groups: the labels of their pods"),
    needs("", "pods", &["create"], "deploying Pods that no workload makes"),
    needs("", "pods/log", &["get"], "the last lines of a container that crashes"),
    needs("", "configmaps", OWN, APPLIED),
    needs("", "secrets", OWN, APPLIED),
    needs("", "services", OWN, "deploying Services, and moving traffic from one version to another"),
    needs("", "serviceaccounts", OWN, APPLIED),
    needs("", "persistentvolumeclaims", OWN, APPLIED),
    needs("", "replicationcontrollers", OWN, APPLIED),
    needs("", "limitranges", OWN, APPLIED),
    needs("", "resourcequotas", OWN, APPLIED),
    needs("", "namespaces", &["get"], "gates and preconditions that look at a namespace"),
    needs("batch", "jobs", OWN, "running Jobs"),
    needs("batch", "cronjobs", OWN, APPLIED),
    needs("autoscaling", "horizontalpodautoscalers", OWN, APPLIED),
    needs("policy", "poddisruptionbudgets", OWN, APPLIED),
    needs(
        "networking.k8s.io",
        "ingresses",
        OWN,
        "deploying Ingresses, and moving traffic by their annotations",
    ),
    needs("networking.k8s.io", "networkpolicies", OWN, APPLIED),
    needs("discovery.k8s.io", "endpointslices", READ, "the traffic guard: how many endpoints are ready"),
    needs("gateway.networking.k8s.io", "httproutes", OWN, ROUTES),
    needs("networking.istio.io", "virtualservices", OWN, ROUTES),
    needs("networking.istio.io", "destinationrules", OWN, ROUTES),
];

/// A permission that the credentials lack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingPermission {
    /// The namespace; absent: the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The API group; empty for the core's.
    pub group: String,
    /// The resource, with its subresource: `pods/log`.
    pub resource: String,
    /// The verbs that are missing.
    pub verbs: Vec<String>,
    /// Whether no deployment works without it.
    pub required: bool,
    /// What does not work without it.
    pub used_for: String,
}

/// How many questions are under way at once.
const AT_ONCE: usize = 8;

impl Cluster {
    /// Which of [`PERMISSIONS`] the credentials lack in these namespaces, or in the whole cluster when none is named. One
    /// question for each verb, eight at a time; a single one for those who may do everything.
    ///
    /// # Errors
    /// [`ClusterError`] when the cluster cannot be asked.
    pub async fn missing_permissions(
        &self,
        namespaces: &[String],
    ) -> Result<Vec<MissingPermission>, ClusterError> {
        let scopes: Vec<Option<&str>> = match namespaces {
            [] => vec![None],
            some => some.iter().map(|name| Some(name.as_str())).collect(),
        };
        let mut missing = Vec::new();
        for scope in scopes {
            if self.may(scope, "*", "*", "*").await? {
                continue;
            }
            // By their places: a future that borrows what it was mapped from is not `Send` for every lifetime.
            let verbs = |index: usize| (0..PERMISSIONS[index].verbs.len()).map(move |verb| (index, verb));
            let questions: Vec<(usize, usize)> = (0..PERMISSIONS.len()).flat_map(verbs).collect();
            let denied: Vec<Option<(usize, usize)>> = futures::stream::iter(questions)
                .map(|(index, verb)| async move {
                    let Permission { group, resource, verbs, .. } = PERMISSIONS[index];
                    let may = self.may(scope, group, resource, verbs[verb]).await?;
                    Ok::<_, ClusterError>((!may).then_some((index, verb)))
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            missing.extend(PERMISSIONS.iter().enumerate().filter_map(|(index, permission)| {
                let of_this = denied.iter().flatten().filter(|(other, _)| *other == index);
                let verbs = of_this.map(|(_, verb)| permission.verbs[*verb].to_owned()).collect();
                lacking(permission, scope, verbs)
            }));
        }
        Ok(missing)
    }

    /// Whether the credentials may do this: `SelfSubjectAccessReview`. Everybody who is authenticated may ask that.
    async fn may(
        &self,
        namespace: Option<&str>,
        group: &str,
        resource: &str,
        verb: &str,
    ) -> Result<bool, ClusterError> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let mut attributes = json!({ "group": group, "resource": resource, "verb": verb });
        if !subresource.is_empty() {
            attributes["subresource"] = subresource.into();
        }
        if let Some(namespace) = namespace {
            attributes["namespace"] = namespace.into();
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let call = Call::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review);
        let answer = self.transport.call("ask for permissions", &call).await?;
        Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }
}

fn lacking(permission: &Permission, scope: Option<&str>, verbs: Vec<String>) -> Option<MissingPermission> {
    (!verbs.is_empty()).then(|| MissingPermission {
        namespace: scope.map(str::to_owned),
        group: permission.group.to_owned(),
        resource: permission.resource.to_owned(),
        verbs,
        required: permission.required,
        used_for: permission.used_for.to_owned(),
    })
}
