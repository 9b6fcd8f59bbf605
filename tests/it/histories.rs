//! Step Functions ends an execution at its 25,000th event: what lasts longer has to go on elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use pilothouse_asl::{Engine, FunctionError, Tasks, TokioClock, WeakEngine};
use pilothouse_domain::pipeline::MOST_SAMPLES;
use pilothouse_local::{DEPLOYMENT, LOOKS_PER_EXECUTION, STAGE, definitions};
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

/// A deployment whose gates on both sides take all the samples that they may, around as many stages as there may be.
struct Sampled {
    asked: AtomicU32,
    stages: u32,
    engine: OnceLock<WeakEngine>,
}

impl Sampled {
    /// What the records would say, the `n`th time.
    fn next(&self, n: u32) -> Value {
        let samples = u32::try_from(MOST_SAMPLES).unwrap();
        if n == samples {
            let stages: Vec<String> = (0..self.stages).map(|n| format!("S{n}")).collect();
            return json!({ "next": "stages", "stages": stages, "timeoutSeconds": 86_400 });
        }
        if n > 2 * samples {
            json!({ "next": "complete" })
        } else {
            json!({ "next": "gates", "timeoutSeconds": 60 })
        }
    }

    fn answer(&self, payload: &Value) -> Value {
        match payload["step"].as_str() {
            Some("advance" | "settle") => self.next(self.asked.fetch_add(1, Ordering::Relaxed)),
            Some("begin") => json!({ "next": "ended" }),
            Some("await-upstream") => {
                let engine = self.engine.get().and_then(WeakEngine::upgrade).unwrap();
                let answer = json!({ "run": true, "execution": payload["stage"] });
                engine.send_task_success(payload["token"].as_str().unwrap(), &answer.to_string()).unwrap();
                Value::Null
            }
            // A gate waits on a token that nobody answers, until its next sample is due.
            _ => Value::Null,
        }
    }
}

impl Tasks for Sampled {
    fn invoke<'a>(&'a self, _: &'a str, payload: Value) -> BoxFuture<'a, Result<Value, FunctionError>> {
        let answer = self.answer(&payload);
        Box::pin(async move { Ok(answer) })
    }
}

/// The samples of both gates and the stages are in one history.
#[tokio::test(start_paused = true)]
async fn gates_that_are_sampled_as_often_as_they_may_outgrow_no_history() {
    let tasks = Arc::new(Sampled { asked: AtomicU32::new(0), stages: 200, engine: OnceLock::new() });
    let engine = Engine::builder(Arc::clone(&tasks) as _, Arc::new(TokioClock::starting_at(0))).build();
    assert!(tasks.engine.set(engine.downgrade()).is_ok());
    let machines = definitions("us-east-1", "123456789012", LOOKS_PER_EXECUTION)
        .map(|definition| engine.create_state_machine(definition.name, &definition.text).unwrap());
    let [_, deployment] = machines;
    assert!(deployment.ends_with(DEPLOYMENT), "{deployment}");
    let input = json!({ "release": "rel_1", "environment": "dev", "number": 1, "restarts": 0 });
    let started = engine.start_execution(&deployment, Some("dep_1-0"), &input.to_string()).unwrap();
    let ended = engine.wait(&started.arn).await.unwrap();
    assert_eq!(ended.status.name().as_str(), "SUCCEEDED", "{ended:?}");
    assert!(tasks.asked.load(Ordering::Relaxed) > 2 * u32::try_from(MOST_SAMPLES).unwrap());
    let events = engine.get_execution_history(&started.arn).unwrap().len();
    // What people do meanwhile (pause, resume, freeze) and what is tried again takes some too.
    assert!((10_000..22_500).contains(&events), "{events} events of 25,000");
}
