//! Each pipeline of `examples/` is tried as the comments at its head say, and comes to the end that they promise.

use http::Method;
use jiff::Timestamp;
use pilothouse_domain::pipeline::PipelineSpec;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::examples;
use crate::world::{World, attempt, digest_of, environment_status, object};

pub(super) fn example(name: &str) -> PipelineSpec {
    let found = examples().unwrap().into_iter().find(|(path, _)| path.to_str() == Some(name));
    found.unwrap_or_else(|| panic!("no example {name}")).1
}

/// A system in which these examples were applied.
pub(super) async fn world(names: &[&str]) -> World {
    let world = World::new().await;
    for name in names {
        save(&world, &example(name)).await;
    }
    world
}

pub(super) async fn save(world: &World, spec: &PipelineSpec) {
    let answer = world.put("/v1/pipelines", &serde_json::to_value(spec).unwrap()).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

/// Starts a release with these images by hand.
pub(super) async fn start(world: &World, pipeline: &str, images: &[(&str, &str)]) -> String {
    let artifact = |(name, tag): &(&str, &str)| {
        ((*name).to_owned(), json!({ "tag": tag, "digest": digest_of(&format!("{name}:{tag}")) }))
    };
    let artifacts: serde_json::Map<String, Value> = images.iter().map(artifact).collect();
    let ask = json!({ "application": "shop", "pipeline": pipeline, "artifacts": artifacts });
    let answer = world.post("/v1/releases", &ask).await;
    answer.body["id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned()
}

/// Lets the time come.
async fn at(world: &World, time: &str) {
    let left = time.parse::<Timestamp>().unwrap().duration_since(world.clock.now());
    tokio::time::sleep_until(Instant::now() + left.unsigned_abs()).await;
}

pub(super) async fn comes_to(world: &World, release: &str, outcome: &str) -> Value {
    let view = world.at_rest(release).await;
    assert_eq!(view["outcome"], outcome, "{view:#}");
    view
}

async fn approve(world: &World, release: &str, answer: &Value) {
    let approval = world.pending_approval(release).await;
    let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
    let answer = world.post(&path, answer).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
}

/// What examples/web.yaml deploys runs in dev and prod.
async fn deployed_web(world: &World) {
    let release = start(world, "web", &[("web", "1.0.0")]).await;
    approve(world, &release, &json!({ "comment": "dev is quiet" })).await;
    comes_to(world, &release, "succeeded").await;
}

pub(super) fn image(world: &World, namespace: &str, name: &str) -> String {
    let deployment = object(&world.sim, "Deployment", namespace, name);
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

fn version(world: &World, namespace: &str, name: &str) -> Value {
    object(&world.sim, "ConfigMap", namespace, name)["data"]["VERSION"].clone()
}

#[tokio::test(start_paused = true)]
async fn web_goes_to_dev_and_after_its_approval_to_prod() {
    let world = world(&["web.yaml"]).await;
    deployed_web(&world).await;
    assert_eq!(version(&world, "prod", "web"), "1.0.0");
    assert!(image(&world, "prod", "web").starts_with("shop/web:1.0.0@sha256:"));
}

#[tokio::test(start_paused = true)]
async fn web_without_its_image_says_how_to_start_it() {
    let world = world(&["web.yaml"]).await;
    let release = start(&world, "web", &[]).await;
    let view = comes_to(&world, &release, "failed").await;
    let reason = attempt(&view, "dev", 1)["reason"].clone();
    let expected =
        "stage `Deploy` failed: the release has no image for `web`: start one with `--artifact NAME=TAG`";
    assert_eq!(reason, expected);
}

#[tokio::test(start_paused = true)]
async fn nightly_puts_dev_back_to_the_stable_image() {
    let world = world(&["web.yaml", "nightly.yaml"]).await;
    deployed_web(&world).await;
    let release = start(&world, "nightly", &[("web", "stable")]).await;
    comes_to(&world, &release, "succeeded").await;
    assert!(image(&world, "dev", "web").starts_with("shop/web:stable@sha256:"));
    assert!(image(&world, "prod", "web").starts_with("shop/web:1.0.0@sha256:"), "dev alone");
}

#[tokio::test(start_paused = true)]
async fn maintenance_stops_and_starts_what_web_deployed() {
    let world = world(&["web.yaml", "maintenance.yaml"]).await;
    deployed_web(&world).await;
    let replicas = || object(&world.sim, "Deployment", "prod", "web")["spec"]["replicas"].as_u64().unwrap();
    let before = replicas();
    let release = start(&world, "maintenance", &[("web", "1.0.0")]).await;
    let view = comes_to(&world, &release, "succeeded").await;
    assert_eq!(replicas(), (before * 3).div_ceil(2), "{view:#}");
    let jobs = world.sim.list("Job", "prod");
    assert!(
        jobs.iter().any(|job| job["metadata"]["name"].as_str().unwrap().starts_with("migrate-")),
        "{jobs:#?}"
    );
    let template = object(&world.sim, "Deployment", "prod", "web")["spec"]["template"].clone();
    assert!(template["metadata"]["annotations"]["pilothouse.dev/restartedAt"].is_string(), "{template:#}");
}

#[tokio::test(start_paused = true)]
async fn office_hours_are_kept_in_each_environment() {
    let world = world(&["office-hours.yaml"]).await;
    let release = start(&world, "prices", &[("prices", "1.0.0")]).await;
    world.until(&release, "dev", |v| environment_status(v, "dev") == "Succeeded").await;
    // It is Saturday: staging waits for Monday, 22:00 in Berlin, and prod for Tuesday, 08:00 there.
    at(&world, "2026-11-23T20:59:00Z").await;
    let view = world.release(&release).await;
    assert_eq!(environment_status(&view, "staging"), "Scheduled", "{view:#}");
    at(&world, "2026-11-24T06:59:00Z").await;
    let view = world.release(&release).await;
    assert_eq!(environment_status(&view, "staging"), "Succeeded", "{view:#}");
    assert_eq!(environment_status(&view, "prod"), "Scheduled", "{view:#}");
    comes_to(&world, &release, "succeeded").await;
    assert_eq!(version(&world, "prod", "prices"), "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn a_draft_of_office_hours_skips_staging_and_starts_prod_now() {
    let world = world(&["office-hours.yaml"]).await;
    let ask = json!({
        "application": "shop", "pipeline": "prices", "artifacts": { "prices": "1.0.0" }, "draft": true,
    });
    let release = world.post("/v1/releases", &ask).await.body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/releases/{release}");
    let skip = json!({ "skippedEnvironments": ["staging"] });
    let edited = world.call_as(&world.token, Method::PATCH, &path, &skip).await;
    assert!(edited.status.is_success(), "{:#}", edited.body);
    let started = world.post(&format!("{path}/start"), &Value::Null).await;
    assert!(started.status.is_success(), "{:#}", started.body);
    world.until(&release, "prod waits", |v| environment_status(v, "prod") == "Scheduled").await;
    let now = world.post(&format!("{path}/environments/prod/deploy"), &json!({ "now": true })).await;
    assert!(now.status.is_success(), "{:#}", now.body);
    comes_to(&world, &release, "succeeded").await;
}

#[tokio::test(start_paused = true)]
async fn turns_are_taken_and_who_is_passed_over_is_told_by_whom() {
    let world = world(&["turns.yaml"]).await;
    let alone = start(&world, "turns", &[("turns", "0.9.0")]).await;
    comes_to(&world, &alone, "succeeded").await;
    let mut all = Vec::new();
    for tag in ["1.0.0", "1.1.0", "1.2.0"] {
        all.push(start(&world, "turns", &[("turns", tag)]).await);
    }
    let mut arrived = 0;
    for release in &all {
        let view = world.at_rest(release).await;
        match environment_status(&view, "staging").as_str() {
            "Succeeded" => {
                assert_eq!(environment_status(&view, "prod"), "Succeeded", "{view:#}");
                arrived += 1;
            }
            _ => {
                let reason = attempt(&view, "staging", 1)["reason"].clone();
                assert!(reason.as_str().unwrap().contains("superseded by"), "{view:#}");
            }
        }
        assert_eq!(environment_status(&view, "dev"), "Succeeded", "three at a time");
    }
    assert!(arrived > 0);
    assert_ne!(version(&world, "prod", "turns"), "0.9.0");
}

#[tokio::test(start_paused = true)]
async fn together_the_prices_go_first_and_then_the_shop() {
    let world = world(&["web.yaml", "office-hours.yaml", "together.yaml"]).await;
    let release = start(&world, "together", &[("web", "1.0.0"), ("prices", "1.0.0")]).await;
    let child = |view: &Value, stage: &str| {
        let attempt = attempt(view, "together", 1);
        let stages = attempt["stages"].as_array().cloned().unwrap_or_default();
        let found = stages.into_iter().find(|s| s["name"] == stage);
        found.and_then(|s| s["child"].as_str().map(str::to_owned))
    };
    let view = world.until(&release, "the shop", |v| child(v, "Shop").is_some()).await;
    let prices = world.release(&child(&view, "Prices").unwrap()).await;
    assert_eq!(prices["outcome"], "succeeded", "{prices:#}");
    approve(&world, &child(&view, "Shop").unwrap(), &json!({})).await;
    comes_to(&world, &release, "succeeded").await;
    assert_eq!(version(&world, "dev", "prices"), "1.0.0");
    assert_eq!(version(&world, "prod", "web"), "1.0.0");
}

/// The checks that call other services are left out: nothing of the kind answers here.
#[tokio::test(start_paused = true)]
async fn gates_let_prod_wait_for_the_weekends_end_and_then_watch_its_pods() {
    let world = world(&["web.yaml"]).await;
    deployed_web(&world).await;
    let mut careful = example("gates.yaml");
    let gates = careful.environments[0].gates.as_mut().unwrap();
    for gate in [&mut gates.before, &mut gates.after].into_iter().flatten() {
        gate.checks.retain(|check| matches!(check.check_type.as_str(), "window" | "cluster"));
        assert_eq!(gate.checks.len(), 1);
    }
    save(&world, &careful).await;
    let release = start(&world, "careful", &[("web", "1.1.0")]).await;
    // Frozen until Monday in Berlin.
    at(&world, "2026-11-22T22:55:00Z").await;
    let view = world.release(&release).await;
    assert_eq!(attempt(&view, "prod", 1)["operationStatus"], "EvaluatingGates", "{view:#}");
    approve(&world, &release, &json!({})).await;
    world
        .until(&release, "the pods", |v| attempt(v, "prod", 1)["gates"].as_array().unwrap().len() == 2)
        .await;
    let view = comes_to(&world, &release, "succeeded").await;
    let gates = attempt(&view, "prod", 1)["gates"].clone();
    assert_eq!((&gates[0]["status"], &gates[1]["status"]), (&json!("passed"), &json!("passed")), "{view:#}");
    assert!(image(&world, "prod", "web").starts_with("shop/web:1.1.0@sha256:"));
}

/// The two stages that call out are replaced: in virtual time no other program answers.
#[tokio::test(start_paused = true)]
async fn the_cart_stays_when_a_person_keeps_it() {
    let world = world(&[]).await;
    let mut cart = example("ci-webhook.yaml");
    let stages = &mut cart.environments[0].stages;
    let health = stages.iter_mut().find(|stage| stage.name == "Health").unwrap();
    health.stage_type = "wait".to_owned();
    health.options = json!({ "duration": "1s" }).as_object().unwrap().clone();
    stages.retain(|stage| stage.name != "Tell the build");
    assert!(stages.iter().all(|stage| stage.stage_type != "webhook"));
    save(&world, &cart).await;
    let release = start(&world, "cart", &[("cart", "2.4.0")]).await;
    approve(&world, &release, &json!({ "input": "keep" })).await;
    let view = comes_to(&world, &release, "succeeded").await;
    let stages = attempt(&view, "staging", 1)["stages"].clone();
    let soak = stages.as_array().unwrap().iter().find(|s| s["name"] == "Soak").unwrap().clone();
    assert_eq!(soak["status"], "skipped", "{view:#}");
    assert_eq!(object(&world.sim, "Deployment", "staging", "cart")["spec"]["replicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_goes_back_by_its_own_pipeline_when_people_say_no() {
    let world = world(&["ledger-undo.yaml", "ledger.yaml"]).await;
    let first = start(&world, "ledger", &[("ledger", "1.0.0")]).await;
    approve(&world, &first, &json!({ "comment": "the sums are right" })).await;
    comes_to(&world, &first, "succeeded").await;
    let second = start(&world, "ledger", &[("ledger", "1.1.0")]).await;
    let approval = world.pending_approval(&second).await;
    assert_eq!(version(&world, "prod", "ledger-schema"), "1.1.0");
    let path = format!("/v1/releases/{second}/approvals/{approval}/reject");
    assert!(world.post(&path, &json!({ "comment": "the sums are wrong" })).await.status.is_success());
    let view = comes_to(&world, &second, "rolledBack").await;
    assert_eq!(attempt(&view, "prod", 2)["rollback"]["restores"], json!(first), "{view:#}");
    assert_eq!(version(&world, "prod", "ledger-schema"), "1.0.0");
    assert!(image(&world, "prod", "ledger").starts_with("registry.example/shop/ledger:1.0.0@sha256:"));
    let note = object(&world.sim, "ConfigMap", "prod", "ledger-went-back")["data"].clone();
    assert_eq!(note, json!({ "WHY": "rejected by admin", "BACK_TO": first }));
}

#[tokio::test(start_paused = true)]
async fn conditions_hold_prod_back_until_dev_is_well() {
    let world = world(&["web.yaml", "conditions.yaml"]).await;
    let release = start(&world, "conditions", &[("web", "1.1.0")]).await;
    let view = comes_to(&world, &release, "failed").await;
    let reason = attempt(&view, "prod", 1)["stages"][1]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason, "Deployment dev/web does not exist, expected >= 2");
    deployed_web(&world).await;
    let release = start(&world, "conditions", &[("web", "1.1.0")]).await;
    comes_to(&world, &release, "succeeded").await;
    assert!(image(&world, "prod", "web").contains(":1.1.0"));
}

/// The names of the Deployments in a namespace, and the selector of a Service there.
fn behind(world: &World, namespace: &str, service: &str) -> (Vec<String>, Value) {
    let name = |d: &Value| d["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let deployments = world.sim.list("Deployment", namespace).iter().map(name).collect();
    (deployments, object(&world.sim, "Service", namespace, service)["spec"]["selector"].clone())
}

#[tokio::test(start_paused = true)]
async fn the_store_is_replaced_at_once_and_comes_back() {
    let world = world(&["blue-green.yaml"]).await;
    let first = start(&world, "store", &[("store", "1.0.0")]).await;
    approve(&world, &first, &json!({})).await;
    comes_to(&world, &first, "succeeded").await;
    let second = start(&world, "store", &[("store", "1.1.0")]).await;
    world.pending_approval(&second).await;
    let (names, selector) = behind(&world, "dev", "store");
    assert_eq!(names, ["store-1-0-0", "store-1-1-0"]);
    assert_eq!(selector["app"], "store");
    assert!(selector["pod-template-hash"].is_string(), "its traffic stays at the old pods: {selector}");
    approve(&world, &second, &json!({})).await;
    comes_to(&world, &second, "succeeded").await;
    let new = (vec!["store-1-1-0".to_owned()], json!({ "app": "store", "version": "1.1.0" }));
    assert_eq!((behind(&world, "dev", "store"), behind(&world, "prod", "store")), (new.clone(), new));
    let path = format!("/v1/releases/{second}/environments/prod/rollback");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let view = world.at_rest(&second).await;
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "{view:#}");
    let old = (vec!["store-1-0-0".to_owned()], json!({ "app": "store", "version": "1.0.0" }));
    assert_eq!(behind(&world, "prod", "store"), old);
}

/// The canary's share of the route.
fn share(world: &World) -> Value {
    object(&world.sim, "HTTPRoute", "prod", "search")["spec"]["rules"][0]["backendRefs"][1]["weight"].clone()
}

#[tokio::test(start_paused = true)]
async fn the_search_gets_a_share_and_then_all_of_it() {
    let world = world(&["canary.yaml"]).await;
    let first = start(&world, "search", &[("search", "1.0.0")]).await;
    approve(&world, &first, &json!({})).await;
    comes_to(&world, &first, "succeeded").await;
    let second = start(&world, "search", &[("search", "1.1.0")]).await;
    world.pending_approval(&second).await;
    assert_eq!(share(&world), 20);
    assert!(image(&world, "prod", "search").starts_with("shop/search:1.0.0@"));
    assert!(image(&world, "prod", "search-canary").starts_with("shop/search:1.1.0@"));
    assert!(image(&world, "dev", "search").starts_with("shop/search:1.1.0@"));
    approve(&world, &second, &json!({})).await;
    comes_to(&world, &second, "succeeded").await;
    assert_eq!(share(&world), 0);
    assert!(image(&world, "prod", "search").starts_with("shop/search:1.1.0@"));
    assert!(world.sim.get("Deployment", "prod", "search-canary").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_no_takes_the_fifth_of_the_search_back() {
    let world = world(&["canary.yaml"]).await;
    let first = start(&world, "search", &[("search", "1.0.0")]).await;
    approve(&world, &first, &json!({})).await;
    comes_to(&world, &first, "succeeded").await;
    let second = start(&world, "search", &[("search", "1.1.0")]).await;
    let approval = world.pending_approval(&second).await;
    let path = format!("/v1/releases/{second}/approvals/{approval}/reject");
    assert!(world.post(&path, &json!({ "comment": "slow" })).await.status.is_success());
    comes_to(&world, &second, "rolledBack").await;
    assert_eq!(share(&world), 0);
    assert!(world.sim.get("Deployment", "prod", "search-canary").is_none());
    assert!(image(&world, "prod", "search").starts_with("shop/search:1.0.0@"));
}

/// The Service's ready endpoints by server group.
pub(super) async fn serving(world: &World, namespace: &str) -> std::collections::BTreeMap<String, usize> {
    let mut counted = std::collections::BTreeMap::new();
    for slice in world.sim.list("EndpointSlice", namespace) {
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] == true {
                let pod = endpoint["targetRef"]["name"].as_str().unwrap();
                *counted.entry(pod.rsplit_once('-').unwrap().0.to_owned()).or_default() += 1;
            }
        }
    }
    counted
}

#[tokio::test(start_paused = true)]
async fn server_groups_take_over_go_back_and_are_tidied_up() {
    let world = world(&["server-groups.yaml", "server-groups-care.yaml"]).await;
    let counts = |pairs: &[(&str, usize)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    for tag in ["1.0.0", "1.1.0"] {
        let release = start(&world, "server-groups", &[("catalog", tag)]).await;
        comes_to(&world, &release, "succeeded").await;
    }
    assert_eq!(serving(&world, "prod").await, counts(&[("shop-live-v001", 2)]));
    let care = async |what: &str| {
        let ask = json!({ "application": "shop", "pipeline": "server-groups-care", "parameters": { "what": what } });
        let answer = world.post("/v1/releases", &ask).await;
        let release = answer.body["id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned();
        comes_to(&world, &release, "succeeded").await
    };
    care("back").await;
    assert_eq!(serving(&world, "prod").await, counts(&[("shop-live-v000", 2)]));
    care("forward").await;
    assert_eq!(serving(&world, "prod").await, counts(&[("shop-live-v001", 2)]));
    care("tidy").await;
    assert_eq!(serving(&world, "prod").await, counts(&[("shop-live-v001", 3)]));
    assert!(world.sim.get("ReplicaSet", "prod", "shop-live-v000").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_group_goes_back_to_the_pods_that_still_run() {
    let world = world(&["server-groups.yaml"]).await;
    let mut last = String::new();
    for tag in ["1.0.0", "1.1.0"] {
        last = start(&world, "server-groups", &[("catalog", tag)]).await;
        comes_to(&world, &last, "succeeded").await;
    }
    let pods = |world: &World| {
        let all = world.sim.list("Pod", "prod").into_iter();
        let mut names: Vec<String> =
            all.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        names.retain(|name| name.starts_with("shop-live-v000"));
        names
    };
    let before = pods(&world);
    let path = format!("/v1/releases/{last}/environments/prod/rollback");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    comes_to(&world, &last, "rolledBack").await;
    assert_eq!(pods(&world), before);
    assert_eq!(
        serving(&world, "prod").await.into_iter().collect::<Vec<_>>(),
        [("shop-live-v000".to_owned(), 2)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_baked_is_deployed_and_kept_with_the_release() {
    let world = world(&["bake.yaml"]).await;
    let release = start(&world, "baked", &[("web", "1.0.0")]).await;
    let view = comes_to(&world, &release, "succeeded").await;
    let baked = attempt(&view, "dev", 1)["stages"][0]["output"].clone();
    assert_eq!(baked["objects"], json!(["Deployment dev/tea-dev"]));
    assert!(baked["manifests"].as_str().unwrap().contains("replicas: 2"), "{baked:#}");
    assert!(image(&world, "dev", "tea-dev").contains(":1.0.0@sha256:"));
}
