//! The engine alone: a loop that counts, without tasks.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use pilothouse_asl::{Engine, FunctionError, StatusName, Tasks, TokioClock};
use serde_json::{Value, json};

use crate::report::row;

/// Nobody is called.
struct NoTasks;

impl Tasks for NoTasks {
    fn invoke<'a>(&'a self, function: &'a str, _: Value) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async move { Err(FunctionError::service("ResourceNotFoundException", function)) })
    }
}

const EXECUTIONS: u32 = 50;
/// Two transitions each; an execution's history ends at 25,000 events.
const ROUNDS: u32 = 2000;

pub(crate) async fn measure() {
    let engine = Engine::builder(Arc::new(NoTasks), Arc::new(TokioClock::starting_at(0))).build();
    let machine = engine.create_state_machine("count", &definition()).unwrap();
    let began = Instant::now();
    let mut transitions = 0;
    for _ in 0..EXECUTIONS {
        let started = engine.start_execution(&machine, None, r#"{"n": 0}"#).unwrap();
        let ended = engine.wait(&started.arn).await.unwrap();
        assert_eq!(ended.status.name(), StatusName::Succeeded);
        transitions += ended.transitions;
    }
    let rate = transitions as f64 / began.elapsed().as_secs_f64();
    row(
        "engine alone, Pass and Choice in a loop: transitions a second",
        &format!("{rate:.0}"),
        "20 x ministack",
    );
}

fn definition() -> String {
    json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Count",
        "States": {
            "Count": { "Type": "Pass", "Output": "{% {'n': $states.input.n + 1} %}", "Next": "Again" },
            "Again": {
                "Type": "Choice",
                "Choices": [{ "Condition": format!("{{% $states.input.n < {ROUNDS} %}}"), "Next": "Count" }],
                "Default": "Done",
            },
            "Done": { "Type": "Succeed" },
        },
    })
    .to_string()
}
