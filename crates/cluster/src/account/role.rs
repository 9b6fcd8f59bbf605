//! The least-privilege role that is shipped: `deploy/kubernetes/rbac.yaml`, made from the list that a cluster is asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::PERMISSIONS;

/// A namespace, a service account, the role that holds [`PERMISSIONS`] and no more, and its binding: YAML for
/// `kubectl apply -f`.
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
# Kinds that are not listed, such as custom resources that pipelines deploy, need rules of their own.
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
}
