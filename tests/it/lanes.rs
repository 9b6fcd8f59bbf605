//! Who is under way at once, and who waits (X2, invariant 6): an environment's lane under each policy, the installation's limit
//! and a cluster's slots (A19, A20, A26, A27), freezes (X14), and what comes of it under random interleavings and kills.

mod freezes;
mod interleavings;
mod limits;
mod storm;

use http::StatusCode;
use serde_json::{Value, json};

use crate::main_story::{WEB, running};
use crate::world::{World, attempt, environment_status};

/// A pipeline `shop/web` that asks somebody in `prod` and is done a second later, with this lane and these other lines.
fn judged(lane: &str, lines: &str) -> String {
    format!(
        "application: shop\npipeline: web\nartifacts: [{{name: web, image: shop/web}}]\nenvironments:\n\
         - name: prod\n  namespace: prod\n  lane: {lane}\n  {lines}\n  stages:\n\
         \x20 - {{name: Ask, type: manual-judgment}}\n\
         \x20 - {{name: Settle, type: wait, duration: 1s, dependsOn: [Ask]}}\n"
    )
}

fn attempt_of(view: &Value) -> Value {
    attempt(view, "prod", 1)
}

impl World {
    /// Answers what the release's stage asks.
    async fn judge(&self, release: &str) {
        let answer = self.approve(release).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    }

    async fn act_in_prod(&self, release: &str, action: &str) {
        let answer =
            self.post(&format!("/v1/releases/{release}/environments/prod/{action}"), &json!({})).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    }

    /// A new token of that role.
    pub(crate) async fn token_of(&self, name: &str, role: &str) -> String {
        let answer = self.post("/v1/tokens", &json!({ "name": name, "role": role })).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body["secret"].as_str().unwrap().to_owned()
    }

    /// The lane of `prod`.
    async fn lane(&self) -> Value {
        let answer = self.get("/v1/environments/shop/prod/lane").await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }
}

async fn until_deploying(world: &World, release: &str) -> Value {
    let begun = |view: &Value| attempt_of(view)["startedAt"].is_string();
    world.until(release, "it deploys", begun).await
}

/// The release once it stands in line for the reason of that name.
async fn until_waiting(world: &World, release: &str, operation: &str) -> Value {
    let waits = |view: &Value| {
        let attempt = attempt_of(view);
        attempt["operationStatus"] == operation && attempt["line"]["place"].is_number()
    };
    world.until(release, operation, waits).await
}

/// A new release that deploys already.
async fn deploys(world: &World, tag: &str) -> String {
    let release = world.start(tag).await;
    until_deploying(world, &release).await;
    release
}

/// The release's place in line.
async fn place(world: &World, release: &str) -> Value {
    attempt_of(&world.release(release).await)["line"]["place"].clone()
}

fn holders(lane: &Value) -> Vec<String> {
    let holders = lane["holders"].as_array().unwrap();
    holders.iter().map(|h| h["attempt"]["release"].as_str().unwrap().to_owned()).collect()
}

fn in_line(lane: &Value) -> Vec<String> {
    let line = lane["line"].as_array().unwrap();
    line.iter().map(|w| w["attempt"]["release"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_second_release_waits_until_the_first_has_left_the_environment() {
    let world = World::new().await;
    world.save(WEB).await;
    let first = world.start("1.0.0").await;
    world.pending_approval(&first).await;
    let second = world.start("1.1.0").await;
    let third = world.start("1.2.0").await;
    until_waiting(&world, &second, "Queued").await;
    until_waiting(&world, &third, "Queued").await;
    assert_eq!(environment_status(&world.release(&second).await, "prod"), "Queued");

    world.approve(&first).await;
    world.at_rest(&first).await;
    assert_eq!(running(&world, "prod").1, "1.0.0");
    world.pending_approval(&second).await;
    let waits = world.release(&third).await;
    assert_eq!(attempt_of(&waits)["operationStatus"], "Queued", "one after the other");
    world.approve(&second).await;
    world.at_rest(&second).await;
    world.approve(&third).await;
    world.at_rest(&third).await;
    assert_eq!(running(&world, "prod").1, "1.2.0");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_does_not_hold_up_those_behind() {
    let world = World::new().await;
    world.save(WEB).await;
    let first = world.start("1.0.0").await;
    world.pending_approval(&first).await;
    let second = world.start("1.1.0").await;
    let third = world.start("1.2.0").await;
    until_waiting(&world, &second, "Queued").await;
    until_waiting(&world, &third, "Queued").await;
    world.act_in_prod(&second, "cancel").await;
    world.at_rest(&second).await;
    world.approve(&first).await;
    world.approve(&third).await;
    world.at_rest(&third).await;
    assert_eq!(running(&world, "prod").1, "1.2.0");
}

#[tokio::test(start_paused = true)]
async fn a_release_says_its_place_in_line_and_behind_whom_and_the_lane_who_is_in_and_waits() {
    let world = World::new().await;
    world.save(&judged("{}", "")).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    until_waiting(&world, &second, "Queued").await;
    let third = world.start("1.2.0").await;
    let waits = attempt_of(&until_waiting(&world, &third, "Queued").await);
    assert_eq!(
        (&waits["status"], &waits["operationStatus"]),
        (&json!("NotDeployed"), &json!("Queued")),
        "A13"
    );
    let told =
        format!("2nd in line behind release {second} for the environment `prod`, held by release {first}");
    assert_eq!(waits["reason"], told);
    assert_eq!((&waits["line"]["place"], &waits["line"]["behind"]["release"]), (&json!(2), &json!(second)));
    let lane = world.lane().await;
    assert_eq!((holders(&lane), in_line(&lane)), (vec![first.clone()], vec![second.clone(), third.clone()]));
    assert_eq!(lane["holders"][0]["fence"], 1);
    let listed = world.get("/v1/lanes?application=shop").await.body;
    assert_eq!(listed["items"], json!([lane]));
    assert_eq!(world.get("/v1/lanes?application=bank").await.body["items"], json!([]));
    for release in [first, second, third] {
        world.judge(&release).await;
        world.at_rest(&release).await;
    }
    let lane = world.lane().await;
    assert_eq!((holders(&lane), in_line(&lane)), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_environment_takes_as_many_at_once_as_its_lane_says() {
    let world = World::new().await;
    world.save(&judged("{atOnce: 2}", "")).await;
    let first = deploys(&world, "1.0.0").await;
    let second = deploys(&world, "1.1.0").await;
    let third = world.start("1.2.0").await;
    until_waiting(&world, &third, "Queued").await;
    assert_eq!(holders(&world.lane().await), [first.clone(), second.clone()]);
    world.judge(&second).await;
    world.at_rest(&second).await;
    until_deploying(&world, &third).await;
    let lane = world.lane().await;
    let fences: Vec<u64> =
        lane["holders"].as_array().unwrap().iter().map(|h| h["fence"].as_u64().unwrap()).collect();
    assert_eq!((holders(&lane), fences), (vec![first.clone(), third.clone()], vec![1, 3]));
    for release in [first, third] {
        world.judge(&release).await;
        world.at_rest(&release).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_policy_all_nobody_waits() {
    let world = World::new().await;
    world.save(&judged("{policy: all}", "")).await;
    let mut releases = Vec::new();
    for n in 0..5 {
        releases.push(deploys(&world, &format!("1.{n}.0")).await);
    }
    assert_eq!(holders(&world.lane().await), releases);
    for release in &releases {
        world.judge(release).await;
        world.at_rest(release).await;
    }
    assert_eq!(holders(&world.lane().await), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn with_the_policy_latest_only_a_later_one_takes_the_place_of_those_that_wait() {
    let world = World::new().await;
    world.save(&judged("{policy: latest_only}", "")).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    until_waiting(&world, &second, "Queued").await;
    let third = world.start("1.2.0").await;
    let over = world.at_rest(&second).await;
    let canceled = attempt_of(&over);
    assert_eq!(
        (&canceled["status"], &canceled["operationStatus"]),
        (&json!("NotDeployed"), &json!("Canceled"))
    );
    let reason = canceled["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("superseded by release {third}")), "{reason}");
    assert_eq!(over["outcome"], "canceled");
    until_waiting(&world, &third, "Queued").await;
    assert_eq!(holders(&world.lane().await), std::slice::from_ref(&first), "who is in stays in");
    for release in [first, third] {
        world.judge(&release).await;
        assert_eq!(attempt_of(&world.at_rest(&release).await)["status"], "Succeeded");
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_policy_reject_who_finds_the_environment_taken_is_turned_away() {
    let world = World::new().await;
    world.save(&judged("{policy: reject}", "")).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    let canceled = attempt_of(&world.at_rest(&second).await);
    assert_eq!(canceled["operationStatus"], "Canceled");
    let reason = canceled["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("`prod` is taken: held by attempt 1 of release {first}")), "{reason}");
    world.judge(&first).await;
    world.at_rest(&first).await;
    // It is free again: deploying is for a person to ask.
    world.act_in_prod(&second, "deploy").await;
    world.judge(&second).await;
    assert_eq!(attempt(&world.at_rest(&second).await, "prod", 2)["status"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_keeps_its_environment() {
    let world = World::new().await;
    world.save(&judged("{}", "")).await;
    let first = deploys(&world, "1.0.0").await;
    let second = world.start("1.1.0").await;
    until_waiting(&world, &second, "Queued").await;
    world.act_in_prod(&first, "pause").await;
    world.judge(&first).await;
    let paused = |view: &Value| attempt_of(view)["control"] == "paused";
    world.until(&first, "it is paused", paused).await;
    let world = world.restarted(9).await;
    assert_eq!(holders(&world.lane().await), std::slice::from_ref(&first));
    assert_eq!(place(&world, &second).await, json!(1));
    world.act_in_prod(&first, "resume").await;
    world.at_rest(&first).await;
    world.judge(&second).await;
    world.at_rest(&second).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_before_all_that_wait() {
    let world = World::new().await;
    world.save(WEB).await;
    for tag in ["1.0.0", "1.1.0"] {
        let release = world.start(tag).await;
        world.approve(&release).await;
        world.at_rest(&release).await;
    }
    // One holds the environment while it asks; two wait behind it.
    let holds = world.start("1.2.0").await;
    world.pending_approval(&holds).await;
    let mut waiting = Vec::new();
    for tag in ["1.3.0", "1.4.0"] {
        let release = world.start(tag).await;
        until_waiting(&world, &release, "Queued").await;
        waiting.push(release);
    }
    let listed = world.get("/v1/releases?limit=100").await.body;
    let bad =
        listed["items"].as_array().unwrap().iter().rev().nth(1).unwrap()["id"].as_str().unwrap().to_owned();
    world.act_in_prod(&bad, "rollback").await;
    let queued = |view: &Value| attempt(view, "prod", 2)["line"]["place"] == 1;
    world.until(&bad, "the rollback is first in line", queued).await;
    let lane = world.lane().await;
    assert_eq!(in_line(&lane), [vec![bad.clone()], waiting.clone()].concat());
    assert_eq!((&lane["line"][0]["urgent"], &lane["line"][1]["urgent"]), (&json!(true), &json!(false)));
    world.act_in_prod(&holds, "cancel").await;
    let view = world.at_rest(&bad).await;
    assert_eq!(attempt(&view, "prod", 2)["status"], "Succeeded", "{view:#}");
    assert_eq!(running(&world, "prod").1, "1.0.0");
    for release in &waiting {
        world.approve(release).await;
        world.at_rest(release).await;
    }
    assert_eq!(running(&world, "prod").1, "1.4.0");
}
