//! Map and Parallel, and the scopes of variables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pilothouse_asl::FunctionError;
use serde_json::{Value, json};

use crate::harness::{Functions, Notes, events, output, run};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

/// Takes `payload.ms` and answers `payload.n`; notes the most that ran at once.
fn measured() -> (Arc<Functions>, Arc<AtomicUsize>) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let functions = Functions::new(move |_, payload: Value| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(payload["ms"].as_u64().unwrap())).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(payload["n"].clone())
        }
    });
    (functions, most)
}

fn map(more: &Value) -> Value {
    let mut map = json!({"Type": "Map", "Items": "{% $states.input.items %}", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "T",
        "States": {"T": {"Type": "Task", "Resource": FUNCTION, "End": true}}}});
    for (name, value) in more.as_object().unwrap() {
        map[name] = value.clone();
    }
    json!({"M": map})
}

fn items(count: u64) -> Value {
    json!({"items": (0..count).map(|n| json!({"n": n, "ms": (count - n) * 10})).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn map_keeps_the_order_of_items_whatever_ends_first() {
    let (functions, most) = measured();
    let result = output(functions, "M", &map(&json!({})), &items(10)).await;
    assert_eq!(result, json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    assert_eq!(most.load(Ordering::SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn map_runs_no_more_than_allowed_and_never_more_than_forty() {
    for (concurrency, expected) in [(json!(3), 3), (json!("{% 1 + 1 %}"), 2), (json!(0), 40), (json!(1), 1)] {
        let (functions, most) = measured();
        let states = map(&json!({"MaxConcurrency": concurrency}));
        let result = output(functions, "M", &states, &items(50)).await;
        assert_eq!(result.as_array().unwrap().len(), 50);
        assert_eq!(most.load(Ordering::SeqCst), expected, "{concurrency}");
    }
}

#[tokio::test(start_paused = true)]
async fn item_selector_and_states_see_the_item() {
    let states = json!({"M": {"Type": "Map", "Items": [10, 20], "End": true,
        "ItemSelector": {"i": "{% $states.context.Map.Item.Index %}", "v": "{% $states.context.Map.Item.Value %}",
                         "k": "{% $states.input.k %}"},
        "Output": "{% $states.result %}",
        "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true, "Output": {
            "in": "{% $states.input %}", "index": "{% $states.context.Map.Item.Index %}",
            "value": "{% $states.context.Map.Item.Value %}"}}}}}});
    assert_eq!(
        output(Functions::echo(), "M", &states, &json!({"k": "x"})).await,
        json!([
            {"in": {"i": 0, "v": 10, "k": "x"}, "index": 0, "value": 10},
            {"in": {"i": 1, "v": 20, "k": "x"}, "index": 1, "value": 20},
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_over_nothing_gives_nothing() {
    let (engine, execution) = run(Functions::echo(), "M", &map(&json!({})), &json!({"items": []})).await;
    assert_eq!(execution.output(), Some(json!([])));
    assert_eq!(
        events(&engine, &execution),
        [
            "ExecutionStarted",
            "MapStateEntered",
            "MapStateStarted",
            "MapStateSucceeded",
            "MapStateExited",
            "ExecutionSucceeded"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_over_something_else_fails() {
    let (_, execution) = run(Functions::echo(), "M", &map(&json!({})), &json!({"items": 5})).await;
    assert_eq!(execution.error(), Some("States.QueryEvaluationError"));
}

#[tokio::test(start_paused = true)]
async fn one_failed_iteration_fails_the_map_and_aborts_the_others() {
    let notes = Notes::default();
    let seen = notes.clone();
    let functions = Functions::new(move |_, payload: Value| {
        let seen = seen.clone();
        async move {
            if payload == json!(1) {
                return Err(FunctionError::new("Bad", "item"));
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            seen.add(payload.clone());
            Ok(payload)
        }
    });
    let mut states = map(&json!({"Catch": [{"ErrorEquals": ["Bad"], "Next": "S"}]}));
    states["S"] = json!({"Type": "Succeed", "Output": "{% $states.input.Error %}"});
    let (engine, execution) = run(functions, "M", &states, &json!({"items": [0, 1, 2]})).await;
    assert_eq!(execution.output(), Some(json!("Bad")));
    assert!(notes.all().is_empty());
    let events = events(&engine, &execution);
    for expected in ["MapIterationFailed", "MapIterationAborted", "TaskStateAborted", "MapStateFailed"] {
        assert!(events.contains(&expected), "{expected} in {events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_map_is_retried_as_a_whole() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let functions = Functions::new(move |_, payload| {
        let first = seen.fetch_add(1, Ordering::SeqCst) < 2;
        async move { if first { Err(FunctionError::new("Bad", "start")) } else { Ok(payload) } }
    });
    let states = map(&json!({"MaxConcurrency": 1, "Retry": [{"ErrorEquals": ["States.ALL"]}]}));
    assert_eq!(output(functions, "M", &states, &json!({"items": [1, 2]})).await, json!([1, 2]));
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn parallel_gives_the_outputs_of_its_branches_in_order() {
    let states = json!({"P": {"Type": "Parallel", "Arguments": {"n": "{% $states.input.n * 2 %}"}, "End": true,
    "Assign": {"all": "{% $states.result %}"}, "Output": {"sum": "{% $sum($states.result) %}"}, "Branches": [
        {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 5, "Output": "{% $states.input.n %}", "End": true}}},
        {"StartAt": "B", "States": {"B": {"Type": "Pass", "Output": "{% $states.input.n + 1 %}", "End": true}}},
    ]}});
    let (engine, execution) = run(Functions::echo(), "P", &states, &json!({"n": 5})).await;
    assert_eq!(execution.output(), Some(json!({"sum": 21})));
    assert_eq!(execution.transitions, 3);
    assert_eq!(
        events(&engine, &execution),
        [
            "ExecutionStarted",
            "ParallelStateEntered",
            "ParallelStateStarted",
            "WaitStateEntered",
            "PassStateEntered",
            "PassStateExited",
            "WaitStateExited",
            "ParallelStateSucceeded",
            "ParallelStateExited",
            "ExecutionSucceeded"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_branch_fails_the_parallel_state() {
    let states = json!({
        "P": {"Type": "Parallel", "Next": "End", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "End"}], "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 500, "End": true}}},
            {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 1, "Next": "F"},
                                        "F": {"Type": "Fail", "Error": "Inner", "Cause": "why"}}},
        ]},
        "End": {"Type": "Succeed"},
    });
    let (_, execution) = run(Functions::echo(), "P", &states, &json!({})).await;
    assert_eq!(execution.output(), Some(json!({"Error": "Inner", "Cause": "why"})));
    assert_eq!(execution.status.stop_ms().unwrap() - execution.start_ms, 1_000);
}

#[tokio::test(start_paused = true)]
async fn inner_scopes_read_outer_variables_and_keep_their_own() {
    let inner = |name: &str, value: &str| {
        json!({"StartAt": name, "States": {
            name: {"Type": "Pass", "Assign": {"mine": value}, "Next": format!("{name}2")},
            (format!("{name}2")): {"Type": "Pass", "Output": ["{% $outer %}", "{% $mine %}"], "End": true}}})
    };
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"outer": "o"}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [inner("B", "b"), inner("C", "c")], "Next": "Z"},
        "Z": {"Type": "Pass", "Output": ["{% $states.input %}", "{% $exists($mine) %}"], "End": true},
    });
    assert_eq!(
        output(Functions::echo(), "A", &states, &json!({})).await,
        json!([[["o", "b"], ["o", "c"]], false])
    );
}

#[tokio::test(start_paused = true)]
async fn maps_nest() {
    let states = json!({"M": {"Type": "Map", "Items": [[1, 2], [3]], "End": true, "ItemProcessor": {
        "StartAt": "N", "States": {"N": {"Type": "Map", "End": true, "ItemProcessor": {
            "StartAt": "P", "States": {"P": {"Type": "Pass", "Output": "{% $states.input * 10 %}", "End": true}}}}}}}});
    assert_eq!(output(Functions::echo(), "M", &states, &json!({})).await, json!([[10, 20], [30]]));
}
