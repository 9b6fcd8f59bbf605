//! Several clusters in one pipeline (X9): one stage in each of them, ended together and taken back where it was.

mod shared;

use pilothouse_sim_cluster::{Behaviour, ImageRule, SimCluster};
use serde_json::{Value, json};

use crate::world::{World, attempt, environment_status, object};

/// A system with the clusters `eu` and `us` beside its own.
struct Fleet {
    world: World,
    eu: SimCluster,
    us: SimCluster,
}

async fn fleet() -> Fleet {
    let world = World::new().await;
    let eu = world.add_cluster("eu").await;
    let us = world.add_cluster("us").await;
    Fleet { world, eu, us }
}

/// `shop/web`: `Deploy` with these keys in `prod`, and what follows it.
fn pipeline(keys: &Value, environment: &Value, others: &[Value]) -> String {
    let pod = json!({ "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "web", "image": "shop/web" }] } });
    let web = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": pod } });
    let mut deploy =
        json!({ "name": "Deploy", "type": "deploy-manifest", "timeout": "5m", "manifests": web.to_string() });
    deploy.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let mut prod = json!({ "name": "prod", "namespace": "prod",
        "stages": std::iter::once(deploy).chain(others.iter().cloned()).collect::<Vec<_>>() });
    prod.as_object_mut().unwrap().extend(environment.as_object().unwrap().clone());
    json!({ "application": "shop", "pipeline": "web", "artifacts": [{ "name": "web", "image": "shop/web" }],
        "environments": [prod] })
    .to_string()
}

/// The tag that the cluster runs, if it runs anything.
fn tag(sim: &SimCluster) -> Option<String> {
    let web = sim.get("Deployment", "prod", "web")?;
    let image = web["spec"]["template"]["spec"]["containers"][0]["image"].as_str()?.to_owned();
    let digest = image.split_once('@')?.1;
    ["1.0.0", "1.1.0"].iter().find(|tag| crate::world::digest_of(tag) == digest).map(|tag| (*tag).to_owned())
}

fn stages(view: &Value, number: u64) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attempt = attempt(view, "prod", number);
    let stages = attempt["stages"].as_array().unwrap();
    stages.iter().map(|s| (text(&s["name"]), text(&s["status"]))).collect()
}

fn shown(stages: &[(String, String)]) -> Vec<String> {
    stages.iter().map(|(name, status)| format!("{name}: {status}")).collect()
}

async fn run(world: &World, tag: &str) -> Value {
    let release = world.start(tag).await;
    world.at_rest(&release).await
}

#[tokio::test(start_paused = true)]
async fn one_stage_runs_in_each_cluster_and_what_follows_waits_for_all() {
    let Fleet { world, eu, us } = fleet().await;
    let after = json!({ "name": "Settle", "type": "wait", "duration": "1s", "dependsOn": ["Deploy"],
        "if": "${ stages[\"Deploy (us)\"].status == \"succeeded\" }" });
    world.save(&pipeline(&json!({ "clusters": ["eu", "us"] }), &json!({}), &[after])).await;
    let view = run(&world, "1.0.0").await;
    assert_eq!(
        shown(&stages(&view, 1)),
        ["Deploy (eu): succeeded", "Deploy (us): succeeded", "Settle: succeeded"],
        "{view:#}"
    );
    let prod = attempt(&view, "prod", 1);
    assert_eq!((&prod["stages"][0]["cluster"], &prod["stages"][2]["cluster"]), (&json!("eu"), &Value::Null));
    assert_eq!(prod["stages"][2]["dependsOn"], json!(["Deploy (eu)", "Deploy (us)"]));
    assert_eq!((tag(&eu).as_deref(), tag(&us).as_deref()), (Some("1.0.0"), Some("1.0.0")));
    assert_eq!(tag(&world.sim), None, "the environment's own cluster is not one of them");
}

/// Invariant 9, in each cluster: the snapshot, the cancel and the undo are those of the run's own cluster.
#[tokio::test(start_paused = true)]
async fn a_failure_in_one_cluster_ends_the_others_and_each_is_taken_back_where_it_was() {
    let Fleet { world, eu, us } = fleet().await;
    let rollback = json!({ "rollback": { "policy": "on_failure" } });
    world.save(&pipeline(&json!({ "clusters": ["eu", "us"] }), &rollback, &[])).await;
    run(&world, "1.0.0").await;
    us.set_rules(vec![ImageRule::new("*:1.1.0@*", Behaviour::crash_loop("panic: no database"))]);
    eu.set_rules(vec![ImageRule::new("*:1.1.0@*", Behaviour::NeverReady { message: None })]);
    let begun = world.clock.now();
    let view = run(&world, "1.1.0").await;
    assert_eq!(shown(&stages(&view, 1)), ["Deploy (eu): canceled", "Deploy (us): failed"], "{view:#}");
    let first = attempt(&view, "prod", 1);
    let reason = first["stages"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("canceled by the failure of `Deploy (us)`: Deployment prod/web"), "{reason}");
    assert!(first["reason"].as_str().unwrap().contains("`Deploy (us)` failed"), "{first:#}");
    assert!(world.clock.now().duration_since(begun).as_secs() < 120, "nobody waits for the timeout");

    let undone = attempt(&view, "prod", 2);
    assert_eq!(undone["status"], "Succeeded", "{undone:#}");
    let mut names = shown(&stages(&view, 2));
    names.sort();
    assert_eq!(names, ["Undo Deploy (eu): succeeded", "Undo Deploy (us): succeeded"]);
    for stage in undone["stages"].as_array().unwrap() {
        assert!(
            stage["name"].as_str().unwrap().ends_with(&format!("({})", stage["cluster"].as_str().unwrap()))
        );
    }
    assert_eq!((tag(&eu).as_deref(), tag(&us).as_deref()), (Some("1.0.0"), Some("1.0.0")));
    for sim in [&eu, &us] {
        assert_eq!(object(sim, "Deployment", "prod", "web")["status"]["readyReplicas"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn one_by_one_a_failure_keeps_the_next_cluster_from_beginning() {
    let Fleet { world, eu, us } = fleet().await;
    let keys = json!({ "clusters": ["eu", "us"], "clusterOrder": "sequential" });
    world.save(&pipeline(&keys, &json!({}), &[])).await;
    let view = run(&world, "1.0.0").await;
    let first = attempt(&view, "prod", 1);
    let time = |stage: usize, key: &str| -> jiff::Timestamp {
        first["stages"][stage][key].as_str().unwrap().parse().unwrap()
    };
    assert!(time(1, "startedAt") >= time(0, "endedAt"), "{first:#}");
    eu.set_rules(vec![ImageRule::new("*:1.1.0@*", Behaviour::crash_loop("panic: no database"))]);
    let view = run(&world, "1.1.0").await;
    assert_eq!(shown(&stages(&view, 1)), ["Deploy (eu): failed", "Deploy (us): notRun"], "{view:#}");
    assert_eq!(tag(&us).as_deref(), Some("1.0.0"));
}

#[tokio::test(start_paused = true)]
async fn with_stop_branch_each_cluster_is_on_its_own() {
    let Fleet { world, eu, us } = fleet().await;
    let keys = json!({ "clusters": ["eu", "us"], "onFailure": "stop_branch" });
    world.save(&pipeline(&keys, &json!({}), &[])).await;
    eu.set_rules(vec![ImageRule::new("*:1.0.0@*", Behaviour::crash_loop("panic: no database"))]);
    let view = run(&world, "1.0.0").await;
    assert_eq!(shown(&stages(&view, 1)), ["Deploy (eu): failed", "Deploy (us): succeeded"]);
    assert_eq!(tag(&us).as_deref(), Some("1.0.0"));
}

/// What waits on a token is ended at once, also when the process died before it answered the token.
#[tokio::test(start_paused = true)]
async fn a_question_in_one_cluster_is_closed_when_it_was_rejected_in_the_other() {
    let Fleet { world, .. } = fleet().await;
    let ask = json!({ "name": "Ask", "type": "manual-judgment", "instructions": "go on in ${ environment.cluster }?",
        "clusters": ["eu", "us"] });
    world.save(&pipeline(&json!({ "dependsOn": ["Ask"] }), &json!({}), &[ask])).await;
    let release = world.start("1.0.0").await;
    let asks = |view: &Value| attempt(view, "prod", 1)["approvals"].as_array().map_or(0, Vec::len) == 2;
    let view = world.until(&release, "both questions", asks).await;
    let approvals = attempt(&view, "prod", 1)["approvals"].as_array().unwrap().clone();
    let of_eu = approvals.iter().find(|a| a["stage"] == "Ask (eu)").unwrap();
    let of_us = approvals.iter().find(|a| a["stage"] == "Ask (us)").unwrap();
    assert_eq!(of_us["instructions"], "go on in us?");
    let path = format!("/v1/releases/{release}/approvals/{}/reject", of_eu["id"].as_str().unwrap());
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let rejected = world.clock.now();
    let view = world.at_rest(&release).await;
    assert_eq!(
        shown(&stages(&view, 1)),
        ["Ask (eu): failed", "Ask (us): canceled", "Deploy: notRun"],
        "{view:#}"
    );
    assert!(world.clock.now().duration_since(rejected).as_secs() < 5);
}

/// A stage may act on another cluster than its environment.
#[tokio::test(start_paused = true)]
async fn a_stage_may_name_its_own_cluster() {
    let Fleet { world, eu, us } = fleet().await;
    world.save(&pipeline(&json!({ "cluster": "us" }), &json!({ "cluster": "eu" }), &[])).await;
    let view = run(&world, "1.0.0").await;
    assert_eq!(environment_status(&view, "prod"), "Succeeded", "{view:#}");
    assert_eq!((tag(&eu), tag(&us).as_deref()), (None, Some("1.0.0")));
    let release = view["id"].as_str().unwrap();
    let path = format!("/v1/releases/{release}/environments/prod/rollback");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let view = world.at_rest(release).await;
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "{view:#}");
    assert_eq!(tag(&us), None, "what it created there is gone");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_run_in_several_clusters_is_refused_when_it_is_saved() {
    let Fleet { world, .. } = fleet().await;
    let reads = json!({ "name": "Read", "type": "webhook", "url": "https://example.com/${ stages[\"Deploy\"].status }",
        "dependsOn": ["Deploy"] });
    let taken = json!({ "name": "Deploy (us)", "type": "wait", "duration": "1s", "cluster": "eu",
        "clusterOrder": "sequential" });
    let keys = json!({ "clusters": ["eu", "us", "eu"], "cluster": "eu" });
    let answer = world.apply(&pipeline(&keys, &json!({}), &[reads, taken])).await;
    assert_eq!(answer.status, 422);
    let problems = answer.body["error"]["problems"].as_array().unwrap().iter();
    let text = |p: &Value, key: &str| p[key].as_str().unwrap_or_default().to_owned();
    let lines: Vec<String> = problems
        .map(|p| format!("{}: {}; {}", text(p, "path"), text(p, "message"), text(p, "hint")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    environments[0].stages[0].name: it runs as `Deploy (us)` in one of its clusters, and another stage is called so; rename one of the two
    environments[0].stages[0].clusters: the stage names its `cluster` too; keep `cluster` for one, `clusters` for several
    environments[0].stages[0].clusters[2]: the cluster `eu` is there twice; 
    environments[0].stages[1].url: the stage `Deploy` runs once in each of its clusters; read one of them: `stages["Deploy (eu)"]`
    environments[0].stages[2].clusterOrder: the stage has no `clusters`; list them in `clusters`, or leave it out
    "#);
}
