//! `StartExecution` and its kin.

use serde_json::{Value, json};

use super::request::Request;
use super::{Answer, Refused, date};
use crate::{Engine, Execution, StatusName};

pub(super) fn start(engine: &Engine, request: &Request) -> Answer {
    let arn = request.required("stateMachineArn")?;
    let input = request.text("input")?.unwrap_or("{}");
    let started = engine.start_execution(arn, request.text("name")?, input)?;
    Ok(json!({"executionArn": &*started.arn, "startDate": date(started.start_ms)}))
}

pub(super) fn stop(engine: &Engine, request: &Request) -> Answer {
    let arn = request.required("executionArn")?;
    let stopped_ms = engine.stop_execution(arn, request.text("error")?, request.text("cause")?)?;
    Ok(json!({"stopDate": date(stopped_ms)}))
}

pub(super) fn describe(engine: &Engine, request: &Request) -> Answer {
    let execution = engine.describe_execution(request.required("executionArn")?)?;
    let mut document = summary(&execution);
    document["input"] = (*execution.input).into();
    document["inputDetails"] = json!({"included": true});
    if let Some(output) = execution.status.output() {
        document["output"] = (**output).into();
        document["outputDetails"] = json!({"included": true});
    }
    if let Some(error) = execution.error() {
        document["error"] = error.into();
    }
    if let Some(cause) = execution.cause() {
        document["cause"] = cause.into();
    }
    document["redriveCount"] = 0.into();
    document["redriveStatus"] = "NOT_REDRIVABLE".into();
    Ok(document)
}

pub(super) fn list(engine: &Engine, request: &Request) -> Answer {
    let arn = request.required("stateMachineArn")?;
    let status = match request.text("statusFilter")? {
        None => None,
        Some(word) => Some(StatusName::parse(word).ok_or_else(|| {
            Refused::validation(format!(
                "1 validation error detected: Value '{word}' at 'statusFilter' failed to satisfy constraint: \
                 Member must satisfy enum value set: [RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED]"
            ))
        })?),
    };
    let page = engine.page_executions(arn, status, request.next_token()?, request.max_results(100)?)?;
    let mut document = json!({"executions": page.executions.iter().map(summary).collect::<Vec<_>>()});
    if let Some(next) = page.next {
        document["nextToken"] = next.to_string().into();
    }
    Ok(document)
}

fn summary(execution: &Execution) -> Value {
    let mut document = json!({
        "executionArn": &*execution.arn,
        "stateMachineArn": &*execution.state_machine_arn,
        "name": &*execution.name,
        "status": execution.status.name().as_str(),
        "startDate": date(execution.start_ms),
    });
    if let Some(stop_ms) = execution.status.stop_ms() {
        document["stopDate"] = date(stop_ms);
    }
    document
}
