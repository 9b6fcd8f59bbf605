//! As much of everything as is allowed, all of it told to somebody: no transaction takes more items than the table does.

use pilothouse_domain::attempt::AttemptRef;
use pilothouse_domain::pipeline::MOST_ENVIRONMENTS;
use pilothouse_operations::advance::fail;
use pilothouse_operations::executions::ExecutionInput;
use serde_json::{Value, json};

use crate::world::{World, attempt, attempts, environment_status};

/// As many stages as run at once.
const AT_ONCE: usize = 40;

/// `shop/web` with these environments; somebody is told of everything.
fn pipeline(environments: &[Value]) -> String {
    json!({
        "application": "shop", "pipeline": "web", "artifacts": [{ "name": "web", "image": "shop/web" }],
        "notifications": [{ "name": "all", "type": "log", "on": ["*"] }],
        "environments": environments,
    })
    .to_string()
}

fn environment(name: &str, after: &[&str]) -> Value {
    let stages = json!([{ "name": "Pause", "type": "wait", "duration": "1s" }]);
    json!({ "name": name, "namespace": "dev", "after": after, "stages": stages })
}

async fn limited(world: &World) {
    for path in ["installation", "clusters/default"] {
        let answer = world.put(&format!("/v1/limits/{path}"), &json!({ "atOnce": 100 })).await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_environments_as_are_allowed_start_with_their_release() {
    let world = World::new().await;
    limited(&world).await;
    let all: Vec<Value> = (0..MOST_ENVIRONMENTS).map(|n| environment(&format!("e{n}"), &[])).collect();
    world.save(&pipeline(&all)).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!((attempts(&view).len(), &view["outcome"]), (MOST_ENVIRONMENTS, &json!("succeeded")));

    let one_more: Vec<Value> = (0..=MOST_ENVIRONMENTS).map(|n| environment(&format!("e{n}"), &[])).collect();
    let refused = world.apply(&pipeline(&one_more)).await;
    assert_eq!(refused.status, 422, "{:#}", refused.body);
}

#[tokio::test(start_paused = true)]
async fn as_many_environments_as_are_allowed_follow_one() {
    let world = World::new().await;
    limited(&world).await;
    let followers = (1..MOST_ENVIRONMENTS).map(|n| environment(&format!("e{n}"), &["first"]));
    let all: Vec<Value> = std::iter::once(environment("first", &[])).chain(followers).collect();
    world.save(&pipeline(&all)).await;
    let release = world.start("1.0.0").await;
    let view = world.at_rest(&release).await;
    assert_eq!((attempts(&view).len(), &view["outcome"]), (MOST_ENVIRONMENTS, &json!("succeeded")));
    assert_eq!(environment_status(&view, "e1"), "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_machinery_broke_ends_with_all_that_ran_in_it() {
    let world = World::new().await;
    let stages: Vec<Value> =
        (0..AT_ONCE).map(|n| json!({ "name": format!("Ask {n}"), "type": "manual-judgment" })).collect();
    let dev = json!({ "name": "dev", "namespace": "dev", "stages": stages });
    world.save(&pipeline(&[dev])).await;
    let release = world.start("1.0.0").await;
    let asks = |view: &Value| attempt(view, "dev", 1)["approvals"].as_array().map_or(0, Vec::len) == AT_ONCE;
    world.until(&release, "every judgment", asks).await;

    let context = world.system.context();
    let at = AttemptRef { release: release.parse().unwrap(), environment: "dev".to_owned(), number: 1 };
    let input = ExecutionInput::of(&context.store.attempt(&at).await.unwrap().unwrap().record);
    fail(context, &input, "Gone", "the machinery broke").await.unwrap();
    let ended = attempt(&world.release(&release).await, "dev", 1);
    assert_eq!(ended["status"], "Failed", "{ended:#}");
    for (of, key, expected) in [("stages", "status", json!("failed")), ("approvals", "pending", json!(false))]
    {
        let all = ended[of].as_array().unwrap();
        assert!(all.len() == AT_ONCE && all.iter().all(|one| one[key] == expected), "{ended:#}");
    }
    let told = world.events(&release).await;
    assert_eq!(told.iter().filter(|event| event["type"] == "StageEnded").count(), AT_ONCE);
    assert_eq!(world.proof(&release).await.findings, Vec::<String>::new());
}
