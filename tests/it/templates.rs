//! What the smart templates make (V6-V8, V11-V13) is saved as it is, and does what it says: also the way back.

use http::Method;
use pilothouse_operations::OutboundPolicy;
use pilothouse_operations::templates::{GeneratedFile, Template, TemplateInputs};
use pilothouse_sim_cluster::{Behaviour, ImageRule};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::main_story::crash_in_prod;
use crate::world::{World, attempt, object};

const APP: &str = r"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: shop/web}]}
";

fn made(template: Template, health_url: Option<String>) -> Vec<GeneratedFile> {
    let inputs = TemplateInputs {
        manifest: APP.to_owned(),
        service: "web".to_owned(),
        application: Some("shop".to_owned()),
        places: vec!["dev".parse().unwrap(), "prod".parse().unwrap()],
        health_url,
        rollback: true,
        ..TemplateInputs::default()
    };
    template.generate(&inputs).unwrap().files
}

/// Applies the files as they are, and lets the main pipeline be started.
async fn applied(world: &World, files: &[GeneratedFile]) {
    for file in files {
        world.save(&file.text).await;
    }
    let ask = json!({ "application": "shop", "pipeline": "web", "artifacts": { "web": { "tag": "1.0.0" } } });
    let refused = world.post("/v1/releases", &ask).await;
    assert_eq!(refused.status, 409, "it is not reviewed yet: {:#}", refused.body);
    let path = "/v1/pipelines/shop/web/enabled";
    let enabled = world.call_as(&world.token, Method::PUT, path, &json!({ "enabled": true })).await;
    assert!(enabled.status.is_success(), "{:#}", enabled.body);
}

fn image(world: &World, namespace: &str) -> String {
    let deployment = object(&world.sim, "Deployment", namespace, "web");
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
}

fn phase_replicas(world: &World) -> Value {
    object(&world.sim, "Deployment", "prod", "web-phase-1")["spec"]["replicas"].clone()
}

fn ends(attempt: &Value) -> Vec<String> {
    let stages = attempt["stages"].as_array().unwrap();
    stages
        .iter()
        .map(|s| format!("{}: {}", s["name"].as_str().unwrap(), s["status"].as_str().unwrap()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_rolling_upgrade_goes_to_prod_in_two_phases_and_a_crash_there_is_taken_back() {
    let world = World::new().await;
    applied(&world, &made(Template::RollingUpgrade, None)).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    assert!(image(&world, "dev").contains(":1.0.0") && image(&world, "prod").contains(":1.0.0"));
    assert_eq!(phase_replicas(&world), 0, "the first phase is finished");

    crash_in_prod(&world, "1.1.0");
    let release = world.start("1.1.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "rolledBack", "{view:#}");
    assert_eq!(
        ends(&attempt(&view, "prod", 1)),
        [
            "Deploy phase 1: failed",
            "Verify phase 1: notRun",
            "Deploy rollout phase: notRun",
            "Finish rollout phase: notRun",
            "Verify rollout phase: notRun"
        ]
    );
    let back = attempt(&view, "prod", 2);
    assert_eq!(back["rollback"]["pipeline"], "web-prod-rollback", "{back:#}");
    assert_eq!(
        ends(&back),
        ["Remove phase 1: succeeded", "Update deployment: succeeded", "Verify deployment: succeeded"]
    );
    assert!(image(&world, "dev").contains(":1.1.0") && image(&world, "prod").contains(":1.0.0"));
    assert_eq!(phase_replicas(&world), 0);
}

/// The health check is a real server, so the time is real too.
#[tokio::test]
async fn a_verification_that_fails_brings_the_old_image_back() {
    let policy = OutboundPolicy { allow_private: true, allow_loopback: true };
    let world = World::with(|builder| builder.outbound(policy)).await;
    world
        .sim
        .set_rules(vec![ImageRule::new("*", Behaviour::Ready { after: Some(std::time::Duration::ZERO) })]);
    let server = MockServer::start().await;
    let well = || ResponseTemplate::new(200);
    Mock::given(path("/prod/health")).respond_with(well()).mount(&server).await;
    Mock::given(path("/dev/health")).respond_with(well()).up_to_n_times(1).mount(&server).await;
    Mock::given(path("/dev/health"))
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/dev/health")).respond_with(well()).mount(&server).await;
    applied(
        &world,
        &made(Template::RollingUpgrade, Some(format!("{}/{{environment}}/health", server.uri()))),
    )
    .await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "succeeded", "{view:#}");

    let release = world.start("1.1.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "rolledBack", "{view:#}");
    let failed = attempt(&view, "dev", 1);
    assert_eq!(ends(&failed).last().unwrap(), "Verify deployment: failed", "{failed:#}");
    assert_eq!(
        ends(&attempt(&view, "dev", 2)),
        ["Update deployment: succeeded", "Verify deployment: succeeded"]
    );
    assert!(image(&world, "dev").contains(":1.0.0") && image(&world, "prod").contains(":1.0.0"));
}

/// The pods behind the Service in prod that are ready run this image.
fn serving(world: &World) -> Vec<String> {
    let service = object(&world.sim, "Service", "prod", "web");
    let selector = service["spec"]["selector"].as_object().unwrap().clone();
    let mut images: Vec<String> = world
        .sim
        .list("Pod", "prod")
        .iter()
        .filter(|pod| selector.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value))
        .filter(|pod| pod["status"]["containerStatuses"][0]["ready"] == true)
        .map(|pod| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned())
        .collect();
    images.dedup();
    images
}

fn deployments(world: &World) -> Vec<String> {
    let all = world.sim.list("Deployment", "prod");
    all.iter().map(|d| d["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn released(world: &World, tag: &str) -> Value {
    let release = world.start(tag).await;
    world.at_rest(&release).await
}

/// A release whose verification in prod fails, by a check that is put into the pipeline.
async fn refused_by(world: &World, files: &[GeneratedFile], stage: &str, tag: &str) -> Value {
    let main = files.last().unwrap();
    let (before, after) = main.text.rsplit_once(&format!("name: {stage}\n")).unwrap();
    let never = "{check: expression, expression: '${ false }', message: it is not well}";
    let after = after.replacen("checks:\n", &format!("checks:\n          - {never}\n"), 1);
    world.save(&format!("{before}name: {stage}\n{after}")).await;
    released(world, tag).await
}

#[tokio::test(start_paused = true)]
async fn blue_green_goes_to_its_end_and_the_way_back_finds_the_old_version_wherever_it_is() {
    let world = World::new().await;
    let files = made(Template::BlueGreen, None);
    applied(&world, &files).await;
    for tag in ["1.0.0", "1.1.0"] {
        let view = released(&world, tag).await;
        assert_eq!(view["outcome"], "succeeded", "{view:#}");
        assert_eq!(deployments(&world), [format!("web-{}", tag.replace('.', "-"))], "the old one is removed");
        assert!(serving(&world).iter().all(|image| image.contains(tag)), "{:?}", serving(&world));
    }
    let again = released(&world, "1.1.0").await;
    assert_eq!(again["outcome"], "succeeded", "the same version again: {again:#}");

    // It never got any traffic.
    crash_in_prod(&world, "1.2.0");
    let view = released(&world, "1.2.0").await;
    assert_eq!(view["outcome"], "rolledBack", "{view:#}");
    let back = attempt(&view, "prod", 2);
    assert_eq!(back["rollback"]["pipeline"], "web-prod-rollback", "{back:#}");
    assert_eq!(
        ends(&back),
        [
            "Update deployment: succeeded",
            "Remove the failed version: succeeded",
            "Verify deployment: succeeded"
        ]
    );
    assert_eq!(deployments(&world), ["web-1-1-0"], "what was started is gone");
    assert!(!serving(&world).is_empty() && serving(&world).iter().all(|image| image.contains(":1.1.0")));

    // It had all of it.
    let view = refused_by(&world, &files, "Verify rollout phase", "1.3.0").await;
    assert_eq!(view["outcome"], "rolledBack", "{view:#}");
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "{view:#}");
    assert_eq!(deployments(&world), ["web-1-1-0"]);
    assert!(!serving(&world).is_empty() && serving(&world).iter().all(|image| image.contains(":1.1.0")));
}

#[tokio::test(start_paused = true)]
async fn a_canary_goes_to_its_end_and_is_taken_back_from_either_phase() {
    let world = World::new().await;
    let files = made(Template::Canary, None);
    applied(&world, &files).await;
    for tag in ["1.0.0", "1.1.0"] {
        let view = released(&world, tag).await;
        assert_eq!(view["outcome"], "succeeded", "{view:#}");
        assert_eq!(deployments(&world), ["web"], "the canary is gone");
        assert!(image(&world, "prod").contains(tag));
    }
    for stage in ["Verify phase 1", "Verify rollout phase"] {
        let tag = if stage == "Verify phase 1" { "1.2.0" } else { "1.3.0" };
        let view = refused_by(&world, &files, stage, tag).await;
        assert_eq!(view["outcome"], "rolledBack", "{view:#}");
        let back = attempt(&view, "prod", 2);
        assert_eq!(
            ends(&back),
            ["Update deployment: succeeded", "Remove canary: succeeded", "Verify deployment: succeeded"],
            "{back:#}"
        );
        assert_eq!(deployments(&world), ["web"]);
        assert!(image(&world, "prod").contains(":1.1.0"), "{}", image(&world, "prod"));
        assert_eq!(object(&world.sim, "Deployment", "prod", "web")["spec"]["replicas"], 2);
    }
}
