//! An engine on virtual time, and functions that are closures.

use std::future::Future;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use pilothouse_asl::{Clock, Engine, Execution, FunctionError, Tasks, TokioClock, function_name};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z
pub(crate) const START_MS: i64 = 1_767_225_600_000;

type Answer = Result<Value, FunctionError>;
type Handler = dyn Fn(String, Value) -> BoxFuture<'static, Answer> + Send + Sync;

/// Every function is the same closure, which gets the function's bare name.
pub(crate) struct Functions(Box<Handler>);

impl Functions {
    pub(crate) fn new<F, A>(handler: F) -> Arc<Self>
    where
        F: Fn(String, Value) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Arc::new(Self(Box::new(move |name, payload| Box::pin(handler(name, payload)))))
    }

    /// Answers the payload.
    pub(crate) fn echo() -> Arc<Self> {
        Self::new(|_, payload| async move { Ok(payload) })
    }
}

impl Tasks for Functions {
    fn invoke<'a>(&'a self, function: &'a str, payload: Value) -> BoxFuture<'a, Answer> {
        (self.0)(function_name(function).to_owned(), payload)
    }
}

/// An engine whose clock began at [`START_MS`].
pub(crate) fn engine(tasks: Arc<Functions>) -> Engine {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(START_MS));
    Engine::builder(tasks, clock).seed(42).build()
}

/// A JSONata machine with these states.
pub(crate) fn machine(start: &str, states: &Value) -> String {
    json!({"QueryLanguage": "JSONata", "StartAt": start, "States": states}).to_string()
}

/// Starts an execution of a new machine.
pub(crate) fn start(engine: &Engine, name: &str, definition: &str, input: &Value) -> String {
    let arn = engine.create_state_machine(name, definition).expect("the definition is valid");
    engine.start_execution(&arn, Some("run"), &input.to_string()).expect("it starts").arn.to_string()
}

/// Runs a machine with these states to its end.
pub(crate) async fn run(
    tasks: Arc<Functions>,
    first: &str,
    states: &Value,
    input: &Value,
) -> (Engine, Execution) {
    let engine = engine(tasks);
    let arn = start(&engine, "machine", &machine(first, states), input);
    let execution = engine.wait(&arn).await.expect("it exists");
    (engine, execution)
}

/// The output of a machine with these states.
pub(crate) async fn output(tasks: Arc<Functions>, first: &str, states: &Value, input: &Value) -> Value {
    let (_, execution) = run(tasks, first, states, input).await;
    execution.output().unwrap_or_else(|| panic!("it did not succeed: {execution:?}"))
}

/// The types of an execution's events, in order.
pub(crate) fn events(engine: &Engine, execution: &Execution) -> Vec<&'static str> {
    let events = engine.get_execution_history(&execution.arn).expect("it exists");
    events.iter().map(pilothouse_asl::HistoryEvent::event_type).collect()
}

/// Something that happens in a function, noted for the test.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Value>>>);

impl Notes {
    pub(crate) fn add(&self, note: Value) {
        self.0.lock().unwrap().push(note);
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }
}

/// Lets everything that is ready run; no virtual time passes beyond a millisecond.
pub(crate) async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}
