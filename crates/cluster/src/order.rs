//! In which order objects are applied: what others refer to comes first.

use crate::manifest::Manifest;
use crate::object::ObjectRef;

/// Ranks by kind, lowest first. Kinds that are not here (custom resources) come between services and workloads'
/// surroundings: after everything they may refer to, before what routes traffic.
const ORDER: &[&[&str]] = &[
    &["Namespace"],
    &["CustomResourceDefinition"],
    &["PriorityClass", "StorageClass", "RuntimeClass", "IngressClass", "GatewayClass"],
    &["ResourceQuota", "LimitRange", "NetworkPolicy"],
    &["ServiceAccount"],
    &["ClusterRole", "Role"],
    &["ClusterRoleBinding", "RoleBinding"],
    &["ConfigMap", "Secret"],
    &["PersistentVolume"],
    &["PersistentVolumeClaim"],
    &["Service"],
    &[
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "ReplicationController",
        "Pod",
        "Job",
        "CronJob",
    ],
    OTHER,
    &["Ingress", "Gateway", "HTTPRoute", "GRPCRoute"],
    &["HorizontalPodAutoscaler", "PodDisruptionBudget"],
    &["APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
];

/// Where kinds without a rank go.
const OTHER: &[&str] = &[];

/// The rank of a kind: objects of a lower rank are applied first and deleted last.
pub(crate) fn rank(object: &ObjectRef) -> usize {
    let ranked = ORDER.iter().position(|kinds| kinds.contains(&object.kind.as_str()));
    ranked.or_else(|| ORDER.iter().position(|kinds| kinds.is_empty())).unwrap_or(ORDER.len())
}

/// The manifests in the order to apply them. Those of the same rank keep their order in the text.
pub(crate) fn sorted(manifests: &[Manifest]) -> Vec<&Manifest> {
    let mut sorted: Vec<&Manifest> = manifests.iter().collect();
    sorted.sort_by_key(|manifest| rank(&manifest.object));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse_manifests;

    #[test]
    fn what_others_refer_to_comes_first() {
        let text: String = [
            "HorizontalPodAutoscaler",
            "Ingress",
            "Widget",
            "Deployment",
            "Service",
            "Secret",
            "ConfigMap",
            "Role",
            "ServiceAccount",
            "Namespace",
        ]
        .map(|kind| format!("apiVersion: x/v1\nkind: {kind}\nmetadata: {{name: a}}\n---\n"))
        .concat();
        let manifests = parse_manifests(&text, "dev").unwrap();
        let kinds: Vec<&str> = sorted(&manifests).iter().map(|m| m.object.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "Namespace",
                "ServiceAccount",
                "Role",
                "Secret",
                "ConfigMap",
                "Service",
                "Deployment",
                "Widget",
                "Ingress",
                "HorizontalPodAutoscaler"
            ]
        );
    }
}
