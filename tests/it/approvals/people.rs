//! Who is asked, in which order, and what they are shown and say.

use serde_json::{Value, json};

use super::{PAUSE, code, pipeline};
use crate::world::{World, attempt, digest_of, environment_status};

#[tokio::test(start_paused = true)]
async fn in_sequence_the_next_is_asked_after_the_one_before_said_yes() {
    let world = World::new().await;
    let approvers = "{before: {approvers: [{user: ann}, {role: operator}], order: in_sequence}}";
    world.save(&pipeline(approvers, PAUSE)).await;
    let (ann, bob) = (world.person("ann", "approver").await, world.person("bob", "operator").await);
    let release = world.start("1.0.0").await;
    let early = world.about(&bob, &release, "approve", json!({})).await;
    assert_eq!(code(&early), (409, "not_your_turn"), "{:#}", early.body);
    assert_eq!(early.body["error"]["current"]["approval"], "pending (0 of 2 given)");
    assert_eq!(world.approval(&release).await["asked"], json!(["user ann"]));
    for (token, waiting) in [(&ann, 1), (&bob, 0)] {
        let inbox = world.call_as(token, http::Method::GET, "/v1/approvals", &Value::Null).await;
        assert_eq!(inbox.body["items"].as_array().unwrap().len(), waiting, "only who is asked now sees it");
    }

    let first = world.about(&ann, &release, "approve", json!({ "comment": "fine by me" })).await;
    assert_eq!(first.body["asked"], json!(["role operator"]), "{:#}", first.body);
    assert_eq!(code(&world.about(&ann, &release, "approve", json!({})).await), (409, "approval_ended"));
    let second = world.about(&bob, &release, "approve", json!({})).await;
    assert_eq!(second.body["standing"], "approved by bob");
    let view = world.at_rest(&release).await;
    assert_eq!(environment_status(&view, "prod"), "Succeeded");
    let decided = world.told(&release, "ApprovalDecided").await;
    let standings: Vec<&Value> = decided.iter().map(|e| &e["standing"]).collect();
    assert_eq!(standings, ["pending (1 of 2 given)", "approved by bob"]);
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_of_different_people_and_its_answer_steers_the_stages() {
    let world = World::new().await;
    let approvals = "{before: {approvers: [{role: approver}], required: 2, inputs: [eu, all], \
        instructions: 'Look at ${ artifacts.web.tag }.'}}";
    let stages = "[{name: Eu, type: wait, duration: 1s}, \
        {name: Rest, type: wait, duration: 1s, if: '${ approvals.before.input == \"all\" }'}]";
    world.save(&pipeline(approvals, stages)).await;
    let (ann, bob) = (world.person("ann", "approver").await, world.person("bob", "approver").await);
    let release = world.start("1.0.0").await;
    let none = world.about(&ann, &release, "approve", json!({})).await;
    assert_eq!(none.body["error"]["problems"][0]["path"], "input", "{:#}", none.body);
    let one = world.about(&ann, &release, "approve", json!({ "input": "eu" })).await;
    assert_eq!(one.body["standing"], "pending (1 of 2 given)");
    assert_eq!(one.body["instructions"], "Look at 1.0.0.");
    let again = world.about(&ann, &release, "approve", json!({ "input": "eu" })).await;
    assert_eq!(code(&again), (409, "approval_ended"));
    let other = world.about(&bob, &release, "approve", json!({ "input": "all" })).await;
    assert_eq!(code(&other), (409, "answer_differs"));
    let two = world.about(&bob, &release, "approve", json!({ "input": "eu" })).await;
    assert_eq!((&two.body["approved"], &two.body["input"]), (&json!(true), &json!("eu")));
    let view = world.at_rest(&release).await;
    let stages = attempt(&view, "prod", 1)["stages"].clone();
    assert_eq!((&stages[0]["status"], &stages[1]["status"]), (&json!("succeeded"), &json!("skipped")));
    assert_eq!(world.told(&release, "ApprovalDecided").await[1]["input"], "eu");
}

#[tokio::test(start_paused = true)]
async fn who_started_it_by_hand_does_not_approve_it_where_that_is_forbidden() {
    let world = World::new().await;
    let strict = "{before: {approvers: [{role: operator}], selfApproval: false}}";
    world.save(&pipeline(strict, PAUSE)).await;
    let (sam, bob) = (world.person("sam", "operator").await, world.person("bob", "operator").await);
    let ask = json!({ "application": "shop", "pipeline": "web",
        "artifacts": { "web": { "tag": "1.0.0", "digest": digest_of("1.0.0") } } });
    let started = world.call_as(&sam, http::Method::POST, "/v1/releases", &ask).await;
    let release = started.body["id"].as_str().unwrap().to_owned();
    for verb in ["approve", "reject"] {
        assert_eq!(code(&world.about(&sam, &release, verb, json!({})).await), (403, "own_release"));
    }
    assert_eq!(world.approval(&release).await["excluded"], json!(["sam"]));
    assert!(world.about(&bob, &release, "reject", json!({})).await.status.is_success());
    world.at_rest(&release).await;

    // The one who started the attempt by hand may not either: Bob tries it again.
    let again = format!("/v1/releases/{release}/environments/prod/deploy");
    let retried = world.call_as(&bob, http::Method::POST, &again, &json!({})).await;
    assert!(retried.status.is_success(), "{:#}", retried.body);
    for token in [&sam, &bob] {
        assert_eq!(code(&world.about(token, &release, "approve", json!({})).await), (403, "own_release"));
    }
    assert!(world.approve(&release).await.status.is_success(), "an admin who did not start it may");
}

const STRICT: &str = "{before: {approvers: [{role: operator}], selfApproval: false}}";

/// A request of a person that is accepted; gives the id in its answer, if one is there.
async fn asked(world: &World, token: &str, path: &str, ask: Value) -> String {
    let answer = world.call_as(token, http::Method::POST, path, &ask).await;
    assert!(answer.status.is_success(), "{:#}", answer.body);
    answer.body["id"].as_str().unwrap_or_default().to_owned()
}

/// None of these people may decide the pending approval, and an admin who had no part in it may.
async fn only_others_approve(world: &World, release: &str, people: &[&String]) {
    for (n, token) in people.iter().enumerate() {
        let answer = world.about(token, release, "approve", json!({})).await;
        assert_eq!(code(&answer), (403, "own_release"), "person {n}: {:#}", answer.body);
    }
    assert!(world.approve(release).await.status.is_success());
    world.at_rest(release).await;
}

#[tokio::test(start_paused = true)]
async fn who_runs_a_release_again_does_not_approve_it_where_that_is_forbidden() {
    let world = World::new().await;
    world.save(&pipeline(STRICT, PAUSE)).await;
    let sam = world.person("sam", "operator").await;
    let first = world.start("1.0.0").await;
    assert!(world.about(&sam, &first, "approve", json!({})).await.status.is_success(), "an admin started it");
    world.at_rest(&first).await;
    let again = asked(&world, &sam, &format!("/v1/releases/{first}/rerun"), json!({})).await;
    only_others_approve(&world, &again, &[&sam]).await;
}

#[tokio::test(start_paused = true)]
async fn who_makes_or_starts_a_draft_does_not_approve_it_where_that_is_forbidden() {
    let world = World::new().await;
    world.save(&pipeline(STRICT, PAUSE)).await;
    let (sam, bob) = (world.person("sam", "operator").await, world.person("bob", "operator").await);
    let ask = json!({ "application": "shop", "pipeline": "web", "draft": true,
        "artifacts": { "web": { "tag": "1.0.0", "digest": digest_of("1.0.0") } } });
    let draft = asked(&world, &sam, "/v1/releases", ask).await;
    asked(&world, &bob, &format!("/v1/releases/{draft}/start"), json!({})).await;
    world.pending_approval(&draft).await;
    assert_eq!(world.approval(&draft).await["excluded"], json!(["sam", "bob"]));
    only_others_approve(&world, &draft, &[&sam, &bob]).await;
}

#[tokio::test(start_paused = true)]
async fn who_starts_what_starts_a_release_does_not_approve_that_one_where_that_is_forbidden() {
    let world = World::new().await;
    world.save(&pipeline(STRICT, PAUSE).replace("pipeline: web", "pipeline: db")).await;
    let below = "[{name: db, type: pipeline, pipeline: db}]";
    world.save(&pipeline("{}", below).replace("prod", "dev")).await;
    let (sam, bob) = (world.person("sam", "operator").await, world.person("bob", "operator").await);
    let ask = json!({ "application": "shop", "pipeline": "web",
        "artifacts": { "web": { "tag": "1.0.0", "digest": digest_of("1.0.0") } } });
    let release = asked(&world, &sam, "/v1/releases", ask).await;
    let child = |view: &Value, number| attempt(view, "dev", number)["stages"][0]["child"].clone();
    let view = world.until(&release, "the child", |view| child(view, 1).is_string()).await;
    only_others_approve(&world, child(&view, 1).as_str().unwrap(), &[&sam]).await;
    world.at_rest(&release).await;

    // Whoever tries the deployment above again starts the one below again.
    asked(&world, &bob, &format!("/v1/releases/{release}/environments/dev/deploy"), json!({})).await;
    let view = world.until(&release, "the other child", |view| child(view, 2).is_string()).await;
    only_others_approve(&world, child(&view, 2).as_str().unwrap(), &[&sam, &bob]).await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_bound_to_what_was_shown_and_its_record_says_who_how_and_what_they_saw() {
    let world = World::new().await;
    world.save(&pipeline("{before: {approvers: [{role: approver}]}}", PAUSE)).await;
    let ann = world.person("ann", "approver").await;
    let release = world.start("1.0.0").await;
    world.pending_approval(&release).await;
    let shown = world.approval(&release).await;
    assert_eq!(shown["shown"]["artifacts"][0]["digest"], digest_of("1.0.0"));
    assert_eq!(shown["shown"]["stages"], json!([{ "name": "Pause", "type": "wait" }]));
    let stale = world.about(&ann, &release, "approve", json!({ "saw": "00".repeat(32) })).await;
    assert_eq!(code(&stale), (409, "plan_changed"), "{:#}", stale.body);
    let hash = shown["shownHash"].clone();
    assert!(world.about(&ann, &release, "approve", json!({ "saw": hash })).await.status.is_success());
    world.at_rest(&release).await;
    let decision = world.approval(&release).await["decisions"][0].clone();
    assert_eq!((&decision["by"], &decision["saw"]), (&json!("ann"), &hash));
    assert_eq!(decision["via"], json!({ "channel": "api" }), "in process there is no address");
    let told = world.told(&release, "ApprovalDecided").await;
    assert_eq!((&told[0]["saw"], &told[0]["via"]["channel"]), (&hash, &json!("api")));
}

#[tokio::test(start_paused = true)]
async fn a_reassignment_asks_others_keeps_what_was_decided_and_is_told() {
    let world = World::new().await;
    let approvals = "{before: {approvers: [{user: ann}, {user: bob}], required: 2}}";
    world.save(&pipeline(approvals, PAUSE)).await;
    let (ann, bob) = (world.person("ann", "approver").await, world.person("bob", "approver").await);
    let cat = world.person("cat", "operator").await;
    let release = world.start("1.0.0").await;
    assert!(world.about(&ann, &release, "approve", json!({})).await.status.is_success());
    let to_cat = json!({ "approvers": [{ "user": "cat" }] });
    assert_eq!(
        code(&world.about(&cat, &release, "reassign", to_cat.clone()).await),
        (403, "not_an_approver")
    );
    let useless = json!({ "approvers": [{ "user": "ann" }] });
    let useless = world.about(&bob, &release, "reassign", useless).await;
    assert_eq!(useless.body["error"]["problems"][0]["path"], "approvers", "{:#}", useless.body);
    let nonsense =
        world.about(&bob, &release, "reassign", json!({ "approvers": [{ "role": "viewer" }] })).await;
    assert_eq!(nonsense.body["error"]["problems"][0]["path"], "approvers[0].role");
    let stranger = world.about(
        &bob,
        &release,
        "reassign",
        json!({ "approvers": [{ "user": "cta" }, { "user": "bob" }] }),
    );
    let stranger = stranger.await.body["error"]["problems"].clone();
    assert_eq!((&stranger[0]["path"], &stranger[1]), (&json!("approvers[0]"), &Value::Null), "{stranger:#}");
    let moved = world.about(&bob, &release, "reassign", to_cat).await;
    assert_eq!((&moved.body["given"], &moved.body["asked"]), (&json!(1), &json!(["user cat"])));
    assert_eq!(code(&world.about(&bob, &release, "approve", json!({})).await), (403, "not_an_approver"));
    let done = world.about(&cat, &release, "approve", json!({})).await;
    assert_eq!(done.body["standing"], "approved by cat");
    assert_eq!(environment_status(&world.at_rest(&release).await, "prod"), "Succeeded");
    let told = world.told(&release, "ApprovalReassigned").await;
    assert_eq!((&told[0]["actor"], &told[0]["to"]), (&json!("bob"), &json!("user cat")));
}

#[tokio::test(start_paused = true)]
async fn a_judgment_inside_a_stage_has_a_quorum_too_and_its_answer_is_told() {
    let world = World::new().await;
    let stages = "[{name: Look, type: manual-judgment, required: 2, inputs: [go, stop]}, \
        {name: Go, type: wait, duration: 1s, dependsOn: [Look], if: '${ stages.Look.output.input == \"go\" }'}]";
    world.save(&pipeline("{}", stages)).await;
    let (ann, bob) = (world.person("ann", "approver").await, world.person("bob", "approver").await);
    let release = world.start("1.0.0").await;
    let later = json!({ "input": "go", "deferUntil": "2026-12-01T00:00:00Z" });
    let later = world.about(&ann, &release, "approve", later).await;
    assert_eq!(later.body["error"]["problems"][0]["path"], "deferUntil", "A18 is of deployments only");
    for token in [&ann, &bob] {
        let ask = json!({ "input": "go", "comment": "seen" });
        assert!(world.about(token, &release, "approve", ask).await.status.is_success());
    }
    let view = world.at_rest(&release).await;
    let stages = attempt(&view, "prod", 1)["stages"].clone();
    assert_eq!(stages[0]["output"], json!({ "by": "bob", "input": "go", "comment": "seen" }));
    assert_eq!(stages[1]["status"], "succeeded");
    let told = world.told(&release, "ApprovalDecided").await;
    assert_eq!((&told[1]["stage"], &told[1]["input"]), (&json!("Look"), &json!("go")));
    let approval = world.approval(&release).await;
    assert!(approval["endedAt"].is_string() && approval["asks"] == "stage", "H16: {approval:#}");
}
