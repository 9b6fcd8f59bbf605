//! What a rollback restores: what stands around a workload, Secrets from sealed copies, and what others changed (X4).

use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{act, pair, pipeline};
use crate::world::{World, attempt, object};

/// Somebody else's server-side apply, as `kubectl apply --server-side --force-conflicts` sends it.
async fn apply_as(world: &World, manager: &str, path: &str, body: &Value) {
    let request = http::Request::patch(format!("{path}?fieldManager={manager}&force=true"))
        .header("content-type", "application/apply-patch+yaml")
        .body(axum::body::Body::from(body.to_string()))
        .unwrap();
    let answer = world.sim.service().oneshot(request).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn delete(world: &World, path: &str) {
    let request = http::Request::delete(path).body(axum::body::Body::empty()).unwrap();
    assert!(world.sim.service().oneshot(request).await.unwrap().status().is_success());
}

const SECRET: &str = "/api/v1/namespaces/prod/secrets/db";
const WEB: &str = "/apis/apps/v1/namespaces/prod/deployments/web";

/// A Deployment that reads a Secret and a ConfigMap; the Secret's labels are ours, its values somebody else's.
fn prod() -> Value {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"A": "1"}});
    let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "shop/web",
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "db"}}]}]}});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": pod}});
    json!({"name": "prod", "namespace": "prod", "rollback": {}, "stages": [
        {"name": "Config", "type": "deploy-manifest", "manifests": config.to_string()},
        {"name": "Deploy", "type": "deploy-manifest", "dependsOn": ["Config"], "timeout": "2m", "manifests": web.to_string()},
    ]})
}

/// The pipeline, and two releases of it: the second is to be rolled back.
async fn two_releases(world: &World) -> String {
    two_releases_to(world, prod()).await
}

async fn two_releases_to(world: &World, prod: Value) -> String {
    let secret = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
        "data": {"password": value}})
    };
    // Applied under our name, as an earlier version with the values in its manifests would have.
    apply_as(world, "pilothouse", SECRET, &secret("aHVudGVyMg==")).await;
    world.save(&pipeline(&[prod])).await;
    for tag in ["1.0.0", "1.1.0"] {
        let release = world.start(tag).await;
        let view = world.at_rest(&release).await;
        assert_eq!(attempt(&view, "prod", 1)["status"], "Succeeded", "{view:#}");
        if tag == "1.1.0" {
            return release;
        }
    }
    unreachable!("the second release was returned")
}

/// The image that the Deployment asks for.
fn image(world: &World) -> String {
    let web = object(&world.sim, "Deployment", "prod", "web");
    web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

fn notes(attempt: &Value) -> Vec<String> {
    let stages = attempt["stages"].as_array().unwrap();
    let notes = stages.iter().flat_map(|s| s["notes"].as_array().cloned().unwrap_or_default());
    notes.map(|n| n.as_str().unwrap().to_owned()).collect()
}

/// A Secret that a workload reads, and that is gone when it is rolled back, comes back with its values; no record has them.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_gone_comes_back_with_the_workload_that_reads_it() {
    let world = World::new().await;
    let release = two_releases(&world).await;
    delete(&world, SECRET).await;
    let view = act(&world, &release, "rollback").await;
    let rollback = attempt(&view, "prod", 2);
    assert_eq!(pair(&rollback), ("Succeeded", "Approved"), "{rollback:#}");
    assert_eq!(object(&world.sim, "Secret", "prod", "db")["data"]["password"], "aHVudGVyMg==");
    assert_eq!(notes(&rollback), ["Secret prod/db was put back too"]);
    let told = world.events(&release).await;
    assert!(told.iter().any(|e| e["reason"] == "Secret prod/db was put back too"), "{told:#?}");
    let everything = format!("{view}{told:?}");
    assert!(!everything.contains("aHVudGVyMg"), "a value is in a record");
}

/// `kubectl set image` in the middle of a rollout: the rollback leaves it, says so, and takes it back when it is told to.
#[tokio::test(start_paused = true)]
async fn an_image_that_was_changed_by_hand_is_a_conflict_until_it_is_forced() {
    let world = World::new().await;
    let release = two_releases(&world).await;
    let by_hand = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "shop/web:hotfix"}]}}}});
    apply_as(&world, "kubectl-set", WEB, &by_hand).await;
    let view = act(&world, &release, "rollback").await;
    let rollback = attempt(&view, "prod", 2);
    assert_eq!(pair(&rollback), ("Failed", "PhaseFailed"));
    let reason = rollback["stages"][0]["reason"].as_str().unwrap();
    for told in ["containers[name=web].image", "kubectl-set", "shop/web:hotfix", "1.0.0", "--force"] {
        assert!(reason.contains(told), "{reason}");
    }
    assert_eq!(image(&world), "shop/web:hotfix");

    let path = format!("/v1/releases/{release}/environments/prod/rollback");
    let answer = world.post(&path, &json!({ "force": true })).await;
    assert_eq!(answer.status, 202, "{:#}", answer.body);
    let view = world.at_rest(&release).await;
    let forced = attempt(&view, "prod", 3);
    assert_eq!(pair(&forced), ("Succeeded", "Approved"), "{forced:#}");
    assert_eq!(forced["rollbackTrigger"], "requested by admin, by force");
    assert!(image(&world).contains("shop/web:1.0.0@sha256:"), "{}", image(&world));
}

/// What an autoscaler has set is no conflict.
#[tokio::test(start_paused = true)]
async fn pods_that_an_autoscaler_asked_for_stay_and_are_told() {
    let world = World::new().await;
    let release = two_releases(&world).await;
    let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    apply_as(&world, "hpa", WEB, &scaled).await;
    let view = act(&world, &release, "rollback").await;
    let rollback = attempt(&view, "prod", 2);
    assert_eq!(pair(&rollback), ("Succeeded", "Approved"), "{rollback:#}");
    assert_eq!(object(&world.sim, "Deployment", "prod", "web")["spec"]["replicas"], 3);
    assert!(
        notes(&rollback).iter().any(|n| n.contains(".spec.replicas") && n.contains("\"hpa\"")),
        "{rollback:#}"
    );
}

/// The cluster goes away when the rollback has begun: it ends in its time, says so, and can be tried again.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_vanishes_in_the_middle_of_a_rollback_is_told_and_waited_for_no_longer_than_its_time()
{
    let world = World::new().await;
    let mut prod = prod();
    prod["rollback"] = json!({ "timeout": "3m" });
    let last = two_releases_to(&world, prod).await;
    world.sim.set_rules(vec![pilothouse_sim_cluster::ImageRule::new(
        "*:1.0.0@*",
        pilothouse_sim_cluster::Behaviour::NeverReady { message: None },
    )]);
    let path = format!("/v1/releases/{last}/environments/prod/rollback");
    assert_eq!(world.post(&path, &json!({})).await.status, 202);
    let asked = world.clock.now();
    let begun = |v: &Value| {
        attempt(v, "prod", 2)["stages"][0]["progress"].as_str().is_some_and(|p| p.contains("Deployment"))
    };
    world.until(&last, "the rollback's rollout", begun).await;
    world.sim.set_down(true);
    let view = world.at_rest(&last).await;
    assert!(world.clock.now().duration_since(asked).as_secs() <= 240, "{view:#}");
    let rollback = attempt(&view, "prod", 2);
    assert_eq!(pair(&rollback), ("Failed", "PhaseFailed"));
    let reason = rollback["stages"][0]["reason"].as_str().unwrap();
    // Which of the two is heard last depends on when its time was over.
    let told = reason.contains("no answer within") || reason.contains("answered 503");
    assert!(told, "{reason}");
    world.sim.set_down(false);
    world.sim.set_rules(Vec::new());
    let view = act(&world, &last, "rollback").await;
    assert_eq!(pair(&attempt(&view, "prod", 3)), ("Succeeded", "Approved"), "{view:#}");
    assert!(image(&world).contains("shop/web:1.0.0@"));
}

/// About `bytes` of text that does not compress much.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from((state >> 40) % 64).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

/// A pipeline that sets one value in each of the ConfigMaps `big-0` and on.
fn of_big_ones(count: u64) -> String {
    let one = |index: u64| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("big-{index}")}, "data": {"A": "1"}});
    let all: Vec<String> = (0..count).map(|index| one(index).to_string()).collect();
    let stage = json!({"name": "Deploy", "type": "deploy-manifest", "manifests": all.join("\n---\n")});
    pipeline(&[json!({"name": "prod", "namespace": "prod", "rollback": {}, "stages": [stage]})])
}

async fn make_big(world: &World, manager: &str, index: u64, text: &str) {
    let name = format!("big-{index}");
    let content =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"noise": text}});
    apply_as(world, manager, &format!("/api/v1/namespaces/prod/configmaps/{name}"), &content).await;
}

/// A snapshot larger than a record is kept in parts, and everything in it comes back.
#[tokio::test(start_paused = true)]
async fn an_object_of_nearly_a_megabyte_comes_back_from_its_snapshot() {
    let world = World::new().await;
    let text = noise(1, 900_000);
    make_big(&world, "pilothouse", 0, &text).await;
    world.save(&of_big_ones(1)).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "prod", 1)["status"], "Succeeded", "{view:#}");
    assert_eq!(object(&world.sim, "ConfigMap", "prod", "big-0")["data"], json!({"A": "1"}));
    let view = act(&world, &release, "rollback").await;
    assert_eq!(pair(&attempt(&view, "prod", 2)), ("Succeeded", "Approved"), "{view:#}");
    assert!(
        object(&world.sim, "ConfigMap", "prod", "big-0")["data"] == json!({"noise": text}),
        "it is not what it was"
    );
}

/// What cannot be kept cannot be taken back, so it is not changed.
#[tokio::test(start_paused = true)]
async fn more_than_can_be_kept_for_a_rollback_is_not_changed() {
    let world = World::new().await;
    for index in 0..8 {
        make_big(&world, "someone", index, &noise(index + 1, 900_000)).await;
    }
    world.save(&of_big_ones(8)).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    let failed = attempt(&view, "prod", 1);
    let reason = failed["stages"][0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("what this stage would change has ") && reason.ends_with("nothing was changed"),
        "{reason}"
    );
    assert_eq!(object(&world.sim, "ConfigMap", "prod", "big-0")["data"]["A"], Value::Null);
}
