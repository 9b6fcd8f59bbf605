//! Step Functions ends an execution at its 25,000th event: what lasts longer has to go on elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use pilothouse_asl::{Engine, FunctionError, Tasks, TokioClock};
use pilothouse_local::{LOOKS_PER_EXECUTION, STAGE, definitions};
use serde_json::{Value, json};

/// A stage that comes to its end at the `until`th look.
struct Watched {
    looks: AtomicU32,
    until: u32,
}

impl Tasks for Watched {
    fn invoke<'a>(&'a self, _: &'a str, payload: Value) -> BoxFuture<'a, Result<Value, FunctionError>> {
        assert_eq!((&payload["release"], &payload["stage"]), (&json!("rel_1"), &json!("Deploy")));
        let looks = match payload["step"].as_str() {
            Some("observe") => self.looks.fetch_add(1, Ordering::Relaxed) + 1,
            _ => self.looks.load(Ordering::Relaxed),
        };
        let next = if looks < self.until { "observe" } else { "ended" };
        Box::pin(async move { Ok(json!({"next": next})) })
    }
}

/// Step Functions ends an execution at its 25,000th event, which a stage reaches after some nineteen hours.
#[tokio::test(start_paused = true)]
async fn a_stage_that_is_watched_for_days_outgrows_no_history() {
    let until = 3 * LOOKS_PER_EXECUTION + 10;
    let tasks = Arc::new(Watched { looks: AtomicU32::new(0), until });
    let engine = Engine::builder(Arc::clone(&tasks) as _, Arc::new(TokioClock::starting_at(0))).build();
    let [stage, _] = definitions("us-east-1", "000000000000", LOOKS_PER_EXECUTION);
    let machine = engine.create_state_machine(STAGE, &stage.text).unwrap();
    let input =
        json!({"release": "rel_1", "environment": "dev", "number": 1, "restarts": 0, "stage": "Deploy"});
    let first = engine.start_execution(&machine, Some("dep_1-0-3"), &input.to_string()).unwrap();
    let ended = engine.wait(&first.arn).await.unwrap();
    assert_eq!(ended.status.name().as_str(), "SUCCEEDED", "{ended:?}");
    assert_eq!(tasks.looks.load(Ordering::Relaxed), until);
    let all = engine.list_executions(&machine, None).unwrap();
    let mut names: Vec<String> = all.iter().map(|e| e.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["dep_1-0-3", "dep_1-0-3.1", "dep_1-0-3.2", "dep_1-0-3.3"]);
    for execution in &all {
        let events = engine.get_execution_history(&execution.arn).unwrap().len();
        assert!(events < 20_000, "{}: {events} events", execution.name);
    }
}
