use std::collections::BTreeMap;

use pilothouse_cluster::RetryPolicy;
use pilothouse_connector::Faults;
use pilothouse_sim_cluster::SimCluster;
use serde_json::json;

use super::*;
use crate::intake::test_context::{TestContext, start};

const EXEC: &str = "current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n\
    clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n\
    users: [{name: a, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/false}}}]\n";

fn kubeconfig(source: &str) -> ClusterCredentials {
    ClusterCredentials::Kubeconfig { source: source.parse().unwrap(), context: None }
}

/// The account `eu` by this kubeconfig, as it was recorded before anybody looked into it.
async fn recorded(source: &str, text: &str) -> TestContext {
    let test = TestContext::with(BTreeMap::from([(source, text)]), Faults::new(|_| None)).await;
    let account = ClusterAccount {
        name: "eu".to_owned(),
        credentials: kubeconfig(source),
        namespaces: Vec::new(),
        verification: Verification::Unverified,
        created_at: test.context.now(),
        created_by: "ann".to_owned(),
    };
    assert!(test.context.commit(Transaction::new().create(&account)).await.unwrap());
    test
}

#[tokio::test]
async fn a_kubeconfig_that_does_not_parse_leaves_none_of_its_words_in_the_record() {
    for text in ["hunter2", "users:\n- name: a\n  user: {token: [hunter2]}\n"] {
        let test = recorded("aws-secret:kube", text).await;
        let account = verify_cluster(&test.context, "eu").await.unwrap();
        let Verification::Failed { reason, .. } = &account.verification else { panic!("{account:?}") };
        assert!(reason.starts_with("read kubeconfig: line ") && !reason.contains("hunter2"), "{reason}");
        assert!(!test.dump().contains("hunter2"), "invariant 7");
        let error = test.context.clusters.get("eu").await.err().unwrap();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_program_is_started_only_by_the_kubeconfig_that_this_process_was_started_with() {
    let test = recorded("file:/home/ann/.kube/config", EXEC).await;
    let refused = test.context.clusters.get("eu").await.err().unwrap().to_string();
    assert!(
        refused.contains("user \"a\" has `exec`, and the kubeconfig of a cluster account starts"),
        "{refused}"
    );
    test.context.clusters.started_with(kubeconfig("file:/home/ann/.kube/config"));
    let started = test.context.clusters.get("eu").await.err().unwrap().to_string();
    assert!(started.contains("the credential plugin failed"), "{started}");
}

#[tokio::test(start_paused = true)]
async fn each_verification_asks_the_cluster_once_whoever_else_verifies() {
    let test = TestContext::new().await;
    let sim = SimCluster::builder().namespaces(["dev"]).build().await.unwrap();
    let client = kube::Client::new(sim.service(), "default");
    let cluster = Cluster::with_retry(client, RetryPolicy { seed: 1, ..RetryPolicy::default() });
    test.context.clusters.register("near", cluster);
    let account: ClusterAccount = serde_json::from_value(json!({
        "name": "near", "credentials": {"kind": "kubeconfig", "source": "file:/near"}, "createdAt": start(),
    }))
    .unwrap();
    test.context.store.commit(Transaction::new().create(&account)).await.unwrap();
    let all = futures::future::join_all((0..5).map(|_| verify_cluster(&test.context, "near"))).await;
    for verified in all {
        let verified = verified.unwrap().verification;
        assert!(matches!(verified, Verification::Verified { .. }), "{verified:?}");
    }
    assert_eq!(sim.count_requests(|request| request.path == "/version"), 5);
}
