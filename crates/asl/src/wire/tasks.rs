//! `SendTaskSuccess` and its kin.

use serde_json::json;

use super::Answer;
use super::request::Request;
use crate::Engine;

pub(super) fn success(engine: &Engine, request: &Request) -> Answer {
    engine.send_task_success(request.required("taskToken")?, request.required("output")?)?;
    Ok(json!({}))
}

pub(super) fn failure(engine: &Engine, request: &Request) -> Answer {
    let token = request.required("taskToken")?;
    engine.send_task_failure(token, request.text("error")?, request.text("cause")?)?;
    Ok(json!({}))
}

pub(super) fn heartbeat(engine: &Engine, request: &Request) -> Answer {
    engine.send_task_heartbeat(request.required("taskToken")?)?;
    Ok(json!({}))
}
