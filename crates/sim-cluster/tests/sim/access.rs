//! Who may do what.

use k8s_openapi::api::{
    apps::v1::Deployment,
    authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview},
    core::v1::{ConfigMap, Pod},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use pilothouse_sim_cluster::{Denial, SimCluster};
use serde_json::{Value, json};

use crate::objects::{cluster, create_web, refused, typed, web};

const DEPLOYER: &str = "system:serviceaccount:ci:deployer";

async fn store(client: &Client, path: &str, object: Value) {
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .expect("a request");
    client.request::<Value>(request).await.expect("it is stored");
}

/// A Role in dev, held by the deployer.
async fn grant(client: &Client, rules: Value) {
    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/dev";
    store(client, &format!("{group}/roles"), json!({"metadata": {"name": "deployer"}, "rules": rules})).await;
    let binding = json!({
        "metadata": {"name": "deployer"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"}],
    });
    store(client, &format!("{group}/rolebindings"), binding).await;
}

fn deployer(cluster: &SimCluster) -> Client {
    Client::new(cluster.service_as(DEPLOYER), "default")
}

async fn may(client: &Client, attributes: Value) -> bool {
    let review = typed(json!({"spec": {"resourceAttributes": attributes}}));
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.expect("an answer").status.expect("a verdict").allowed
}

#[tokio::test(start_paused = true)]
async fn a_role_grants_what_it_names_and_nothing_else() {
    let (cluster, admin) = cluster().await;
    let client = deployer(&cluster);
    let api: Api<Deployment> = Api::namespaced(client.clone(), "dev");
    let denied = refused(api.get("web").await);
    assert_eq!((denied.code, denied.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        denied.message,
        format!(
            "deployments.apps \"web\" is forbidden: User \"{DEPLOYER}\" cannot get resource \"deployments\" in API group \"apps\" in the namespace \"dev\""
        )
    );
    grant(&admin, json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]))
        .await;
    assert_eq!(refused(api.get("web").await).code, 404);
    // An apply that creates asks for `create` beside `patch`.
    let apply = Patch::Apply(web("web:1", 1));
    let denied = refused(api.patch("web", &PatchParams::apply("p"), &apply).await);
    assert!(denied.message.contains("cannot create resource \"deployments\""), "{}", denied.message);
    create_web(&admin, "web:1", 1).await;
    api.patch("web", &PatchParams::apply("p").force(), &apply).await.unwrap();
    assert_eq!(refused(api.delete("web", &DeleteParams::default()).await).code, 403);
    let elsewhere: Api<Deployment> = Api::namespaced(client.clone(), "prod");
    assert_eq!(refused(elsewhere.get("web").await).code, 403);
    let everywhere: Api<Pod> = Api::all(client);
    let denied = refused(everywhere.list(&ListParams::default()).await);
    assert!(
        denied.message.starts_with("pods is forbidden: ") && denied.message.ends_with("at the cluster scope")
    );
}

#[tokio::test(start_paused = true)]
async fn reviews_answer_what_requests_would_be_answered() {
    let (cluster, admin) = cluster().await;
    let client = deployer(&cluster);
    grant(&admin, json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["app"], "verbs": ["get", "list"]}])).await;
    let one = json!({"verb": "get", "resource": "configmaps", "namespace": "dev", "name": "app"});
    assert!(may(&client, one.clone()).await);
    assert!(
        !may(&client, json!({"verb": "get", "resource": "configmaps", "namespace": "dev"})).await,
        "any of them"
    );
    assert!(
        !may(&client, json!({"verb": "get", "resource": "configmaps", "namespace": "prod", "name": "app"}))
            .await
    );
    assert!(may(&admin, json!({"verb": "delete", "resource": "nodes"})).await);
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "dev");
    assert_eq!(refused(api.get("app").await).code, 404);
    assert_eq!(refused(api.list(&ListParams::default()).await).code, 403);
    api.list(&ListParams::default().fields("metadata.name=app")).await.unwrap();
    let rules: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let review =
        rules.create(&PostParams::default(), &typed(json!({"spec": {"namespace": "dev"}}))).await.unwrap();
    let status = review.status.unwrap();
    assert_eq!(status.resource_rules[0].resource_names.as_deref(), Some(&["app".to_owned()][..]));
    cluster.deny(Denial::new().resource("configmaps").namespace("dev"));
    assert!(!may(&client, one.clone()).await);
    assert_eq!(refused(api.get("app").await).code, 403);
    cluster.clear_denials();
    assert!(may(&client, one).await);
}

#[tokio::test(start_paused = true)]
async fn a_denial_makes_a_namespace_read_only_even_for_the_administrator() {
    let (cluster, admin) = cluster().await;
    create_web(&admin, "web:1", 1).await;
    cluster.deny(
        ["create", "update", "patch", "delete"]
            .into_iter()
            .fold(Denial::new().namespace("dev"), Denial::verb),
    );
    let api: Api<Deployment> = Api::namespaced(admin, "dev");
    api.get("web").await.unwrap();
    let denied = refused(api.patch("web", &PatchParams::apply("p"), &Patch::Apply(web("web:2", 1))).await);
    assert_eq!(
        denied.message,
        "deployments.apps \"web\" is forbidden: User \"kubernetes-admin\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"dev\""
    );
}
