//! When deployments start: schedules, windows, times that were asked for (A11, A14), in virtual time. What a schedule means
//! on which day is tested in `domain/schedule`.

use std::sync::atomic::Ordering;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::crash::dead_after;
use crate::world::{World, attempt, environment_status, object};

/// `dev` at once, then `prod` within office hours in Berlin. It is Saturday, 10:00 there.
const OFFICE: &str = r#"
application: shop
pipeline: web
artifacts: [{name: web, image: shop/web}]
environments:
  - {name: dev, namespace: dev, stages: [{name: Pause, type: wait, duration: 5s}]}
  - name: prod
    namespace: prod
    after: [dev]
    schedule: {windows: [{days: weekdays, from: "08:00", to: "17:00"}], timezone: Europe/Berlin}
    stages:
      - name: Deploy
        type: deploy-manifest
        render: true
        manifests: |
          apiVersion: v1
          kind: ConfigMap
          metadata: {name: web}
          data: {VERSION: "${ artifacts.web.tag }"}
"#;

const MONDAY: &str = "2026-11-23T07:00:00Z";

/// Lets the time come.
async fn at(world: &World, time: &str) {
    let left = time.parse::<Timestamp>().unwrap().duration_since(world.clock.now());
    tokio::time::sleep_until(Instant::now() + left.unsigned_abs()).await;
}

async fn scheduled(world: &World, id: &str, environment: &str) -> Value {
    world
        .until(id, "it waits for its time", |view| environment_status(view, environment) == "Scheduled")
        .await
}

fn view_of(view: &Value, environment: &str) -> Value {
    let environments = view["environments"].as_array().unwrap();
    environments.iter().find(|e| e["name"] == environment).unwrap().clone()
}

fn version(world: &World) -> String {
    object(&world.sim, "ConfigMap", "prod", "web")["data"]["VERSION"].as_str().unwrap().to_owned()
}

fn started_at(view: &Value, environment: &str) -> Timestamp {
    attempt(view, environment, 1)["startedAt"].as_str().unwrap().parse().unwrap()
}

async fn deploy(world: &World, id: &str, environment: &str, body: Value) -> crate::world::Answer {
    world.post(&format!("/v1/releases/{id}/environments/{environment}/deploy"), &body).await
}

#[track_caller]
fn on_time(view: &Value, environment: &str, expected: &str) {
    let late = started_at(view, environment).duration_since(expected.parse().unwrap());
    assert!(!late.is_negative() && late.as_secs() < 2, "{late:?} after {expected}");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_outside_the_window_waits_until_it_opens() {
    let world = World::new().await;
    world.save(OFFICE).await;
    let id = world.start("1.0.0").await;
    let view = scheduled(&world, &id, "prod").await;
    let prod = view_of(&view, "prod");
    assert_eq!(prod["nextScheduledTime"], MONDAY, "A11");
    assert_eq!(prod["schedule"], "weekdays 08:00-17:00, Europe/Berlin");
    let waits = attempt(&view, "prod", 1);
    assert_eq!(
        (&waits["status"], &waits["operationStatus"]),
        (&json!("NotDeployed"), &json!("Scheduled")),
        "A14"
    );
    assert_eq!(waits["reason"], "starts at 2026-11-23T08:00:00+01:00 (next window of prod, Europe/Berlin)");
    assert_eq!((&view["outcome"], &view["atRest"]), (&json!("inProgress"), &json!(false)));

    at(&world, "2026-11-23T06:59:59Z").await;
    assert_eq!(environment_status(&world.release(&id).await, "prod"), "Scheduled");
    let done = world.at_rest(&id).await;
    on_time(&done, "prod", MONDAY);
    assert_eq!(
        (environment_status(&done, "prod").as_str(), version(&world).as_str()),
        ("Succeeded", "1.0.0")
    );
    assert_eq!(view_of(&done, "prod")["nextScheduledTime"], Value::Null);
    let events = world.events(&id).await;
    let told = events.iter().find(|e| e["type"] == "DeploymentScheduled").unwrap();
    assert_eq!((&told["starts"], &told["environment"]), (&json!(MONDAY), &json!("prod")));
    assert_eq!(world.proof(&id).await.findings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_deployment_within_the_window_starts_at_once() {
    let world = World::new().await;
    world.save(&OFFICE.replace("weekdays", "[sat]")).await;
    let id = world.start("1.0.0").await;
    let view = world.at_rest(&id).await;
    on_time(&view, "prod", attempt(&view, "dev", 1)["endedAt"].as_str().unwrap());
    assert!(world.events(&id).await.iter().all(|e| e["type"] != "DeploymentScheduled"));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_time_outlives_the_process_and_starts_on_time() {
    let world = World::new().await;
    world.save(OFFICE).await;
    let id = world.start("1.0.0").await;
    scheduled(&world, &id, "prod").await;
    let world = world.restarted(11).await;
    at(&world, "2026-11-22T12:00:00Z").await;
    let world = world.restarted(12).await;
    assert_eq!(environment_status(&world.release(&id).await, "prod"), "Scheduled");
    at(&world, "2026-11-23T06:59:58Z").await;
    let view = world.at_rest(&id).await;
    on_time(&view, "prod", MONDAY);
    assert_eq!(environment_status(&view, "prod"), "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_away_at_the_time_starts_it_when_it_is_back() {
    let world = World::new().await;
    world.save(OFFICE).await;
    let id = world.start("1.0.0").await;
    scheduled(&world, &id, "prod").await;
    let clock = std::sync::Arc::clone(&world.clock);
    let gone = world.die();
    let left = "2026-11-23T20:00:00Z".parse::<Timestamp>().unwrap().duration_since(clock.now());
    tokio::time::sleep_until(Instant::now() + left.unsigned_abs()).await;
    let world = gone.start(3, |builder| builder).await.unwrap();
    let view = world.at_rest(&id).await;
    on_time(&view, "prod", "2026-11-23T20:00:00Z");
}

/// A draft that is started, waits over the weekend and is deployed, with a crash after the `alive`th write that follows
/// the draft; whether there were so many.
async fn crashes_after(alive: u32) -> bool {
    let world = World::new().await;
    world.save(OFFICE).await;
    let ask =
        json!({ "application": "shop", "pipeline": "web", "artifacts": { "web": "1.0.0" }, "draft": true });
    let id = world.post("/v1/releases", &ask).await.body["id"].as_str().unwrap().to_owned();
    let start = format!("/v1/releases/{id}/start");
    let (faults, written) = dead_after(alive);
    let remains = world.die();
    if let Some(world) = remains.start(1000 + u64::from(alive), |b| b.table_faults(faults)).await {
        world.post(&start, &Value::Null).await;
        for hour in 10..=60 {
            if written.load(Ordering::Relaxed) >= alive {
                break;
            }
            let day = 21 + hour / 24;
            at(&world, &format!("2026-11-{day}T{:02}:00:00Z", hour % 24)).await;
        }
    }
    let died = written.load(Ordering::Relaxed) >= alive;
    let world = remains.start(5000 + u64::from(alive), |b| b).await.unwrap();
    if world.release(&id).await["status"] == "Draft" {
        assert_eq!(world.post(&start, &Value::Null).await.status, 202, "after {alive}");
    }
    if world.clock.now() < MONDAY.parse().unwrap() {
        at(&world, "2026-11-23T06:59:59Z").await;
    }
    let view = world.at_rest(&id).await;
    assert!(started_at(&view, "prod") >= MONDAY.parse().unwrap(), "after {alive}: {view:#}");
    for environment in ["dev", "prod"] {
        assert_eq!(environment_status(&view, environment), "Succeeded", "after {alive}: {view:#}");
        assert_eq!(attempt(&view, environment, 2), Value::default(), "after {alive}");
    }
    assert_eq!(version(&world), "1.0.0");
    assert_eq!(world.proof(&id).await.findings, Vec::<String>::new(), "after {alive}");
    died
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_changes_nothing_about_when_it_starts() {
    for alive in 1.. {
        if !crashes_after(alive).await {
            assert!(
                alive > 12,
                "a draft that is started, waits and is deployed writes more than {alive} times"
            );
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_time_can_be_cancelled_and_holds_nothing() {
    // A14 --CancelRequested--> A21.
    let world = World::new().await;
    world.save(OFFICE).await;
    let (first, second) = (world.start("1.0.0").await, world.start("2.0.0").await);
    scheduled(&world, &first, "prod").await;
    scheduled(&world, &second, "prod").await;
    assert_eq!(deploy(&world, &second, "prod", json!({ "now": true })).await.status, 202);
    world.at_rest(&second).await;
    assert_eq!(version(&world), "2.0.0", "the environment is free for others");

    let cancel = world.post(&format!("/v1/releases/{first}/environments/prod/cancel"), &json!({})).await;
    assert!(cancel.status.is_success(), "{:#}", cancel.body);
    let view = world.at_rest(&first).await;
    let canceled = attempt(&view, "prod", 1);
    assert_eq!(
        (&canceled["status"], &canceled["operationStatus"]),
        (&json!("NotDeployed"), &json!("Canceled"))
    );
    at(&world, "2026-11-23T12:00:00Z").await;
    assert_eq!(version(&world), "2.0.0", "its time came and went");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_time_is_started_at_once_by_a_second_deploy() {
    // A14 --Cleared--> A13, by a person.
    let world = World::new().await;
    world.save(OFFICE).await;
    let id = world.start("1.0.0").await;
    scheduled(&world, &id, "prod").await;
    let unclear = deploy(&world, &id, "prod", json!({})).await;
    assert_eq!((unclear.status.as_u16(), &unclear.body["error"]["code"]), (409, &json!("conflict")));
    let message = unclear.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("starts at 2026-11-23T07:00:00Z; start it at once with `now`"), "{message}");
    assert_eq!(unclear.body["error"]["current"]["environmentStatus"], "Scheduled");

    let before = world.clock.now();
    let moved = deploy(&world, &id, "prod", json!({ "now": true })).await;
    assert_eq!((moved.status.as_u16(), &moved.body["attempt"]), (202, &json!(1)), "{:#}", moved.body);
    let view = world.at_rest(&id).await;
    on_time(&view, "prod", &before.to_string());
    let events = world.events(&id).await;
    let told = events.iter().find(|e| e["type"] == "ScheduleOverridden").unwrap();
    assert_eq!((&told["actor"], &told["starts"]), (&json!("admin"), &json!(MONDAY)));
    // Again: the attempt has ended, so that this is a redeployment, and it waits for nothing either.
    let again = deploy(&world, &id, "prod", json!({ "now": true })).await;
    assert_eq!((&again.body["attempt"], &again.body["kind"]), (&json!(2), &json!("redeploy")));
    world.at_rest(&id).await;
}

#[tokio::test(start_paused = true)]
async fn a_person_says_when_within_bounds() {
    let world = World::new().await;
    world.save(&OFFICE.replace("after: [dev]", "start: manual")).await;
    let id = world.start("1.0.0").await;
    for (body, why) in [
        (json!({ "at": "2026-11-21T08:59:59Z" }), "is over"),
        (json!({ "at": "2027-11-21T10:00:00Z" }), "is more than 364d away"),
        (json!({ "at": "2026-11-22T10:00:00Z", "now": true }), "exclude each other"),
        (json!({ "at": "tomorrow" }), "invalid"),
    ] {
        let refused = deploy(&world, &id, "prod", body.clone()).await;
        let error = &refused.body["error"];
        assert_eq!((refused.status.as_u16(), &error["code"]), (422, &json!("invalid")), "{body}");
        assert!(why == "invalid" || error["message"].as_str().unwrap().contains(why), "{error:#}");
    }
    let asked = deploy(&world, &id, "prod", json!({ "at": "2026-11-22T10:00:00+01:00" })).await;
    assert_eq!((asked.status.as_u16(), &asked.body["operationStatus"]), (202, &json!("Scheduled")));
    let view = scheduled(&world, &id, "prod").await;
    assert_eq!(
        attempt(&view, "prod", 1)["reason"],
        "starts at 2026-11-22T10:00:00+01:00 (asked for by admin)"
    );
    at(&world, "2026-11-22T08:59:59Z").await;
    let view = world.at_rest(&id).await;
    on_time(&view, "prod", "2026-11-22T09:00:00Z");
    // By hand and without a time: as scheduled.
    assert_eq!(deploy(&world, &id, "prod", Value::Null).await.body["operationStatus"], "Scheduled");
    assert_eq!(view_of(&world.release(&id).await, "prod")["nextScheduledTime"], MONDAY);
}

#[tokio::test(start_paused = true)]
async fn a_time_that_the_clocks_skip_is_the_first_instant_after_the_gap() {
    let world = World::new().await;
    let nightly = r#"schedule: {at: "02:30", timezone: Europe/Berlin}"#;
    let window = OFFICE.lines().find(|line| line.contains("schedule:")).unwrap().trim();
    world.save(&OFFICE.replace(window, nightly)).await;
    at(&world, "2027-03-27T12:00:00Z").await;
    let id = world.start("1.0.0").await;
    let view = scheduled(&world, &id, "prod").await;
    // 2027-03-28, 02:00 becomes 03:00 at 01:00 UTC.
    assert_eq!(view_of(&view, "prod")["nextScheduledTime"], "2027-03-28T01:00:00Z");
    let reason = attempt(&view, "prod", 1)["reason"].clone();
    assert_eq!(reason, "starts at 2027-03-28T03:00:00+02:00 (next 02:30 of prod, Europe/Berlin)");
    at(&world, "2027-03-28T00:59:59Z").await;
    on_time(&world.at_rest(&id).await, "prod", "2027-03-28T01:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_waits_for_no_window() {
    let world = World::new().await;
    world.save(OFFICE).await;
    for tag in ["1.0.0", "2.0.0"] {
        let id = world.start(tag).await;
        scheduled(&world, &id, "prod").await;
        deploy(&world, &id, "prod", json!({ "now": true })).await;
        world.at_rest(&id).await;
        if tag == "2.0.0" {
            let back = world.post(&format!("/v1/releases/{id}/environments/prod/rollback"), &json!({})).await;
            assert!(back.status.is_success(), "{:#}", back.body);
            world.at_rest(&id).await;
        }
    }
    assert_eq!(version(&world), "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_its_time_is_seen_by_a_rollback_of_what_came_before_it() {
    // X2: created first, deployed last; who deployed last is asked of the lease, not of the order of creation.
    let world = World::new().await;
    world.save(OFFICE).await;
    let first = world.start("1.0.0").await;
    scheduled(&world, &first, "prod").await;
    at(&world, "2026-11-22T12:00:00Z").await;
    let second = world.start("2.0.0").await;
    scheduled(&world, &second, "prod").await;
    deploy(&world, &second, "prod", json!({ "now": true })).await;
    world.at_rest(&second).await;
    at(&world, "2026-11-23T06:59:59Z").await;
    world.at_rest(&first).await;
    assert_eq!(version(&world), "1.0.0");
    let back = world.post(&format!("/v1/releases/{second}/environments/prod/rollback"), &json!({})).await;
    assert_eq!(back.status, 409, "{:#}", back.body);
    assert!(back.body["error"]["message"].as_str().unwrap().contains(&first), "{:#}", back.body);
    assert_eq!(version(&world), "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn the_first_environment_of_a_draft_waits_for_its_time_from_when_the_draft_starts() {
    let world = World::new().await;
    world.save(&OFFICE.replace("after: [dev]", "after: []")).await;
    let ask =
        json!({ "application": "shop", "pipeline": "web", "artifacts": { "web": "1.0.0" }, "draft": true });
    let id = world.post("/v1/releases", &ask).await.body["id"].as_str().unwrap().to_owned();
    at(&world, "2026-11-24T18:00:00Z").await;
    assert_eq!(environment_status(&world.release(&id).await, "prod"), "NotStarted");
    let started = world.post(&format!("/v1/releases/{id}/start"), &Value::Null).await;
    assert_eq!(started.status, 202, "{:#}", started.body);
    assert_eq!(view_of(&started.body, "prod")["nextScheduledTime"], "2026-11-25T07:00:00Z");
    let skip = world
        .call_as(
            &world.token,
            Method::PATCH,
            &format!("/v1/releases/{id}"),
            &json!({ "skippedEnvironments": ["prod"] }),
        )
        .await;
    assert_eq!(skip.status, 409, "A3");
    let abandon = world.post(&format!("/v1/releases/{id}/abandon"), &json!({ "reason": "x" })).await;
    assert_eq!(abandon.status, 409, "what waits for its time is under way");
}

#[tokio::test(start_paused = true)]
async fn a_partial_success_is_enough_unless_the_environment_says_otherwise() {
    // A30: what follows `dev` says whether that is enough.
    let failing = "{name: Pause, type: webhook, url: 'http://127.0.0.1:1/', timeout: 5s, onFailure: ignore}";
    let pipeline = OFFICE.replace("{name: Pause, type: wait, duration: 5s}", failing);
    for (accept, expected) in [("acceptPartial: true", "Scheduled"), ("acceptPartial: false", "NotStarted")] {
        let world = World::new().await;
        world.save(&pipeline.replace("after: [dev]", &format!("after: [dev]\n    {accept}"))).await;
        let id = world.start("1.0.0").await;
        let over = |view: &Value| attempt(view, "dev", 1)["open"] == false;
        let view = world.until(&id, "dev at its end", over).await;
        assert_eq!(environment_status(&view, "dev"), "PartiallySucceeded");
        assert_eq!(environment_status(&view, "prod"), expected, "{accept}");
    }
}
