//! Rollback pipelines (V1, V6, V7, V15, V16).

use serde_json::{Value, json};

use super::{environment, pair, pipeline, run, stage_names};
use crate::main_story::{crash_in_prod, running};
use crate::world::{World, attempt};

/// Deploys the image of the release that is gone back to, and notes why.
fn undo_pipeline(name: &str) -> String {
    let note = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"},
        "data": {"by": name, "stage": "${ rollback.stage }", "trigger": "${ rollback.trigger }",
            "release": "${ rollback.release }"}});
    let mut only = environment("anywhere", &json!({}));
    only["stages"].as_array_mut().unwrap().push(json!({ "name": "Note", "type": "deploy-manifest",
        "dependsOn": ["Deploy"], "render": true, "manifests": note.to_string() }));
    let artifacts = json!([{"name": "web", "image": "shop/web"}]);
    json!({"application": "shop", "pipeline": name, "artifacts": artifacts, "environments": [only]})
        .to_string()
}

fn named(by_environment: &str, by_stage: Option<&str>) -> String {
    let mut prod = environment("prod", &json!({ "policy": "on_failure", "pipeline": by_environment }));
    if let Some(name) = by_stage {
        prod["stages"][1]["rollback"] = json!({ "pipeline": name });
    }
    pipeline(&[prod])
}

fn note(world: &World) -> Value {
    world.sim.get("ConfigMap", "prod", "note").unwrap_or_default()["data"].clone()
}

#[tokio::test(start_paused = true)]
async fn v7_the_pipeline_that_the_environment_names_runs_with_the_old_image() {
    let world = World::new().await;
    world.save(&undo_pipeline("web-undo")).await;
    world.save(&named("web-undo", None)).await;
    let (good, _) = run(&world, "1.0.0").await;
    let before = running(&world, "prod");
    crash_in_prod(&world, "1.1.0");
    let (bad, view) = run(&world, "1.1.0").await;
    let rollback = attempt(&view, "prod", 2);
    assert_eq!(pair(&rollback), ("Succeeded", "Approved"), "{rollback:#}");
    assert_eq!(stage_names(&rollback), ["Config", "Deploy", "Note"]);
    assert_eq!(running(&world, "prod"), before);
    assert_eq!((&note(&world)["stage"], &note(&world)["release"]), (&json!("Deploy"), &json!(good)));
    assert_eq!(
        (&rollback["rollback"]["pipeline"], &rollback["rollback"]["restores"]),
        (&json!("web-undo"), &json!(good))
    );
    // V15, V16.
    assert_eq!(attempt(&view, "prod", 1)["execution"], "ROLLBACK_COMPLETED");
    assert_eq!(rollback["execution"], "COMPLETED");
    let trigger = rollback["rollbackTrigger"].as_str().unwrap();
    assert!(trigger.starts_with("stage `Deploy` failed"), "{trigger}");
    let events = world.events(&bad).await;
    let started = events.iter().find(|e| e["type"] == "RollbackStarted").unwrap();
    assert_eq!(
        started["way"],
        format!("runs pipeline `web-undo` (revision 1) with what release {good} carries")
    );
}

#[tokio::test(start_paused = true)]
async fn v1_the_pipeline_of_the_failed_stage_comes_before_that_of_the_environment() {
    let world = World::new().await;
    world.save(&undo_pipeline("web-undo")).await;
    world.save(&undo_pipeline("deploy-undo")).await;
    world.save(&named("web-undo", Some("deploy-undo"))).await;
    run(&world, "1.0.0").await;
    crash_in_prod(&world, "1.1.0");
    let (_, view) = run(&world, "1.1.0").await;
    assert_eq!(pair(&attempt(&view, "prod", 2)), ("Succeeded", "Approved"));
    assert_eq!(note(&world)["by"], "deploy-undo");
}

/// One that cannot be run keeps no rollback from happening: the snapshots are restored, and the record says why.
#[tokio::test(start_paused = true)]
async fn where_the_pipeline_cannot_run_the_snapshots_are_restored_and_it_says_why() {
    let world = World::new().await;
    world.save(&undo_pipeline("web-undo")).await;
    world.save(&named("web-undo", None)).await;
    crash_in_prod(&world, "1.0.0");
    let (_, view) = run(&world, "1.0.0").await;
    let rollback = attempt(&view, "prod", 2);
    assert_eq!(
        (pair(&rollback), stage_names(&rollback)),
        (("Succeeded", "Approved"), vec!["Undo Deploy", "Undo Config"])
    );
    let why = rollback["rollback"]["note"].as_str().unwrap();
    assert!(why.contains("nothing to go back to"), "{why}");
    world.sim.set_rules(Vec::new());
    run(&world, "1.1.0").await;
    assert!(
        world
            .put("/v1/pipelines/shop/web-undo/enabled", &json!({ "enabled": false }))
            .await
            .status
            .is_success()
    );
    crash_in_prod(&world, "1.2.0");
    let (_, view) = run(&world, "1.2.0").await;
    let why = attempt(&view, "prod", 2)["rollback"]["note"].as_str().unwrap().to_owned();
    assert_eq!(why, "the rollback pipeline `web-undo` is disabled");
    assert_eq!(running(&world, "prod").1, "1.1.0");
}

/// V7: a rollback pipeline that fails is the end of it: no rollback of the rollback.
#[tokio::test(start_paused = true)]
async fn a_rollback_pipeline_that_fails_ends_and_says_so() {
    let world = World::new().await;
    world.save(&undo_pipeline("web-undo")).await;
    world.save(&named("web-undo", None)).await;
    run(&world, "1.0.0").await;
    crash_in_prod(&world, "*");
    let (bad, view) = run(&world, "1.1.0").await;
    assert_eq!(pair(&attempt(&view, "prod", 2)), ("Failed", "PhaseFailed"));
    assert_eq!(attempt(&view, "prod", 1)["execution"], "ROLLBACK_FAILED");
    assert_eq!(attempt(&view, "prod", 3), Value::Null);
    let events = world.events(&bad).await;
    let ends = events.iter().filter(|e| e["type"] == "DeploymentEnded" && e["attempt"] == 2);
    assert_eq!(ends.map(|e| e["status"].clone()).collect::<Vec<_>>(), [json!("Failed")]);
}

/// What is wrong with a name is told when the pipeline is saved, with its place.
#[tokio::test(start_paused = true)]
async fn what_is_named_is_checked_when_the_pipeline_is_saved() {
    let world = World::new().await;
    let save = async |text: &str| world.put("/v1/pipelines", &serde_json::from_str(text).unwrap()).await;
    let itself = save(&named("web", None)).await;
    assert_eq!(itself.status, 422, "{:#}", itself.body);
    let problem = &itself.body["error"]["problems"][0];
    assert_eq!(problem["path"], "environments[0].rollback.pipeline", "{:#}", itself.body);
    let unknown = save(&named("web-undo", Some("deploy-undo"))).await;
    assert_eq!(unknown.status, 200, "{:#}", unknown.body);
    let warnings = unknown.body["warnings"].as_array().unwrap();
    let paths: Vec<&str> = warnings.iter().map(|w| w["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["environments[0].rollback.pipeline", "environments[0].stages[1].rollback.pipeline"]);
    let artifacts = json!([{"name": "cart", "image": "shop/cart"}]);
    let environments = [environment("x", &json!({})), environment("y", &json!({}))];
    let misfit = json!({"application": "shop", "pipeline": "web-undo", "artifacts": artifacts, "environments": environments});
    assert_eq!(
        save(&misfit.to_string().replace("shop/web", "shop/cart").replace("artifacts.web", "artifacts.cart"))
            .await
            .status,
        200
    );
    let refused = save(&named("web-undo", None)).await;
    assert_eq!(refused.status, 422, "{:#}", refused.body);
    let told = refused.body["error"]["problems"].to_string();
    assert!(
        told.contains("has no environment `prod`") && told.contains("needs the artifact `cart`"),
        "{told}"
    );
}

/// T32: a stage of a rollback pipeline tells those whom it names itself, whatever a stage of the same name that it takes back
/// names.
#[tokio::test(start_paused = true)]
async fn t32_a_stage_of_a_rollback_pipeline_tells_whom_it_names() {
    let world = World::new().await;
    let with = |text: &str, stage: usize| {
        let mut spec: Value = serde_json::from_str(text).unwrap();
        spec["notifications"] = json!([{ "name": "ops", "type": "log" }]);
        spec["environments"][0]["stages"][stage]["notify"] = json!(["ops"]);
        spec.to_string()
    };
    world.save(&with(&undo_pipeline("web-undo"), 2)).await;
    world.save(&with(&named("web-undo", None), 1)).await;
    crash_in_prod(&world, "1.1.0");
    let good = run(&world, "1.0.0").await.0;
    let (bad, view) = run(&world, "1.1.0").await;
    assert_eq!(stage_names(&attempt(&view, "prod", 2)), ["Config", "Deploy", "Note"]);
    let waiting = world.get("/v1/notifications").await.body["items"].as_array().unwrap().clone();
    let events = [world.events(&good).await, world.events(&bad).await].concat();
    let mut told: Vec<(String, u64)> = Vec::new();
    for message in waiting.iter().filter(|m| m["release"] == json!(bad)) {
        let event = events.iter().find(|e| e["release"] == message["release"] && e["seq"] == message["seq"]);
        let event = event.unwrap();
        told.push((event["stage"].as_str().unwrap().to_owned(), event["attempt"].as_u64().unwrap()));
    }
    told.sort();
    let stage = |name: &str, attempt| (name.to_owned(), attempt);
    assert_eq!(told, [stage("Deploy", 1), stage("Deploy", 1), stage("Note", 2), stage("Note", 2)]);
}
