//! The approval after a deployment, and the one that failed gates ask for: carried out by the attempt's own execution,
//! with the rollback that a rejection brings where the policy says so (A25, A29, A33, A36, A37, V2).

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, attempt, environment_status};

/// One environment that deploys a ConfigMap and asks afterwards; its gates look for what is never there.
fn pipeline(gates: &str, rollback: &str) -> String {
    format!(
        "application: shop
pipeline: web
artifacts: [{{name: web, image: shop/web}}]
environments:
  - name: prod
    namespace: prod
    approvals: {{after: {{approvers: [{{role: approver}}], timeout: 1d}}}}
    gates: {gates}
    rollback: {rollback}
    stages:
      - name: Deploy
        type: deploy-manifest
        manifests: |
          apiVersion: v1
          kind: ConfigMap
          metadata: {{name: deployed}}
          data: {{k: v}}
"
    )
}

const ASKS: &str = "{after: {interval: 30s, timeout: 2m, onFailure: ask, checks: \
    [{name: errors, type: cluster, object: {kind: ConfigMap, name: healthy}, expect: '${ object.data.ok == \"yes\" }'}]}}";
const BACK: &str = "{policy: on_failure, causes: [approval_rejected]}";

/// `Failed, Rejected`.
fn pair(view: &Value, number: u64) -> String {
    let attempt = attempt(view, "prod", number);
    format!("{}, {}", attempt["status"].as_str().unwrap(), attempt["operationStatus"].as_str().unwrap())
}

/// A release whose stages are done and that waits for people in this operation status.
async fn waiting(world: &World, gates: &str, rollback: &str, operation: &str) -> String {
    world.save(&pipeline(gates, rollback)).await;
    let release = world.start("1.0.0").await;
    let view = world
        .until(&release, "the question after the deployment", |v| {
            pair(v, 1) == format!("InProgress, {operation}")
        })
        .await;
    assert_eq!(environment_status(&view, "prod"), "InProgress");
    assert!(world.sim.get("ConfigMap", "prod", "deployed").is_some(), "it is deployed");
    release
}

async fn decide(world: &World, release: &str, verb: &str) {
    let answer = world.about(&world.token, release, verb, json!({ "comment": "seen" })).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

async fn proved(world: &World, release: &str) {
    assert_eq!(world.proof(release).await.findings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn v2_a_rejection_after_the_deployment_rolls_it_back_where_the_policy_says_so() {
    let world = World::new().await;
    let release = waiting(&world, "{}", BACK, "Pending").await;
    decide(&world, &release, "reject").await;
    let view = world.at_rest(&release).await;
    assert_eq!(pair(&view, 1), "Failed, Rejected", "A33: {view:#}");
    let back = attempt(&view, "prod", 2);
    assert_eq!((&back["kind"], &back["status"]), (&json!("rollback"), &json!("Succeeded")), "{view:#}");
    assert_eq!(world.sim.get("ConfigMap", "prod", "deployed"), None, "it is taken back");
    proved(&world, &release).await;
}

#[tokio::test(start_paused = true)]
async fn a33_a_rejection_after_the_deployment_leaves_the_cluster_alone_otherwise() {
    let world = World::new().await;
    for rollback in ["{}", "{policy: on_failure}"] {
        let release = waiting(&world, "{}", rollback, "Pending").await;
        decide(&world, &release, "reject").await;
        let view = world.at_rest(&release).await;
        assert_eq!(pair(&view, 1), "Failed, Rejected", "A33: {view:#}");
        assert_eq!(view["environments"][0]["attempts"].as_array().unwrap().len(), 1, "{view:#}");
        assert!(world.sim.get("ConfigMap", "prod", "deployed").is_some());
        proved(&world, &release).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a32_a_cancel_while_the_approval_after_the_deployment_waits_closes_it() {
    let world = World::new().await;
    let release = waiting(&world, "{}", BACK, "Pending").await;
    let cancel = format!("/v1/releases/{release}/environments/prod/cancel");
    assert!(world.post(&cancel, &json!({})).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!(pair(&view, 1), "Failed, Canceled", "a cancel is no rejection: {view:#}");
    let approval = world.approval(&release).await;
    assert_eq!(approval["standing"], "canceled by admin");
    assert!(approval["endedAt"].is_string(), "{approval:#}");
    proved(&world, &release).await;
}

#[tokio::test(start_paused = true)]
async fn a37_gates_that_fail_after_a_deployment_ask_and_a_yes_makes_it_a_success() {
    let world = World::new().await;
    let release = waiting(&world, ASKS, BACK, "GatesFailed").await;
    let approval = world.approval(&release).await;
    assert_eq!((&approval["asks"], &approval["pending"]), (&json!("afterDeployment"), &json!(true)));
    let shown = &approval["shown"];
    assert!(shown["gatesFailed"].as_str().unwrap().contains("errors"), "they see which check: {approval:#}");
    assert_eq!(
        shown["stages"],
        json!([{ "name": "Deploy", "type": "deploy-manifest", "outcome": "succeeded" }])
    );
    // A restart in the middle of the wait keeps it.
    let world = world.restarted(99).await;
    decide(&world, &release, "approve").await;
    let view = world.at_rest(&release).await;
    assert_eq!(pair(&view, 1), "Succeeded, Approved", "A29: {view:#}");
    assert!(world.sim.get("ConfigMap", "prod", "deployed").is_some());
    proved(&world, &release).await;
}

#[tokio::test(start_paused = true)]
async fn a37_a_no_to_failed_gates_is_a_rejection_and_goes_back_as_one() {
    let world = World::new().await;
    let release = waiting(&world, ASKS, BACK, "GatesFailed").await;
    decide(&world, &release, "reject").await;
    let view = world.at_rest(&release).await;
    assert_eq!(pair(&view, 1), "Failed, Rejected", "A33: {view:#}");
    assert_eq!(attempt(&view, "prod", 1)["reason"], "rejected by admin");
    assert_eq!(pair(&view, 2), "Succeeded, Approved", "{view:#}");
    assert_eq!(world.sim.get("ConfigMap", "prod", "deployed"), None);
    proved(&world, &release).await;
}

#[tokio::test(start_paused = true)]
async fn a37_failed_gates_that_nobody_answers_expire_as_a_rejection() {
    let world = World::new().await;
    let release = waiting(&world, ASKS, BACK, "GatesFailed").await;
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let view = world.at_rest(&release).await;
    assert_eq!(pair(&view, 1), "Failed, Rejected", "{view:#}");
    assert_eq!(attempt(&view, "prod", 1)["reason"], "nobody decided in time");
    assert_eq!(world.approval(&release).await["standing"], "expired");
    assert_eq!(
        world.sim.get("ConfigMap", "prod", "deployed"),
        None,
        "an expiry that rejects goes back as well"
    );
    proved(&world, &release).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_decided_and_sampled_cannot_be_changed_behind_its_events_back() {
    let world = World::new().await;
    let release = waiting(&world, ASKS, "{}", "GatesFailed").await;
    decide(&world, &release, "approve").await;
    world.at_rest(&release).await;
    let whole = world.export(&release).await;
    let found = |change: &dyn Fn(&mut Value)| {
        let mut export = whole.clone();
        change(&mut export);
        pilothouse_domain::proof::verify(&export, None).unwrap().findings.join("\n")
    };
    insta::assert_snapshot!(found(&|_| ()), @"");
    insta::assert_snapshot!(found(&|e| e["approvals"][0]["decisions"][0]["comment"] = json!("never")), @"attempt 1 of `prod`: what admin said, chose or saw is not what the event of that decision says");
    insta::assert_snapshot!(found(&|e| e["approvals"][0]["shown"]["gatesFailed"] = Value::Null), @"attempt 1 of `prod`: what the approvers were shown does not have the hash that was recorded with it");
    insta::assert_snapshot!(found(&|e| e["approvals"][0]["approvers"] = json!([{ "user": "eve" }])), @"attempt 1 of `prod`: its approval asks user eve, and the events say role approver");
    insta::assert_snapshot!(found(&|e| e["approvals"] = json!([])), @r"
    attempt 1 of `prod`: it has 0 approvals, and the events say 1
    attempt 1 of `prod`: its decisions are none, and the events say yes by admin
    ");
    let passed = found(&|e| e["gates"][0]["status"] = json!("passed"));
    assert!(passed.starts_with("attempt 1 of `prod`: gate after: it passed after 5 samples, and the events say failed after 5 samples ("), "{passed}");
    insta::assert_snapshot!(found(&|e| e["gates"] = json!([])), @"attempt 1 of `prod`: gate after: events tell of it, and it has no record");
}
