//! `bake-manifest`: what it lets nobody do with the programs that render (T51).

use pilothouse_domain::stage::StageStatus;
use serde_json::{Value, json};

use super::Scene;
use crate::stages::StageEnd;
use crate::stages::bake_manifest::BakeManifest;

async fn refused(scene: &Scene, stage: &str, options: Value) -> String {
    match scene.play(&BakeManifest, stage, options).await {
        StageEnd { status: StageStatus::Failed { reason, .. }, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn chart(release_name: Option<&str>) -> Value {
    let mut options =
        json!({"engine": "helm", "files": {"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"}});
    if let Some(name) = release_name {
        options["releaseName"] = json!(name);
    }
    options
}

/// The options are evaluated here: what came of an expression is nothing that was checked before.
#[tokio::test(start_paused = true)]
async fn a_name_that_helm_would_take_for_a_flag_never_reaches_it() {
    let mut scene = Scene::new().await;
    for (index, name) in ["--post-renderer=/bin/sh", "-f", "${ params.name }", "Web"].iter().enumerate() {
        let reason = refused(&scene, &format!("Bake {index}"), chart(Some(name))).await;
        assert!(reason.contains(&format!("`{name}` is no name of a Helm release")), "{reason}");
    }
    scene.release.pipeline = "--post-renderer=/bin/sh".to_owned();
    let reason = refused(&scene, "Bake", chart(None)).await;
    assert!(
        reason.contains("is no name of a Helm release") && reason.contains("say another `releaseName`"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_preview_renders_and_shows_what_the_deployment_of_that_would_change() {
    let mut scene = Scene::new().await;
    let stages = json!([
        {"name": "Names", "type": "variables", "variables": {"greeting": "hello"}},
        {"name": "Bake", "type": "bake-manifest", "dependsOn": ["Names"], "manifests":
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {A: '${ stages.Names.output.greeting }'}\n"},
        {"name": "Deploy", "type": "deploy-manifest", "dependsOn": ["Bake"], "render": true, "manifests": "${ stages.Bake.output.manifests }"},
        {"name": "Tell", "type": "variables", "dependsOn": ["Deploy"],
            "variables": {"how": "${ stages[\"Deploy\"].status }", "who": "${ approvals.before.by }"}},
    ]);
    scene.release.spec.environments[0].stages = serde_json::from_value(stages).unwrap();
    let environment = scene.release.environment("dev").unwrap();
    let told = crate::preview::of_attempt(&scene.test.context, &scene.release, environment, &scene.attempt);
    let preview = told.await.unwrap();
    assert_eq!(scene.sim.writes(), [], "a preview changes nothing");
    assert_eq!(preview.problems, 0, "{preview:?}");
    let shown = serde_json::to_value(&preview.stages[2].changes).unwrap();
    assert_eq!(
        (&shown[0]["object"], &shown[0]["kind"], &shown[0]["fields"][0]["to"]),
        (&json!("ConfigMap dev/web"), &json!("create"), &json!("hello")),
        "{shown:#}"
    );
    let later = "known when it begins: it reads what an approver chose, what stage `Deploy` comes to";
    assert_eq!(preview.stages[3].steps, [later]);
}
