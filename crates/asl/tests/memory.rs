//! What ten thousand executions cost that wait for their tokens; a process of its own, so that the number means
//! something.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use pilothouse_asl::{Engine, FunctionError, Tasks, TokioClock};
use serde_json::{Value, json};

/// Accepts every request for an approval.
struct Accepts;

impl Tasks for Accepts {
    fn invoke<'a>(&'a self, _: &'a str, _: Value) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async { Ok(json!({"accepted": true})) })
    }
}

/// Resident memory of this process in bytes; `None` where the system does not tell.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_waiting_executions_fit_in_100_mib() {
    let engine = Engine::builder(Arc::new(Accepts), Arc::new(TokioClock::starting_at(0))).build();
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Begin", "States": {
        "Begin": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "begin", "Payload": {"id": "{% $states.input.deploymentId %}"}},
            "Assign": {"begun": "{% $states.result.Payload %}"},
            "Output": "{% $states.input %}", "Next": "Approval"},
        "Approval": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "TimeoutSeconds": 604_800,
            "Arguments": {"FunctionName": "ask", "Payload": {"token": "{% $states.context.Task.Token %}",
                "id": "{% $states.input.deploymentId %}"}},
            "Retry": [{"ErrorEquals": ["States.ALL"]}], "End": true},
    }});
    let machine = engine.create_state_machine("deployment", &definition.to_string()).unwrap();
    let before = resident();
    for index in 0..10_000 {
        let id = format!("dep_01J00000000000000000{index:06}");
        let input =
            json!({"deploymentId": id, "releaseId": "rel_01J00000000000000000000000", "environment": "prod"});
        engine.start_execution(&machine, Some(&id), &input.to_string()).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(engine.running(), 10_000);
    let (Some(before), Some(after)) = (before, resident()) else { return };
    let mib = (after - before) / (1 << 20);
    println!("10,000 waiting executions: {mib} MiB");
    assert!(mib < 100, "{mib} MiB");
}
