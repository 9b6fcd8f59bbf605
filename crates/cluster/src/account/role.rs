//! The least-privilege role that is shipped: `deploy/kubernetes/rbac.yaml`, made from the list that a cluster is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::PERMISSIONS;

/// A namespace, a service account, the role that holds [`PERMISSIONS`] and no more, and its binding: YAML for
/// `kubectl apply -f`. What only some installations deploy stands in it as comments.
#[must_use]
pub fn cluster_role() -> String {
    let mut text = HEAD.to_owned();
    for ((group, verbs), resources) in rules() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  - apiGroups: [\"{group}\"]\n    resources: [{}]\n    verbs: [{}]",
            resources.join(", "),
            verbs.join(", ")
        );
    }
    text.push_str(OPTIONAL);
    text.push_str(TAIL);
    text
}

/// The resources by group and verbs; those of one resource together.
fn rules() -> BTreeMap<(&'static str, Vec<&'static str>), Vec<&'static str>> {
    let mut verbs: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for permission in PERMISSIONS {
        verbs.entry((permission.group, permission.resource)).or_default().extend(permission.verbs);
    }
    let mut rules: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for ((group, resource), verbs) in verbs {
        rules.entry((group, verbs)).or_default().push(resource);
    }
    rules
}

const HEAD: &str = "\
# What Pilothouse needs in a cluster, and no more. Made from the code by `cargo xtask generate`; `pilothouse cluster verify`
# asks the cluster for the same list.
#
#   kubectl apply -f rbac.yaml
#   kubectl -n pilothouse create token pilothouse --duration=8760h
#
# To let it into some namespaces only, leave out the ClusterRoleBinding and bind the role in each of them:
#
#   kubectl -n shop create rolebinding pilothouse --clusterrole=pilothouse --serviceaccount=pilothouse:pilothouse
#
# It deploys the kinds that workloads are made of. Those after the rules, which are comments, and custom resources need rules of their
# own; namespaces must be there.
apiVersion: v1
kind: Namespace
metadata:
  name: pilothouse
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: pilothouse
  namespace: pilothouse
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: pilothouse
rules:
";

/// What only some installations deploy, to be uncommented by who does: what grants rights or reaches beyond a namespace is not given
/// unasked.
const OPTIONAL: &str = "  # What else your pipelines may deploy; uncomment what they do, and add your custom resources in the same way.
  #
  # Namespaces (whoever may label one decides what its pods may do), volumes, and kinds:
  # - apiGroups: [\"\"]
  #   resources: [namespaces]
  #   verbs: [get, list, watch, create, patch]
  # - apiGroups: [\"\"]
  #   resources: [persistentvolumes]
  #   verbs: [get, list, watch, create, patch, delete]
  # - apiGroups: [\"apiextensions.k8s.io\"]
  #   resources: [customresourcedefinitions]
  #   verbs: [get, list, watch, create, patch, delete]
  # Roles: nobody may grant what he does not have, but for who may `escalate` and `bind`:
  # - apiGroups: [\"rbac.authorization.k8s.io\"]
  #   resources: [roles, rolebindings]
  #   verbs: [get, list, watch, create, patch, delete, escalate, bind]
  # Services without a selector, and other ways in:
  # - apiGroups: [\"\"]
  #   resources: [endpoints]
  #   verbs: [get, list, watch, create, patch, delete]
  # - apiGroups: [\"discovery.k8s.io\"]
  #   resources: [endpointslices]
  #   verbs: [create, patch, delete]
  # - apiGroups: [\"networking.k8s.io\"]
  #   resources: [ingressclasses]
  #   verbs: [get, list, watch, create, patch, delete]
  # - apiGroups: [\"gateway.networking.k8s.io\"]
  #   resources: [gateways, grpcroutes, tcproutes, tlsroutes, referencegrants]
  #   verbs: [get, list, watch, create, patch, delete]
  # - apiGroups: [\"networking.istio.io\"]
  #   resources: [gateways, serviceentries]
  #   verbs: [get, list, watch, create, patch, delete]
  # Workloads of other controllers:
  # - apiGroups: [\"argoproj.io\"]
  #   resources: [rollouts]
  #   verbs: [get, list, watch, create, patch, delete]
  # Gates and preconditions that look at nodes:
  # - apiGroups: [\"\"]
  #   resources: [nodes]
  #   verbs: [get]
";

const TAIL: &str = "\
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: pilothouse
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: pilothouse
subjects:
  - kind: ServiceAccount
    name: pilothouse
    namespace: pilothouse
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_in_the_role_and_nothing_is_granted_at_large() {
        let rules = rules();
        for permission in PERMISSIONS {
            for verb in permission.verbs {
                let granted = rules.iter().any(|((group, verbs), resources)| {
                    *group == permission.group
                        && verbs.contains(verb)
                        && resources.contains(&permission.resource)
                });
                assert!(granted, "{permission:?}");
            }
        }
        let granted: usize = rules.iter().map(|((_, verbs), resources)| verbs.len() * resources.len()).sum();
        assert_eq!(granted, PERMISSIONS.iter().map(|p| p.verbs.len()).sum::<usize>(), "each once");
        assert!(!cluster_role().contains('*'));
    }

    #[test]
    fn what_is_a_comment_in_the_role_are_rules_once_the_mark_is_gone() {
        let uncommented = |line: &str| match line.strip_prefix("  # ") {
            Some(rule) if rule.starts_with("- ") || rule.starts_with("  ") => format!("  {rule}"),
            _ => line.to_owned(),
        };
        let text: Vec<String> = cluster_role().lines().map(uncommented).collect();
        let rules = |text: &str| {
            let manifests = crate::parse_manifests(text, "default").unwrap();
            let role = manifests.iter().find(|m| m.object.kind == "ClusterRole").unwrap();
            role.content["rules"].as_array().unwrap().clone()
        };
        let (without, with) = (rules(&cluster_role()), rules(&text.join("\n")));
        assert_eq!(with.len(), without.len() + OPTIONAL.matches("apiGroups").count());
        assert!(
            with.iter().all(|rule| rule["resources"].is_array() && rule["verbs"].is_array()),
            "{with:#?}"
        );
    }
}
