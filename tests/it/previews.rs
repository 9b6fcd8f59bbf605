//! What a release would do, told before it does it, and an approval that is bound to it (X6).

use http::Method;
use pilothouse_sim_cluster::Fault;
use serde_json::{Value, json};

use crate::world::{World, attempt, digest_of, object, pending};

const WEB: &str = r#"
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
environments:
  - name: dev
    namespace: dev
    approvals: {before: {approvers: [{role: approver}], preview: true}}
    stages:
      - name: Deploy
        type: deploy-manifest
        requiredArtifacts: [web]
        manifests: |
          apiVersion: v1
          kind: ConfigMap
          metadata: {name: web}
          data: {GREETING: hello}
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
      - {name: Settle, type: wait, duration: 5s, dependsOn: [Deploy]}
      - name: Tell
        type: webhook
        dependsOn: [Settle]
        url: http://127.0.0.1:9/told
        payload: {deployed: '${ stages["Deploy"].status }'}
        onFailure: ignore
"#;

fn ask(tag: &str) -> Value {
    json!({ "application": "shop", "pipeline": "web", "artifacts": { "web": { "tag": tag, "digest": digest_of(tag) } } })
}

async fn preview(world: &World, tag: &str) -> Value {
    let answer = world.post("/v1/previews", &ask(tag)).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer.body["environments"][0].clone()
}

/// Every change of a preview, one a line.
fn told(preview: &Value) -> String {
    let mut lines = Vec::new();
    for stage in preview["stages"].as_array().unwrap() {
        for change in stage["changes"].as_array().unwrap() {
            lines.push(format!(
                "{} {}",
                change["kind"].as_str().unwrap(),
                change["object"].as_str().unwrap()
            ));
            if change["kind"] == "change" {
                for field in change["fields"].as_array().unwrap() {
                    let value =
                        |side: &str| field[side].as_str().unwrap_or("-").chars().take(24).collect::<String>();
                    lines.push(format!(
                        "  {}: {} → {}",
                        field["path"].as_str().unwrap(),
                        value("from"),
                        value("to")
                    ));
                }
            }
        }
    }
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_preview_tells_every_change_and_makes_none() {
    let world = World::new().await;
    world.save(WEB).await;
    world.sim.clear_requests();
    let first = preview(&world, "1.0.0").await;
    assert_eq!(world.sim.writes(), [], "a preview changes nothing");
    assert_eq!(told(&first), "create ConfigMap dev/web\ncreate Deployment dev/web");
    assert_eq!(first["problems"], 0);
    assert_eq!(first["asks"], json!(["approval before by role approver"]));
    let tell = &first["stages"][2];
    assert!(tell["steps"][0].as_str().unwrap().starts_with("known when it begins"), "{tell:#}");

    let release = world.start("1.0.0").await;
    assert!(world.approve(&release).await.status.is_success());
    world.at_rest(&release).await;
    let second = preview(&world, "1.1.0").await;
    let lines: Vec<String> = told(&second).lines().map(str::to_owned).collect();
    assert_eq!(lines[..2], ["none ConfigMap dev/web", "change Deployment dev/web"]);
    assert!(lines[2].starts_with("  spec.template.spec.containers[web].image: shop/web:1.0.0"), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_ne!(first["hash"], second["hash"]);
    assert_eq!(preview(&world, "1.1.0").await["hash"], second["hash"], "the same plan has the same hash");
    let path = format!("/v1/releases/{release}/environments/dev/preview");
    let again = world.get(&path).await;
    assert_eq!(again.status, 200, "{:#}", again.body);
    assert_eq!(told(&again.body), "none ConfigMap dev/web\nnone Deployment dev/web");
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_is_told_with_its_reason() {
    let world = World::new().await;
    world.save(WEB).await;
    let foreign = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 5, selector: {matchLabels: {app: web}}, \
                   template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'shop/web:0.1'}]}}}";
    crate::stage_types::apply_as_somebody(&world.sim, foreign).await;
    let preview = preview(&world, "1.0.0").await;
    assert_eq!(preview["problems"], 1);
    let problem = preview["stages"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("owned by \"kubectl\""), "{problem}");
    let gone = world.post("/v1/previews?environment=prod", &ask("1.0.0")).await;
    assert_eq!(gone.status, 404, "{:#}", gone.body);
    world.sim.inject(Fault::status(403).on_path("*/configmaps/*").times(50));
    let denied = world.post("/v1/previews", &ask("1.0.0")).await;
    let problem = denied.body["environments"][0]["stages"][0]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("ConfigMap"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_bound_to_the_plan_and_asked_for_again_when_that_changes() {
    let world = World::new().await;
    world.save(WEB).await;
    let release = world.start("1.0.0").await;
    let first = world.pending_approval(&release).await;
    let shown = world.get("/v1/approvals").await.body["items"][0]["shown"]["plan"].clone();
    assert_eq!(shown["lines"][0], "Deploy: create ConfigMap dev/web", "{shown:#}");
    // Somebody makes the ConfigMap by hand, with another value, before the approver says yes.
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {OTHER: x}";
    crate::stage_types::apply_as_somebody(&world.sim, foreign).await;
    assert!(world.approve(&release).await.status.is_success());
    let other = |view: &Value| pending(view).is_some_and(|id| id != first);
    let view = world.until(&release, "another approval", other).await;
    assert_eq!(attempt(&view, "dev", 1)["operationStatus"], "Pending");
    assert!(world.sim.get("Deployment", "dev", "web").is_none(), "nothing was deployed under the old yes");
    let events = world.events(&release).await;
    let asked: Vec<_> = events.iter().filter(|e| e["type"] == "ApprovalRequested").collect();
    assert_eq!(asked[1]["again"], "the plan is not the one that was approved");
    assert!(world.approve(&release).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "PartiallySucceeded", "{view:#}");
    assert_eq!(
        object(&world.sim, "ConfigMap", "dev", "web")["data"],
        json!({"GREETING": "hello", "OTHER": "x"})
    );
    assert_eq!(world.proof(&release).await.findings, Vec::<String>::new());
}

/// How often the release asked for an approval.
async fn times_asked(world: &World, release: &str) -> usize {
    world.events(release).await.iter().filter(|event| event["type"] == "ApprovalRequested").count()
}

/// Makes the ConfigMap of `WEB` by hand: from now on the plan is another one.
async fn change_by_hand(world: &World) {
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {OTHER: x}";
    crate::stage_types::apply_as_somebody(&world.sim, foreign).await;
}

async fn asked_again(world: &World, release: &str, first: &str) {
    let other = |view: &Value| pending(view).is_some_and(|id| id != first);
    let view = world.until(release, "another approval", other).await;
    assert_eq!(attempt(&view, "dev", 1)["operationStatus"], "Pending");
    assert!(world.sim.get("Deployment", "dev", "web").is_none(), "nothing was deployed under the old yes");
}

/// `WEB` with this environment instead of its stages.
fn with_stages(stages: &str) -> String {
    format!("{}    stages: {stages}\n", WEB.split("    stages:").next().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_approved_once_and_begins_with_that_yes() {
    let world = World::new().await;
    world.save(WEB).await;
    let deployed = world.start("1.0.0").await;
    assert!(world.approve(&deployed).await.status.is_success());
    world.at_rest(&deployed).await;
    world.save(&with_stages("[{name: Again, type: restart, workload: web}]")).await;
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    tokio::time::advance(std::time::Duration::from_secs(90)).await;
    assert!(world.approve(&release).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "Succeeded", "{view:#}");
    assert_eq!(times_asked(&world, &release).await, 1);
}

/// A Job has the attempt in its name, and there is none before it is started: it is called the same in each preview.
#[tokio::test(start_paused = true)]
async fn a_plan_that_names_things_after_its_attempt_is_the_same_each_time() {
    let world = World::new().await;
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {template: {metadata: {annotations: {of: '${ release.id }'}}, \
               spec: {restartPolicy: Never, containers: [{name: migrate, image: shop/web}]}}}}";
    let stages = format!(
        "\n      - name: Migrate\n        type: run-job\n        render: true\n        manifest: |\n          {job}"
    );
    world.save(&with_stages(&stages)).await;
    let (first, second) = (preview(&world, "1.0.0").await, preview(&world, "1.0.0").await);
    assert!(told(&first).starts_with("create Job dev/migrate-"), "{first:#}");
    assert_eq!(first["hash"], second["hash"], "{second:#}");
}

/// What is shown of a text is its first line that differs: another that differs behind it is another plan nevertheless.
#[tokio::test(start_paused = true)]
async fn a_yes_does_not_reach_what_was_not_shown() {
    let world = World::new().await;
    let config = |first: &str, last: &str| {
        let lines = "same\\n".repeat(100);
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{conf: \"{first}\\n{lines}{last}\"}}"
        )
    };
    let manifests = config("new", "new").replace('\n', "\n          ");
    world
        .save(&with_stages(&format!(
            "\n      - name: Deploy\n        type: deploy-manifest\n        force: true\n        manifests: |\n          {manifests}"
        )))
        .await;
    crate::stage_types::apply_as_somebody(&world.sim, &config("old", "one")).await;
    let (first, again) = (preview(&world, "1.0.0").await, preview(&world, "1.0.0").await);
    assert!(told(&first).contains("\n  data.conf: line 1: old → line 1: new"), "{}", told(&first));
    assert_eq!(first["hash"], again["hash"]);
    crate::stage_types::apply_as_somebody(&world.sim, &config("old", "two")).await;
    let other = preview(&world, "1.0.0").await;
    assert_eq!(told(&first), told(&other));
    assert_ne!(first["hash"], other["hash"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_changes_while_its_deployment_waits_for_a_slot_is_asked_for_again() {
    let world = World::new().await;
    world.save(WEB).await;
    world
        .save("application: ops\npipeline: hold\nenvironments: [{name: dev, namespace: dev, stages: [{name: Ask, type: manual-judgment}]}]")
        .await;
    let limit = world.put("/v1/limits/clusters/default", &json!({ "atOnce": 1 })).await;
    assert!(limit.status.is_success(), "{:#}", limit.body);
    let holding = world.post("/v1/releases", &json!({ "application": "ops", "pipeline": "hold" })).await;
    let holding = holding.body["id"].as_str().unwrap().to_owned();
    world.pending_approval(&holding).await;
    let release = world.start("1.0.0").await;
    let first = world.pending_approval(&release).await;
    assert!(world.approve(&release).await.status.is_success());
    world.until(&release, "the slot", |v| attempt(v, "dev", 1)["operationStatus"] == "QueuedForAgent").await;
    change_by_hand(&world).await;
    assert!(world.approve(&holding).await.status.is_success());
    world.at_rest(&holding).await;
    asked_again(&world, &release, &first).await;
    let limits = world.get("/v1/limits").await.body;
    assert_eq!((&limits["items"][0]["holders"], &limits["items"][0]["line"]), (&json!([]), &json!([])));
    assert!(world.approve(&release).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "PartiallySucceeded", "{view:#}");
    assert_eq!(
        (times_asked(&world, &release).await, world.proof(&release).await.findings),
        (2, Vec::<String>::new())
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_changes_while_gates_are_sampled_is_asked_for_again() {
    let world = World::new().await;
    let gates = "    gates: {before: {order: after_approval, interval: 30s, timeout: 1h, checks: [{name: ready, type: cluster, object: \
                 {kind: ConfigMap, name: ready}, expect: '${ object.data.ok == \"yes\" }'}]}}\n    stages:";
    world.save(&WEB.replacen("    stages:", gates, 1)).await;
    let release = world.start("1.0.0").await;
    let first = world.pending_approval(&release).await;
    assert!(world.approve(&release).await.status.is_success());
    world.until(&release, "gates", |v| attempt(v, "dev", 1)["operationStatus"] == "EvaluatingGates").await;
    change_by_hand(&world).await;
    let ready = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ready}\ndata: {ok: 'yes'}";
    crate::stage_types::apply_as_somebody(&world.sim, ready).await;
    asked_again(&world, &release, &first).await;
    assert!(world.approve(&release).await.status.is_success());
    let view = world.at_rest(&release).await;
    assert_eq!(attempt(&view, "dev", 1)["status"], "PartiallySucceeded", "{view:#}");
    assert_eq!(
        (times_asked(&world, &release).await, world.proof(&release).await.findings),
        (2, Vec::<String>::new())
    );
}

/// The command that an approval names shows its approvers the plan that they are asked about.
#[tokio::test(start_paused = true)]
async fn an_approver_previews_the_very_plan_that_is_to_be_approved() {
    let world = World::new().await;
    let rendered = WEB.replace("requiredArtifacts: [web]", "requiredArtifacts: [web]\n        render: true");
    world.save(&rendered.replace("GREETING: hello", "GREETING: 'attempt ${ environment.attempt }'")).await;
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    let shown = world.get("/v1/approvals").await.body["items"][0]["shown"]["plan"].clone();
    let ann = world.token_of("ann", "approver").await;
    let path = format!("/v1/releases/{release}/environments/dev/preview");
    let seen = world.call_as(&ann, Method::GET, &path, &Value::Null).await;
    assert_eq!(seen.status, 200, "{:#}", seen.body);
    assert_eq!(seen.body["hash"], shown["hash"]);
    assert!(seen.body["stages"][0]["changes"][0].to_string().contains("attempt 1"), "{:#}", seen.body);
}

#[tokio::test(start_paused = true)]
async fn a_preview_is_only_for_those_who_may_deploy() {
    let world = World::new().await;
    world.save(WEB).await;
    let token = world.post("/v1/tokens", &json!({ "name": "eve", "role": "viewer" })).await;
    let token = token.body["secret"].as_str().unwrap().to_owned();
    let answer = world.call_as(&token, Method::POST, "/v1/previews", &ask("1.0.0")).await;
    assert_eq!(answer.status, 403, "{:#}", answer.body);
}
