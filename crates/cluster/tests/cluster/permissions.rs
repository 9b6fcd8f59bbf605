//! What credentials may do, asked of the cluster (T10).

use kube::Client;
use pilothouse_cluster::{Cluster, PERMISSIONS, RestoreOutcome, cluster_role, parse_manifests};

use crate::support::Scene;

const ACCOUNT: &str = "system:serviceaccount:pilothouse:pilothouse";

/// The shipped role, applied as `kubectl apply` would, is understood as what is asked for. Whether that is what the stage types
/// need, every test of `tests/it` says.
#[tokio::test(start_paused = true)]
async fn with_the_role_that_is_shipped_nothing_is_missing() {
    let scene = Scene::new().await;
    let theirs = |user: &str| Cluster::new(Client::new(scene.sim.service_as(user), "default"));
    let account = theirs(ACCOUNT);
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

/// What workloads are made of: an object of each kind, without those that grant rights or belong to the whole cluster.
const EACH_KIND: &[&str] = &[
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
    "{apiVersion: v1, kind: Secret, metadata: {name: a}}",
    "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: a}, ports: [{port: 80}]}}",
    "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}",
    "{apiVersion: v1, kind: LimitRange, metadata: {name: a}, spec: {limits: [{type: Container, max: {cpu: '8'}}]}}",
    "{apiVersion: v1, kind: ResourceQuota, metadata: {name: a}, spec: {hard: {pods: '90'}}}",
    "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: 'a:1'}]}}",
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: \
     {app: d}}, spec: {containers: [{name: a, image: 'a:1'}]}}}}",
    "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: a}, spec: {selector: {matchLabels: {app: r}}, template: {metadata: {labels: \
     {app: r}}, spec: {containers: [{name: a, image: 'a:1'}]}}}}",
    "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}, spec: {serviceName: a, selector: {matchLabels: {app: s}}, template: \
     {metadata: {labels: {app: s}}, spec: {containers: [{name: a, image: 'a:1'}]}}}}",
    "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a}, spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: \
     {app: x}}, spec: {containers: [{name: a, image: 'a:1'}]}}}}",
    "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: \
     'a:1'}]}}}}",
    "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {spec: \
     {restartPolicy: Never, containers: [{name: a, image: 'a:1'}]}}}}}}",
    "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: \
     apps/v1, kind: Deployment, name: a}}}",
    "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a}, spec: {minAvailable: 1, selector: {matchLabels: {app: d}}}}",
    "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, spec: {defaultBackend: {service: {name: a, port: {number: \
     80}}}}}",
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a}, spec: {rules: [{backendRefs: [{name: a, port: \
     80}]}]}}",
    "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {hosts: [a]}}",
];

#[tokio::test(start_paused = true)]
async fn under_the_role_that_is_shipped_every_kind_of_a_workload_is_deployed_and_taken_back() {
    let scene = Scene::new().await;
    let manifests = parse_manifests(&cluster_role(), "default").unwrap();
    scene.cluster.apply(&manifests, &crate::support::options("dep_1")).await.unwrap();
    let account = Cluster::new(Client::new(scene.sim.service_as(ACCOUNT), "default"));
    let manifests = crate::support::manifests(&EACH_KIND.join("\n---\n"));
    let objects = crate::support::objects(&manifests);
    let before = account.snapshot(&objects).await.unwrap();
    assert_eq!(before.missed, Vec::<String>::new());
    account.apply(&manifests, &crate::support::options("dep_2")).await.unwrap();
    for restored in account.restore(&before, &pilothouse_cluster::RestoreOptions::default()).await.unwrap() {
        assert_eq!(restored.outcome, RestoreOutcome::Deleted, "{}", restored.object);
    }
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
