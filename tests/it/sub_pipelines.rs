//! Pipelines as stages (T36): started once, waited for or not, cancelled together, never in a circle.

mod circles;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::duration::Span;
use pilothouse_domain::stage::{StageEvent, StageStatus};
use pilothouse_local::StepFault;
use pilothouse_store::Transaction;
use serde_json::{Value, json};

use crate::crash::dead_after;
use crate::world::{World, attempt, digest_of};

/// What the stages of `dev` start, unless a test has another.
const DB: &str = r#"
application: shop
pipeline: db
parameters: [{ name: size, required: true }, { name: mode, default: careful }]
artifacts: [{ name: web, image: shop/web }, { name: tool, image: shop/tool }]
environments:
  - name: db-dev
    namespace: dev
    stages:
      - { name: Look, type: wait, duration: 30s }
  - name: db-prod
    namespace: prod
    after: [db-dev]
    stages:
      - { name: Migrate, type: wait, duration: '${ params.size }s' }
"#;

/// The pipeline shop/web with these stages in its environment `dev`.
fn web(stages: &str) -> String {
    let indented: String = stages.trim().lines().map(|l| format!("      {l}\n")).collect();
    format!(
        "application: shop\npipeline: web\nparameters: [{{name: next, default: db}}]\n\
         artifacts: [{{name: web, image: shop/web}}]\n\
         environments:\n  - name: dev\n    namespace: dev\n    stages:\n{indented}"
    )
}

const WAITS: &str = "- { name: db, type: pipeline, pipeline: db, parameters: { size: 10 } }";

fn stage(view: &Value, environment: &str, name: &str) -> Value {
    let attempt = attempt(view, environment, 1);
    let stages = attempt["stages"].as_array().unwrap();
    stages.iter().find(|s| s["name"] == name).cloned().unwrap_or_else(|| panic!("no {name}: {attempt:#}"))
}

/// The release that the stage `db` started, once it has.
async fn child(world: &World, release: &str) -> String {
    let has_begun =
        |v: &Value| attempt(v, "dev", 1)["stages"].is_array() && stage(v, "dev", "db")["child"].is_string();
    let view = world.until(release, "the child", has_begun).await;
    stage(&view, "dev", "db")["child"].as_str().unwrap().to_owned()
}

/// Ids of the releases of shop, the newest first.
async fn releases(world: &World) -> Vec<String> {
    let answer = world.get("/v1/releases?application=shop&limit=100").await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    let items = answer.body["items"].as_array().unwrap_or_else(|| panic!("{:#}", answer.body));
    items.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

async fn message(world: &World, pipeline: &str) -> (u16, String) {
    let answer = world.apply(pipeline).await;
    (answer.status.as_u16(), answer.body.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_child_gets_parameters_and_artifacts_and_gives_what_its_stages_came_to() {
    let world = World::new().await;
    world.save(DB).await;
    world
        .save(&web(r#"
- { name: Size, type: manual-judgment, inputs: ['20', '30'] }
- name: db
  type: pipeline
  pipeline: '${ params.next }'
  dependsOn: [Size]
  parameters: { size: '${ stages["Size"].output.input }' }
  artifacts: { tool: { tag: '${ artifacts.web.tag }' } }
- name: After
  type: wait
  duration: '${ stages["db"].output.parameters.size }s'
  dependsOn: [db]
  if: '${ stages["db"].output.environments["db-prod"].stages["Migrate"].output.waited == "20s" }'
"#))
        .await;
    let release = world.start("1.0.0").await;
    let approval = world.pending_approval(&release).await;
    let path = format!("/v1/releases/{release}/approvals/{approval}/approve");
    assert!(world.post(&path, &json!({ "input": "20" })).await.status.is_success());

    let child = child(&world, &release).await;
    let waiting = stage(&world.release(&release).await, "dev", "db");
    assert_eq!((&waiting["waits"]["for"], &waiting["waits"]["release"]), (&json!("release"), &json!(child)));
    let below = world.release(&child).await;
    assert_eq!(below["cause"]["kind"], "pipeline");
    assert_eq!((&below["cause"]["release"], &below["cause"]["stage"]), (&json!(release), &json!("db")));
    assert!(below["trigger"].as_str().unwrap().contains(&release), "{}", below["trigger"]);
    assert_eq!(below["parameters"], json!({ "size": "20", "mode": "careful" }));
    let artifacts = below["artifacts"].as_array().unwrap();
    let of = |name: &str| artifacts.iter().find(|a| a["name"] == name).unwrap_or_else(|| panic!("{below:#}"));
    assert_eq!(of("web")["digest"], digest_of("1.0.0"), "this release's of the same name");
    assert_eq!((&of("tool")["image"], &of("tool")["tag"]), (&json!("shop/tool"), &json!("1.0.0")));

    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "succeeded");
    let (db, after) = (stage(&view, "dev", "db"), stage(&view, "dev", "After"));
    assert_eq!((&db["output"]["outcome"], &db["output"]["revision"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(after["output"]["waited"], "20s", "{after:#}");
    let told = world.events(&release).await;
    let started: Vec<&Value> = told.iter().filter(|e| e["type"] == "ChildStarted").collect();
    assert_eq!(started.len(), 1);
    assert_eq!((&started[0]["child"], &started[0]["stage"]), (&json!(child), &json!("db")));
    for id in [&release, &child] {
        assert!(world.proof(id).await.whole, "the record of {id} proves itself");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_end_well_is_the_failure_that_the_stage_names() {
    let asks = "application: shop\npipeline: db\nenvironments:\n  - name: db-dev\n    namespace: dev\n    \
                approvals: { before: { approvers: [{ role: approver }] } }\n    \
                stages: [{ name: Look, type: wait, duration: 1h }]\n";
    for (act, fail_on, status, says) in [
        ("reject", "", "failed", "was rejected"),
        ("cancel", "", "failed", "was canceled"),
        ("cancel", ", failOn: [failed]", "succeeded", ""),
    ] {
        let world = World::new().await;
        world.save(asks).await;
        world.save(&web(&format!("- {{ name: db, type: pipeline, pipeline: db{fail_on} }}"))).await;
        let release = world.start("1.0.0").await;
        let child = child(&world, &release).await;
        let approval = world.pending_approval(&child).await;
        let path = match act {
            "reject" => format!("/v1/releases/{child}/approvals/{approval}/reject"),
            _ => format!("/v1/releases/{child}/environments/db-dev/cancel"),
        };
        assert!(world.post(&path, &json!({})).await.status.is_success());
        let view = world.at_rest(&release).await;
        let db = stage(&view, "dev", "db");
        assert_eq!(db["status"], status, "{act}: {db:#}");
        assert!(db["reason"].as_str().unwrap_or_default().contains(says), "{act}: {db:#}");
        assert_eq!(db["output"]["release"], json!(child), "a stage that failed names it too");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_fails_the_stage_and_says_what_to_do() {
    let world = World::new().await;
    world.save(DB).await;
    let manual = DB.replace("pipeline: db", "pipeline: by-hand").replace("after: [db-dev]", "start: manual");
    world.save(&manual.replace("name: db-dev\n", "name: db-dev\n    start: manual\n")).await;
    let here = DB.replace("pipeline: db", "pipeline: here").replace("name: db-prod", "name: dev");
    world.save(&here).await;
    world.save(&DB.replace("pipeline: db", "pipeline: off")).await;
    let off = world.put("/v1/pipelines/shop/off/enabled", &json!({ "enabled": false })).await;
    assert!(off.status.is_success(), "{:#}", off.body);
    for (options, says) in [
        ("pipeline: bd", "pipeline `shop/bd` does not exist"),
        ("pipeline: db", "parameters.size: a value is required"),
        ("pipeline: db, parameters: { size: 1, sice: 2 }", "parameters.sice: unknown parameter"),
        (
            "pipeline: db, parameters: { size: 1 }, artifacts: { wbe: { from: web } }",
            "artifacts.wbe: unknown",
        ),
        ("pipeline: off, parameters: { size: 1 }", "`shop/off` is disabled"),
        ("pipeline: by-hand, parameters: { size: 1 }", "none of its environments starts by itself"),
        (
            "pipeline: here, parameters: { size: 1 }",
            "environment `dev` of `shop`, which this deployment holds",
        ),
    ] {
        world.save(&web(&format!("- {{ name: db, type: pipeline, {options} }}"))).await;
        let release = world.start("1.0.0").await;
        let db = stage(&world.at_rest(&release).await, "dev", "db");
        let reason = db["reason"].as_str().unwrap_or_default();
        assert!(db["status"] == "failed" && reason.contains(says), "{options}: {db:#}");
        assert_eq!(db["child"], Value::Null, "nothing was started: {db:#}");
    }
    // In a place that nobody waits for it to leave, it stands in line and follows.
    world
        .save(&web("- { name: db, type: pipeline, pipeline: here, wait: false, parameters: { size: 1 } }"))
        .await;
    let release = world.start("1.0.0").await;
    let child = child(&world, &release).await;
    assert_eq!(world.at_rest(&child).await["outcome"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_stage_whose_time_is_over_cancels_what_it_waits_for() {
    let world = World::new().await;
    world.save(DB).await;
    world.save(&web(&WAITS.replace("pipeline: db,", "pipeline: db, timeout: 20s,"))).await;
    let release = world.start("1.0.0").await;
    let child = child(&world, &release).await;
    let view = world.at_rest(&release).await;
    let db = stage(&view, "dev", "db");
    let reason = db["reason"].as_str().unwrap();
    assert!(reason.contains("longer than its timeout") && reason.contains("was canceled"), "{reason}");
    let below = world.at_rest(&child).await;
    assert_eq!(below["outcome"], "canceled");
    assert_eq!(attempt(&below, "db-prod", 1), Value::default(), "nothing follows");
    let told = world.events(&child).await;
    assert!(told.iter().any(|e| e["type"] == "ParentGaveUp" && e["parent"] == json!(release)), "{told:#?}");
}

/// Circles are refused where they can be seen, with the way that leads back.
#[tokio::test(start_paused = true)]
async fn a_pipeline_that_would_start_itself_is_not_saved() {
    let world = World::new().await;
    let itself = web("- { name: again, type: pipeline, pipeline: web }");
    let (status, body) = message(&world, &itself).await;
    assert_eq!(status, 422, "{body}");
    assert!(
        body.contains("shop/web -> shop/web") && body.contains("environments[0].stages[0].pipeline"),
        "{body}"
    );

    let request = http::Request::post("/v1/pipelines/validate")
        .header(http::header::AUTHORIZATION, format!("Bearer {}", world.token))
        .body(axum::body::Body::from(itself))
        .unwrap();
    assert_eq!(world.send(request).await.status.as_u16(), 422, "a check without saving says so too");

    let starts = |pipeline: &str, other: &str| {
        web(&format!("- {{ name: next, type: pipeline, pipeline: {other} }}"))
            .replace("pipeline: web", &format!("pipeline: {pipeline}"))
    };
    let (status, body) = message(&world, &starts("a", "b")).await;
    assert!(status < 300 && body.contains("`shop/b` does not exist yet"), "{body}");
    world.save(&starts("b", "c")).await;
    let (status, body) = message(&world, &starts("c", "a")).await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("shop/c -> shop/a -> shop/b -> shop/c"), "{body}");
}

/// An expression names the pipeline, so that the circle cannot be seen when it is saved.
#[tokio::test(start_paused = true)]
async fn releases_stand_ten_deep_on_each_other_and_no_deeper() {
    let world = World::new().await;
    let stages = "- { name: db, type: pipeline, pipeline: '${ params.next }', wait: false, parameters: { next: web } }";
    world.save(&web(stages).replace("default: db", "default: web")).await;
    let mut release = world.start("1.0.0").await;
    for _ in 0..10 {
        world.at_rest(&release).await;
        release = child(&world, &release).await;
    }
    let last = stage(&world.at_rest(&release).await, "dev", "db");
    let reason = last["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("10 releases stand above it"), "{last:#}");
    assert_eq!(releases(&world).await.len(), 11);
}

/// The stage ended by other means than its own steps, which would have cancelled the child: the sweep does.
#[tokio::test(start_paused = true)]
async fn a_child_whose_parent_is_gone_is_cancelled_by_the_sweep() {
    let world = World::new().await;
    world.save(DB).await;
    world.save(&web(WAITS)).await;
    let release = world.start("1.0.0").await;
    let child = child(&world, &release).await;
    let context = world.system.context();
    let at = AttemptRef { release: release.parse().unwrap(), environment: "dev".to_owned(), number: 1 };
    let run = context.store.stage_run(&at, "db").await.unwrap().unwrap();
    let broken = StageStatus::Failed { reason: "the machinery broke".to_owned(), evidence: None };
    let ended = run.record.apply(StageEvent::Ended(broken), context.now()).unwrap();
    context.store.commit(Transaction::new().replace(&run, &ended)).await.unwrap();
    let swept = pilothouse_operations::sweep(context, Span::from_secs(0)).await.unwrap();
    assert_eq!(swept.expired, 1, "{swept:?}");
    let below = world.at_rest(&child).await;
    assert_eq!(below["outcome"], "canceled");
    assert_eq!(attempt(&below, "db-prod", 1), Value::default());
    // What a person starts in it later is theirs.
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let path = format!("/v1/releases/{child}/environments/db-dev/deploy");
    assert!(world.post(&path, &json!({})).await.status.is_success());
    let swept = pilothouse_operations::sweep(context, Span::from_secs(0)).await.unwrap();
    assert_eq!(swept.expired, 0, "{swept:?}");
    assert_eq!(world.at_rest(&child).await["outcome"], "succeeded");
}

/// The whole of it: one parent, one child, both succeeded.
async fn ends_well(world: &World, release: &str, case: &str) {
    let view = world.at_rest(release).await;
    assert_eq!(view["outcome"], "succeeded", "{case}: {view:#}");
    let db = stage(&view, "dev", "db");
    let all = releases(world).await;
    assert_eq!(all.len(), 2, "{case}: {all:?}");
    let below = world.at_rest(db["child"].as_str().unwrap()).await;
    assert_eq!(below["outcome"], "succeeded", "{case}");
    assert_eq!(db["output"]["outcome"], "succeeded", "{case}: {db:#}");
    let told = world.events(release).await;
    assert_eq!(told.iter().filter(|e| e["type"] == "ChildStarted").count(), 1, "{case}");
}

#[tokio::test(start_paused = true)]
async fn steps_that_are_repeated_or_lost_start_one_child() {
    let count = AtomicU32::new(0);
    let luck: [(&str, pilothouse_local::StepFaults); 2] = [
        ("repeated", Arc::new(|_: &str| Some(StepFault::Repeated))),
        (
            "lost",
            Arc::new(move |_: &str| match count.fetch_add(1, Ordering::Relaxed) % 5 {
                1 => Some(StepFault::Lost),
                3 => Some(StepFault::AnswerLost),
                _ => None,
            }),
        ),
    ];
    for (case, faults) in luck {
        let world = World::with(|b| b.step_faults(faults)).await;
        world.save(DB).await;
        world.save(&web(WAITS)).await;
        let release = world.start("1.0.0").await;
        ends_well(&world, &release, case).await;
    }
}

/// A release with a child, with a crash after the `alive`th write that follows its start; whether there were so many.
async fn crashes_after(alive: u32, cancel: bool) -> bool {
    let world = World::new().await;
    world.save(DB).await;
    world.save(&web(WAITS)).await;
    let release = world.start("1.0.0").await;
    let (faults, written) = dead_after(alive);
    let remains = world.die();
    if let Some(world) = remains.start(1000 + u64::from(alive), |b| b.table_faults(faults)).await {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
        for second in 0..90 {
            tick.tick().await;
            if written.load(Ordering::Relaxed) >= alive {
                break;
            }
            if cancel && second >= 10 {
                let path = format!("/v1/releases/{release}/environments/dev/cancel");
                let _ = world.post(&path, &json!({})).await;
            }
        }
        let died = written.load(Ordering::Relaxed) >= alive;
        assert!(died || world.release(&release).await["atRest"] == true, "it was not followed to its end");
        drop(world);
    }
    let died = written.load(Ordering::Relaxed) >= alive;
    let world = remains.start(5000 + u64::from(alive), |b| b).await.unwrap();
    if !cancel {
        ends_well(&world, &release, &format!("after {alive}")).await;
        return died;
    }
    let path = format!("/v1/releases/{release}/environments/dev/cancel");
    let _ = world.post(&path, &json!({})).await;
    let view = world.at_rest(&release).await;
    assert_eq!(view["outcome"], "canceled", "after {alive}: {view:#}");
    for id in releases(&world).await {
        let outcome = world.at_rest(&id).await["outcome"].clone();
        assert_eq!(outcome, "canceled", "after {alive}: {id}");
        given_up_with_what_was_canceled(&world.events(&id).await, alive);
    }
    died
}

/// Nothing is told of a parent that gives up but with a cancel, however often it had to be asked for.
fn given_up_with_what_was_canceled(events: &[Value], alive: u32) {
    for (n, event) in events.iter().enumerate().filter(|(_, event)| event["type"] == "ParentGaveUp") {
        let next = events.get(n + 1).map_or(&Value::Null, |next| &next["type"]);
        assert_eq!(next, "CancelRequested", "after {alive}: {event:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_leaves_one_child_that_its_parent_hears_of() {
    for alive in 1.. {
        if !crashes_after(alive, false).await {
            assert!(alive > 15, "a release with a child writes more than {alive} times");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_of_a_cancel_leaves_neither_running() {
    for alive in 1.. {
        if !crashes_after(alive, true).await {
            assert!(alive > 8, "a release with a child writes more than {alive} times");
            return;
        }
    }
}
