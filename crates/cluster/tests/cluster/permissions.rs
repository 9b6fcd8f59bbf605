//! What credentials may do, asked of the cluster (T10).

use kube::Client;
use pilothouse_cluster::{Cluster, PERMISSIONS, cluster_role, parse_manifests};

use crate::support::Scene;

/// The shipped role, applied as `kubectl apply` would, is exactly what is asked for.
#[tokio::test(start_paused = true)]
async fn with_the_role_that_is_shipped_nothing_is_missing() {
    let scene = Scene::new().await;
    let theirs = |user: &str| Cluster::new(Client::new(scene.sim.service_as(user), "default"));
    let account = theirs("system:serviceaccount:pilothouse:pilothouse");
    let missing = account.missing_permissions(&[]).await.unwrap();
    assert_eq!(missing.len(), PERMISSIONS.len(), "without any role all of it is missing");
    assert!(
        missing.iter().any(|m| m.resource == "pods" && m.verbs == ["get", "list", "watch"] && m.required)
    );

    let manifests = parse_manifests(&cluster_role(), "default").unwrap();
    scene.cluster.apply(&manifests, &crate::support::options("dep_1")).await.unwrap();
    assert_eq!(account.missing_permissions(&[]).await.unwrap(), []);
    assert_eq!(account.missing_permissions(&["dev".to_owned()]).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_for_each_namespace() {
    let scene = Scene::new().await;
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: half, namespace: dev}\n\
        rules:\n- {apiGroups: [apps, \"\"], resources: ['*'], verbs: ['*']}\n---\n\
        apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: half, namespace: dev}\n\
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: half}\n\
        subjects: [{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}]\n";
    let manifests = parse_manifests(role, "dev").unwrap();
    scene.cluster.apply(&manifests, &crate::support::options("dep_1")).await.unwrap();
    let bob = Cluster::new(Client::new(scene.sim.service_as("bob"), "default"));
    let missing = bob.missing_permissions(&["dev".to_owned()]).await.unwrap();
    assert!(missing.iter().all(|m| m.namespace.as_deref() == Some("dev") && !m.required), "{missing:#?}");
    assert!(missing.iter().any(|m| m.group == "batch" && m.resource == "jobs"));
    assert!(!missing.iter().any(|m| m.group.is_empty()), "{missing:#?}");
    let all = bob.missing_permissions(&[]).await.unwrap();
    assert!(all.iter().any(|m| m.resource == "deployments" && m.required && m.namespace.is_none()));
}

/// Who may do everything is asked one question.
#[tokio::test(start_paused = true)]
async fn an_administrator_costs_one_question() {
    let scene = Scene::new().await;
    scene.sim.clear_requests();
    assert_eq!(scene.cluster.missing_permissions(&[]).await.unwrap(), []);
    assert_eq!(scene.sim.requests().len(), 1);
}
